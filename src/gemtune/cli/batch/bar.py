"""How far a batch is: a line that is redrawn on a terminal; elsewhere a note, and only if nothing moves."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from gemtune.cli.console import Console
from gemtune.show.progress import duration
from gemtune.show.terminal import draws_in_place, printable

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

    @property
    def drawn(self) -> bool:
        """Whether there is a terminal to draw on to which nothing else is written."""
        apart = not self.console.out.isatty() or self.quiet_output
        return apart and draws_in_place(self.console.err, os.environ) and not self.console.json

    async def watch(self, results: Batch) -> None:
        """Show how far it is until cancelled, then take the line away."""
        import anyio

        try:
            while True:
                stats = results.statistics()
                self.held_back = stats.limit or self.held_back  # kept for a run whose time is up by now
                self._show(stats, anyio.current_time())
                await anyio.sleep(_REDRAW)
        finally:
            if self.drawn:
                self._write("\r\x1b[K")

    def _show(self, stats: BatchStatistics, now: float) -> None:
        if self.drawn:
            self._write(f"\r{_line(stats, self.held_back)}\x1b[K")
            return
        finished = _finished(stats)
        still = self.stall.seconds(finished, now)
        if still is not None:
            total = f" of {stats.total}" if stats.total else ""
            note = f"note: {finished}{total} done, and none for {duration(still)}: {self.held_back}"
            with suppress(OSError, ValueError):  # nobody reads it any more, and the run continues
                self.console.note(note)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self.console.err.write(text)
            self.console.err.flush()


def _finished(stats: BatchStatistics) -> int:
    return stats.done + stats.failed + stats.skipped


def _line(stats: BatchStatistics, held_back: str) -> str:
    total = f"/{stats.total}" if stats.total else ""
    parts = [f"{_finished(stats)}{total}", f"{stats.failed} failed", f"{stats.in_flight} in flight"]
    if stats.parked:
        parts.append(f"{stats.parked} parked")
    parts.append(f"{stats.rate:.1f}/s")
    if stats.eta is not None:
        parts.append(f"{duration(stats.eta)} left")
    parts.append(held_back)
    return printable("  ".join(parts))[: max(20, shutil.get_terminal_size().columns - 1)]
