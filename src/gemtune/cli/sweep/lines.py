"""A sweep in plain characters: a leaderboard drawn in place, or a line for whatever changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from gemtune.cli.console import Console
from gemtune.cli.drawing import WIDEST, paint_for
from gemtune.evaluation.text import wrapped
from gemtune.show.live import Live, View
from gemtune.show.progress import duration
from gemtune.show.terminal import clipped, in_ascii
from gemtune.sweep.point import SweepPicture
from gemtune.sweep.text import header, leaderboard, sweep_reports

HINT = "Ctrl-C leaves the jobs running"
_FEWEST = 6
"""Lines that the leaderboard has at least, before the last facts of the header have any."""


@attrs.frozen
class PlainSweep:
    """Shows a sweep without colours and without more than the standard library.

    Args:
        picture: Returns how it is now.
    """

    picture: Callable[[], SweepPicture]

    def reports(self, width: int, *, unicode: bool = True) -> Iterator[tuple[str, object, str]]:  # noqa: ARG002 - a view
        """Return a line for each point and for the whole, and what would have to change for a new one."""
        for key, mark, line in sweep_reports(self.picture()):
            yield key, mark, line if unicode else in_ascii(line)

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:
        """Return how far it is and the leaderboard, as much of it as there is room for."""
        lines = self._lines(width, height, passed)
        return lines if unicode else [clipped(in_ascii(line), width) for line in lines]

    def _lines(self, width: int, height: int, passed: int | None) -> list[str]:
        seen = self.picture()
        below = [] if passed is None else [clipped(f"{duration(passed)}  {HINT}", width)]
        head = [line for said in header(seen, timed=passed is None) for line in wrapped(said, width)]
        if passed is None:
            return [*head, *leaderboard(seen, width)]
        room = max(height - len(below), 1)
        head = head[: max(room - _FEWEST, 1)]
        most = room - len(head) - 1
        return [*head, *leaderboard(seen, width, most if most >= len(seen.points) else most - 1), *below][-height:]

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return nothing: the leaderboard is one."""
        return []


def sweep_view(console: Console, live: Live | None, picture: Callable[[], SweepPicture]) -> View:
    """Return what shows a sweep."""
    paint = paint_for(console, live.stream, hint=True) if live is not None and live.in_place else None
    if live is None or paint is None:
        return PlainSweep(picture)
    from gemtune.cli.screen.sweep import SweepScreen

    live.widest = WIDEST
    return SweepScreen(paint, picture, HINT)
