"""A program that shows scenes of a sweep in its terminal: the next one at each SIGUSR1, again at each new size."""

import os
import signal
import sys

from evaluation import scenes
from gemtune.cli.screen.evaluation import evaluated
from gemtune.cli.screen.paint import Paint
from gemtune.cli.screen.sweep import SweepScreen
from gemtune.show.live import Live
from gemtune.show.terminal import size_of
from sweep import sweeps

SIGNALS = {signal.SIGWINCH, signal.SIGUSR1}


def main(what, *names):
    paint = Paint("NO_COLOR" not in os.environ)
    if what == "evaluation":
        width = size_of(sys.stdout).columns - 1
        for name in names:
            sys.stdout.write("".join(f"{line}\n" for line in paint.lines(evaluated(getattr(scenes, name)(), width))))
        return
    left = list(names)
    live = Live(sys.stdout, in_place=True, widest=160, clock=lambda: 0.0)

    def picture():
        return getattr(sweeps, left[0])()

    view = SweepScreen(paint, picture, "Ctrl-C leaves the jobs running")
    live.show(view)
    while len(left) > 1:
        if signal.sigwait(SIGNALS) == signal.SIGUSR1:
            del left[0]
            live.show(view)
        else:
            live.tick()
    signal.sigwait({signal.SIGUSR1})
    live.finish()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    main(*sys.argv[1:])
