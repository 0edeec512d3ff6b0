"""A sweep in a terminal: how far it is, all curves over each other, and the leaderboard, the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from rich.text import Text

from gemtune.cli.screen import charts
from gemtune.cli.screen.paint import DIM, Paint, bar, cut, fitting, plain
from gemtune.evaluation.text import wrapped
from gemtune.evaluation.words import compared
from gemtune.metrics.values import Comparison
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone
from gemtune.show.progress import duration
from gemtune.sweep.point import PointPicture, PointState, SweepPicture
from gemtune.sweep.text import (
    MOST_REASONS,
    MOST_ROWS,
    POINT_TONES,
    SPARE,
    best_said,
    board_columns,
    chosen,
    counted,
    curve_of,
    evaluated_losses,
    reasons,
    score_names,
    share_done,
    states_of,
    title,
    used,
    value_names,
)

_LONGEST_BAR: Final = 30
_CHART: Final = 9
"""Lines of the curves if not all rows have room."""
_FEWEST: Final = 8
"""Lines that the rows have at least, before the curves and the last facts of the header have any."""
_MOST_CURVES: Final = 60
_GIVEN_UP: Final = frozenset({PointState.STOPPED, PointState.FAILED})
_BEST_INK: Final = TONES[Tone.GOOD]


@attrs.frozen
class SweepScreen:
    """Shows a sweep.

    Args:
        paint: Puts the colours on.
        picture: Returns how the sweep is now.
        hint: What stands beside the time that has passed.
    """

    paint: Paint
    picture: Callable[[], SweepPicture]
    hint: str = ""

    def reports(self, width: int, *, unicode: bool = True) -> list[tuple[str, object, str]]:  # noqa: ARG002 - a view
        """Return nothing: this draws in place."""
        return []

    def above(self, width: int, height: int, *, unicode: bool = True) -> list[str]:  # noqa: ARG002 - a view
        """Return nothing: no point leaves the leaderboard."""
        return []

    def block(self, width: int, height: int, passed: int | None, *, unicode: bool = True) -> list[str]:  # noqa: ARG002
        """Return the header, the curves if there is room, and as much of the leaderboard as fits; at the end all."""
        picture = self.picture()
        if passed is None:
            rows = [*_rows(picture, width, MOST_ROWS), *_reasons(picture, width)]
            over = _curves(picture, width, charts.TALLEST, color=self.paint.color)
            return self.paint.lines([*_header(picture, width), *over, *rows])
        below = fitting([duration(passed), self.hint], width)
        below.stylize(DIM)
        head = _header(picture, width, room=max(height - _FEWEST, 1))
        room = max(height - len(head) - 1, 0)
        spare = room - min(len(picture.points) + 2, max(room - _CHART, _FEWEST))
        over = _curves(picture, width, min(spare, charts.TALLEST), color=self.paint.color)
        room -= len(over)
        rows = _rows(picture, width, room - 1 if room > len(picture.points) else room - 2) if room > 2 else []
        return self.paint.lines([*head, *over, *rows, below])


def _header(picture: SweepPicture, width: int, room: int | None = None) -> list[Text]:
    """Return what the sweep is, its bar, what it has used, what it waits for, and what is best.

    Args:
        picture: The sweep.
        width: The most columns.
        room: The most lines; what it has used is given up first. None for any number.
    """
    best = _said(best_said(picture), width, f"bold {_BEST_INK.terminal}" if picture.best is not None else DIM)
    waits = [plain(picture.waiting_for, TONES[Tone.WAITING].terminal)] if picture.waiting_for else []
    held = [cut(line, width) for line in waits if not picture.ended]
    facts = _said(" · ".join(used(picture, timed=room is None)), width, DIM)
    first = [cut(plain(title(picture), "bold"), width), *_progress(picture, width)]
    said = [line for each in picture.comparisons for line in _compared(each, width)]
    lines = [*first, *facts, *held, *best, *said]
    if room is not None and len(lines) > room:
        lines = [*first, *held, *best]
        lines = lines if len(lines) <= room else [*_progress(picture, width), *best][:room]
    return lines


def _progress(picture: SweepPicture, width: int) -> list[Text]:
    """Return the bar, and how many points are done: beside it, or below if there is no room."""
    share, said = share_done(picture), counted(picture)
    if share is None:
        return _said(said, width)
    percent, tone = f" {100 * share:.0f} %", TONES[Tone.GOOD if picture.ended else Tone.RUNNING].terminal
    room = width - len(percent) - 2 - len(said)
    if room >= 8:
        return [bar(share, min(room, _LONGEST_BAR), tone) + Text(f"{percent}  ") + plain(said)]
    length = max(min(width - len(percent), _LONGEST_BAR), 1)
    return [bar(share, length, tone) + Text(percent), *_said(said, width)]


def _compared(each: Comparison, width: int) -> list[Text]:
    good = each.rows and each.significant and each.difference
    return _said(compared(each), width, TONES[Tone.GOOD if each.leads else Tone.BAD].terminal if good else "")


def _said(said: str, width: int, style: str = "") -> list[Text]:
    return [plain(line, style) for line in wrapped(said, width)]


def _curves(picture: SweepPicture, width: int, height: int, *, color: bool) -> list[Text]:
    """Return the curves over each other, the best on top and those that were given up below all others."""
    evals = evaluated_losses(picture)
    begun = [each for each in picture.ranked if curve_of(each, evals=evals)][:_MOST_CURVES]
    order = sorted(begun, key=lambda each: (each.rank != 1, each.state in _GIVEN_UP, each.state is PointState.TRAINED))
    last = max((each.picture.total or 0 for each in begun if each.picture and each.state not in _GIVEN_UP), default=0)
    lines = [(number, curve_of(each, evals=evals)) for number, each in enumerate(order)]
    return charts.drawn(lines, width, height, last=last, color=color, looks=[_look(each) for each in order])


def _look(each: PointPicture) -> tuple[str, str]:
    """Return the style of a curve, and what it is made of where there are no colours."""
    if each.rank == 1:
        return _BEST_INK.color, "*"
    if each.state in _GIVEN_UP:
        return DIM, "x"
    tone = Tone.UNSEEN if each.state is PointState.TRAINED else POINT_TONES[each.state]
    return TONES[tone].color, "o" if each.state is PointState.RUNNING else "."


def _rows(picture: SweepPicture, width: int, most: int) -> list[Text]:
    """Return the leaderboard in colours: the sign of each state, and the best row in bold."""
    shown, rest = chosen(picture, most)
    more = [cut(plain(f"and {len(rest):,} more: {states_of(rest)}", DIM), width)] if rest else []
    if not shown:
        return more
    columns = _fitting(picture, shown, width)
    lines = [cut(Text("  ") + Text("  ").join([plain(column[0]) for column in columns.values()]), width)]
    lines[0].stylize(DIM)
    lines[0].rstrip()
    for number, each in enumerate(shown, 1):
        ink = TONES[POINT_TONES[each.state]]
        styles = {"state": ink.terminal, "curve": _look(each)[0], "objective": "bold" if each.rank == 1 else ""}
        parts = [plain(column[number], styles.get(name, "")) for name, column in columns.items()]
        line = Text.assemble((ink.glyph, ink.terminal), " ") + Text("  ").join(parts)
        line.rstrip()
        lines.append(cut(line, width))
    return [*lines, *more]


def _fitting(picture: SweepPicture, shown: Sequence[PointPicture], width: int) -> dict[str, list[str]]:
    """Return the columns for which there is room, each as wide as its widest cell."""
    columns = {name: _even(column) for name, column in board_columns(picture, shown).items()}
    values = [f"value {key}" for key in reversed(value_names(shown))]
    scores = [f"score {metric}" for metric in reversed(score_names(picture))]
    for spare in (*SPARE, *scores, "steps", "state", "rank", *values):  # the order says the rank, the sign the state
        if 2 + sum(2 + plain(column[0]).cell_len for column in columns.values()) - 2 <= width:
            break
        columns.pop(spare, None)
    return columns


def _even(column: Sequence[str]) -> list[str]:
    texts = [plain(cell) for cell in column]
    widest = max(text.cell_len for text in texts)
    return [f"{text.plain}{' ' * (widest - text.cell_len)}" for text in texts]


def _reasons(picture: SweepPicture, width: int) -> list[Text]:
    """Return why points have no model."""
    said = reasons(picture)
    lines = [line for each in said[:MOST_REASONS] for line in _said(each, width, DIM)]
    more = len(said) - MOST_REASONS
    return [*lines, *([Text(f"and {more:,} more reasons", DIM)] if more > 0 else [])]
