"""Jobs in a terminal while they run: one with its curves, many as a table with their curves above it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
from rich.text import Text

from gemtune.cli.screen import charts, table
from gemtune.cli.screen.job import job
from gemtune.cli.screen.paint import DIM, Paint, cut, fitting, joined, plain
from gemtune.show.jobs import Pictures
from gemtune.show.palette import STROKES, TONES
from gemtune.show.picture import JobPicture, Tone, jobs_of
from gemtune.show.progress import WAITING, duration, seen, trouble


@attrs.define(eq=False)
class JobsScreen:
    """Shows a job, or many as rows in the order in which they were given, which never jump.

    If there are more rows than lines, jobs that have ended leave the table: each is printed once above it, for good.

    Args:
        paint: Puts the colours on.
        pictures: Returns how the jobs are now.
        hint: What stands beside the time that has passed.
    """

    paint: Paint
    pictures: Pictures
    hint: str = ""
    _gone: set[str] = attrs.field(factory=set, init=False)

    def reports(self, width: int, *, unicode: bool = True) -> list[tuple[str, object, str]]:  # noqa: ARG002 - a view
        """Return nothing: this draws in place."""
        return []

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return the rows of the jobs that have ended and for which there is no room any more."""
        pictures = self.pictures()
        here = self._here(pictures)
        if len(pictures) < 2 or _lines(here) <= height - 4:
            return []
        ended = [(number, picture) for number, picture in here if picture.ended]
        first = not self._gone
        self._gone |= {picture.name for _, picture in ended}
        lettered = _lettered(pictures)
        columns = table.layout(pictures, width, lettered=lettered)
        texts = [table.heading(columns, lettered=lettered)] if first and ended else []
        for number, picture in ended:
            texts.append(table.row(picture, number, columns, lettered=lettered))
            texts += table.reason(picture, width, lettered=lettered, lines=3)
        return self.paint.lines(texts)

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:  # noqa: ARG002
        """Return the heading, the curves if there is room, and the table."""
        pictures = self.pictures()
        here = self._here(pictures)
        height = max(height, _LAST) if passed is None else height
        below = [] if passed is None else [_status(pictures, passed, self.hint, width)]
        if len(pictures) == 1:
            single = job(pictures[0], width, height - len(below), color=self.paint.color)
            return self.paint.lines([*single, *below])
        rows = self._rows(pictures, here, width, height - 1 - len(below)) if here else []
        room = height - 1 - len(rows) - len(below)
        curves = _curves(here or list(enumerate(pictures))) if _lettered(pictures) else []
        last = max((picture.total or 0 for _, picture in here), default=0)
        over = charts.drawn(curves, width, room, last=last, color=self.paint.color)
        return self.paint.lines([_heading(pictures, width), *over, *rows, *below])

    def _here(self, pictures: Sequence[JobPicture]) -> list[tuple[int, JobPicture]]:
        return [(n, picture) for n, picture in enumerate(pictures) if picture.name not in self._gone]

    def _rows(
        self, pictures: Sequence[JobPicture], here: Sequence[tuple[int, JobPicture]], width: int, room: int
    ) -> list[Text]:
        lettered = _lettered(pictures)
        columns = table.layout(pictures, width, lettered=lettered)
        texts = [table.heading(columns, lettered=lettered)]
        if _lines(here) > room - 1:  # what moves is worth seeing first
            here = sorted(here, key=lambda job: _URGENCY.index(job[1].tone))
        shown = 0
        for number, picture in here:
            lines = [
                table.row(picture, number, columns, lettered=lettered),
                *table.reason(picture, width, lettered=lettered),
            ]
            # The line that says how many are left out needs room as well, unless none is.
            if len(texts) + len(lines) > room - (shown + 1 < len(here)):
                break
            texts += lines
            shown += 1
        rest = [picture for _, picture in here[shown:]]
        if rest:
            more = Text("  ") + joined([f"and {len(rest)} more", _counts(rest)])
            texts = [*texts[: max(room - 1, 0)], cut(more, width)]
        return texts[: max(room, 0)]


_URGENCY = (Tone.RUNNING, Tone.BAD, Tone.OVER, Tone.GOOD, Tone.WAITING, Tone.UNSEEN)
_ALPHABET = 26
_LAST = 12
"""Lines that the last picture may have: nothing is drawn over it, so that the lowest terminal can scroll."""


def _lettered(pictures: Sequence[JobPicture]) -> bool:
    """Return whether each job has a letter, and curves are drawn: of more, nobody could tell which is which."""
    return len(pictures) <= _ALPHABET


def _lines(here: Sequence[tuple[int, JobPicture]]) -> int:
    return sum(1 + bool(picture.reason) for _, picture in here)


def _curves(here: Sequence[tuple[int, JobPicture]]) -> list[tuple[int, Sequence[tuple[int, float]]]]:
    """Return as many curves as there are colours: more could not be told apart."""
    return [(number, picture.losses) for number, picture in here if picture.losses][: len(STROKES)]


def _heading(pictures: Sequence[JobPicture], width: int) -> Text:
    jobs = Text(jobs_of(pictures), "bold")
    line = joined([jobs, _counts(pictures)], "   ")
    return line if line.cell_len <= width else cut(joined([jobs, _counts(pictures, short=True)], "   "), width)


def _counts(pictures: Sequence[JobPicture], *, short: bool = False) -> Text:
    """Return how many jobs are in which state, in its colour; if it has to be short, with signs for words."""
    found = Counter((f" {TONES[each.tone].glyph}" if short else f" {each.word}", each.tone) for each in pictures)
    order = list(Tone)
    said = sorted(found.items(), key=lambda item: (order.index(item[0][1]), item[0][0]))
    return joined([plain(f"{count}{word}", TONES[tone].terminal) for (word, tone), count in said])


def _status(pictures: Sequence[JobPicture], passed: int, hint: str, width: int) -> Text:
    """Return the line below: the time that has passed, and when the service was looked at, or what is wrong."""
    silent = trouble(pictures)
    if silent:
        return fitting([plain(silent, TONES[Tone.BAD].terminal), Text(duration(passed), DIM)], width)
    line = fitting([duration(passed), looked(pictures), hint], width)
    line.stylize(DIM)
    return line


def looked(pictures: Sequence[JobPicture]) -> str:
    """Return when the service was looked at last; empty if nobody has, or if nobody will any more."""
    times = [picture.looked_at for picture in pictures if picture.looked_at is not None and not picture.ended]
    if not times:
        return "" if any(map(seen, pictures)) else WAITING
    ago = (datetime.now(UTC) - max(times)).total_seconds()
    return f"looked {duration(ago)} ago"
