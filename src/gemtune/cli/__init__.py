"""The ``gemtune`` command.

Each command is a module with ``add``, which puts it into the parser, and a function that carries it out and returns
the exit code; ``program`` holds the table of them and turns errors into one line and a code. What all share has a
module of its own: ``options`` (the parser), ``running`` (client, event loop, limit of time), ``console`` (the streams),
``signals`` (Ctrl-C), ``exits`` (codes), ``remedies`` (the SDK's advice as options). Commands import the public SDK and
``show``, and load it late, inside their functions: ``gemtune --help`` and a mistyped option answer without it.

Results go to standard output; progress, notes and errors go to standard error.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from gemtune.cli.streams import finish, prepare

__all__ = ["main"]

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: The arguments without the program's name; None means those of the process.

    Returns:
        The exit code.
    """
    if argv is None:
        prepare()
    try:
        if argv is None:
            from gemtune.cli.signals import take_sigterm_for_ctrl_c

            take_sigterm_for_ctrl_c()
        # Loading the commands takes a quarter of a second, long enough to press Ctrl-C in it.
        from gemtune.cli.program import run

        code = run(sys.argv[1:] if argv is None else list(argv))
        ended = ""
    except KeyboardInterrupt:
        code, ended = _INTERRUPTED, "interrupted\n"
    if argv is None:
        # The end of the process is undisturbed: no late Ctrl-C, whose traceback nobody wants, and no full buffer.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    sys.stderr.write(ended)
    if argv is None:
        finish()
    return code
