"""How far a batch is: drawn in place on a terminal; elsewhere a note, and only if nothing moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for
from gemtune.show.live import Live, View
from gemtune.show.picture import BatchPicture
from gemtune.show.progress import bar, duration
from gemtune.show.terminal import clipped, printable
from gemtune.show.words import jobs_at_service

if TYPE_CHECKING:
    from gemtune.batch import Batch, BatchStatistics

_REDRAW = 0.2


@attrs.define
class Stall:
    """Notices that nothing has moved for long: after its patience, and again after twice and four times as long.

    Args:
        patience: Seconds.
    """

    patience: float = 60.0
    _seen: int = attrs.field(default=-1, init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _next: float = attrs.field(default=0.0, init=False)

    def seconds(self, finished: int, now: float) -> float | None:
        """Return for how many seconds nothing has been finished, if it is time to report it, else None."""
        if finished != self._seen:
            self._seen, self._since, self._next = finished, now, self.patience
        still = now - self._since
        if still < self._next:
            return None
        self._next *= 2  # a run that waits for a quota over night is not to fill a log
        return still


@attrs.frozen
class PlainBatch:
    """Shows a batch without colours and without more than the standard library.

    Args:
        picture: Returns how it is now.
    """

    picture: Callable[[], BatchPicture]

    def reports(self, width: int, *, unicode: bool = True) -> Iterator[tuple[str, object, str]]:
        """Return one line for each tenth."""
        yield "", int((self.picture().share or 0.0) * 10), self.line(width, unicode=unicode)

    def line(self, width: int = 80, *, unicode: bool = True) -> str:
        """Return one line; what does not fit is left out, the bar first and then from the right."""
        seen = self.picture()
        total = f"/{seen.total}" if seen.total else ""
        facts = [f"{seen.done + seen.failed}{total} done"]
        facts += [f"{seen.failed} failed"] if seen.failed else []
        facts.append(f"{seen.in_flight} in flight")
        facts += [f"{seen.parked} parked"] if seen.parked else []
        facts += [jobs_at_service(seen)] if jobs_at_service(seen) else []
        facts.append(f"{seen.rate:.1f}/s")
        facts += [f"{duration(seen.eta)} left"] if seen.eta is not None else []
        room = width - len("  ".join(facts)) - 4
        if seen.share is not None and room >= 4:
            facts.insert(0, bar(seen.share, min(room, 30), unicode=unicode))
        while len(facts) > 1 and len("  ".join(facts)) > width:
            facts.pop()
        return clipped("  ".join(facts), width)

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:  # noqa: ARG002
        """Return the same, and what holds it back."""
        status = "  ".join(filter(None, (duration(passed or 0), printable(self.picture().held_back))))
        return [self.line(width, unicode=unicode), clipped(status, width)]

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return nothing: there is one batch only."""
        return []


@attrs.define(eq=False)
class Bar:
    """Looks at a batch five times a second.

    Args:
        console: Where to draw and to report.
        quiet_output: Whether nothing is written to standard output meanwhile.
        stall: Notices when a note is due because nothing is drawn.
    """

    console: Console
    quiet_output: bool
    stall: Stall = attrs.field(factory=Stall)
    held_back: str = attrs.field(default="", init=False)
    """What held the batch back when it was looked at last."""
    _live: Live | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        apart = self.quiet_output or not self.console.out.isatty()
        self._live = self.console.live(beside=True) if apart else None

    @property
    def drawn(self) -> bool:
        """Whether there is a terminal to draw on to which nothing else is written."""
        return self._live is not None and self._live.in_place

    async def watch(self, results: Batch) -> None:
        """Show how far it is until cancelled, then take the picture away: what is reported then says more."""
        import anyio

        view = batch_view(self.console, self._live, results.picture)
        try:
            while True:
                stats = results.statistics()
                self.held_back = stats.limit or self.held_back  # kept for a run whose time is up by now
                self._show(view, stats, anyio.current_time())
                await anyio.sleep(_REDRAW)
        finally:
            with suppress(OSError, ValueError):
                if self._live is not None:
                    self._live.finish(keep=False)

    def _show(self, view: View, stats: BatchStatistics, now: float) -> None:
        if self._live is not None and self._live.in_place:
            with suppress(OSError, ValueError):  # nobody sees it any more, and the run continues
                self._live.show(view)
        elif (still := self.stall.seconds(_finished(stats), now)) is not None:
            total = f" of {stats.total}" if stats.total else ""
            self.console.note(f"note: {_finished(stats)}{total} done, and none for {duration(still)}: {self.held_back}")


def batch_view(console: Console, live: Live | None, picture: Callable[[], BatchPicture]) -> View:
    """Return what shows a batch."""
    paint = paint_for(console, live.stream) if live is not None and live.in_place else None
    if paint is None:
        return PlainBatch(picture)
    from gemtune.cli.screen.batch import BatchScreen

    return BatchScreen(paint, picture)


def _finished(stats: BatchStatistics) -> int:
    return stats.done + stats.failed + stats.skipped
