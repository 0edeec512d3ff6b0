"""Jobs in plain characters: one with its curve, many as a table with one line for each, the running ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import attrs

from gemtune.show.curve import NARROWEST, loss_curve
from gemtune.show.picture import JobPicture, short
from gemtune.show.progress import bar, counts, duration, progress_line, seen, tenths, trouble, words
from gemtune.show.terminal import cells, clipped, fitted, padded, printable

_SHORTEST_BAR = 4
_SHORTEST_NAME = 10
_LONGEST_BAR = 20
_ANY = 1 << 16
"""As wide as it takes."""

Pictures: TypeAlias = Callable[[], Sequence[JobPicture]]
"""Returns how some jobs are now."""


@attrs.frozen
class PlainJobs:
    """Shows jobs without colours and without more than the standard library.

    Args:
        pictures: Returns how the jobs are.
        hint: What stands beside the time that has passed, as long as there is no trouble.
        named: Whether a single job is shown with its name.
        brief: Whether nothing but the counts is shown.
    """

    pictures: Pictures
    hint: str = ""
    named: bool = True
    brief: bool = False

    def reports(self, width: int, *, unicode: bool = True) -> Iterator[tuple[str, object, str]]:
        """Return for each job what would have to change for a new line, and the line."""
        pictures = self.pictures()
        silent = trouble(pictures)
        if silent:
            yield "", silent, clipped(f"{counts(pictures)}: {silent}", width)
        for picture in pictures:
            if not silent and seen(picture):
                name = f"{printable(picture.name)}  " if self.named else ""
                said = f"{name}{progress_line(picture, max(width - cells(name), 8), unicode=unicode)}"
                yield picture.name, (picture.word, tenths(picture)), said

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:
        """Return a single job with its curve, or the counts and a line for each job as far as they fit.

        Args:
            width: The most columns.
            height: The most lines.
            passed: The seconds that have passed; None once it is over.
            unicode: False for ASCII characters only.
        """
        pictures = self.pictures()
        lines = self._jobs(pictures, width, height - 1, unicode=unicode)
        if passed is None:
            return lines
        return [*lines, clipped("  ".join(filter(None, (duration(passed), trouble(pictures) or self.hint))), width)]

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return nothing: nothing leaves the table."""
        return []

    def _jobs(self, pictures: Sequence[JobPicture], width: int, height: int, *, unicode: bool) -> list[str]:
        if self.brief:
            return [clipped(counts(pictures), width)]
        if len(pictures) == 1:
            name = [clipped(printable(pictures[0].name), width)] if self.named else []
            return [*name, *one(pictures[0], width, height - len(name), unicode=unicode)][: max(height, 1)]
        room = max(height - 1, 1)
        ordered = sorted(pictures, key=lambda picture: picture.ended)
        shown = ordered if len(ordered) <= room else ordered[: room - 1]
        lines = [clipped(counts(pictures), width), *_table(shown, width, unicode=unicode)]
        if len(shown) < len(ordered):
            lines.append(clipped(f"and {len(ordered) - len(shown)} more", width))
        return lines[: max(height, 1)]


def one(picture: JobPicture, width: int, height: int, *, unicode: bool) -> list[str]:
    """Return the progress of a job and below it the curve of its losses, which grows to the right while it runs."""
    room, drawn = min(height - 2, _TALLEST), list[str]()
    if width >= NARROWEST and room >= 2:
        drawn = loss_curve(picture.losses, width, room, last=picture.total or 0, unicode=unicode)
    return [progress_line(picture, width, unicode=unicode), *drawn]


_TALLEST = 10


def _table(jobs: Sequence[JobPicture], width: int, *, unicode: bool) -> list[str]:
    """Return a line for each job: its id, then the facts in columns, and a bar if there is room for one."""
    rows = [(printable(short(picture.name)), *words(picture)) for picture in jobs]
    widest = max((cells(row[2]) for row in rows), default=0)  # the ends of the counts stand below each other
    rows = [(*row[:2], " " * (widest - cells(row[2])) * bool(row[2]) + row[2], *row[3:]) for row in rows]
    table = [(row[0], row[1], "", *row[2:]) for row in rows]
    room = width - max(map(cells, fitted(table, _ANY, ())), default=0) - 2
    if room >= _SHORTEST_BAR + 2:
        bars = [_bar(picture, min(room - 2, _LONGEST_BAR), unicode=unicode) for picture in jobs]
        return fitted([(*row[:2], bar, *row[3:]) for row, bar in zip(table, bars, strict=True)], width, ())
    # In the order in which they can be spared: the percentage, which the steps say as well, the time left, the loss.
    lines = fitted(table, width, (4, 6, 5, 3))
    if all(cells(line) <= width for line in lines):
        return lines
    # What is left to cut is the names, as long as enough is left of them to tell one from the other.
    facts = fitted([row[1:3] for row in rows], _ANY, ())
    column = width - max(map(cells, facts), default=0) - 2
    if column < _SHORTEST_NAME:
        facts, column = [row[1] for row in rows], max(width // 2, 1)
    return [
        clipped(f"{padded(clipped(row[0], column), column)}  {said}", width)
        for row, said in zip(rows, facts, strict=True)
    ]


def _bar(picture: JobPicture, width: int, *, unicode: bool) -> str:
    return "" if picture.share is None or not seen(picture) else bar(picture.share, width, unicode=unicode)
