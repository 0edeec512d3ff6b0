"""Curves made of characters: pure functions from numbers to lines of text.

A braille character is two dots wide and four high, so a chart of 60 by 10 characters has 120 by 40 dots. If a curve has
more points than there are columns of dots, a column shows the whole range of its losses, so that a spike is never
averaged away; if it has fewer, the columns in between are interpolated. Neighbouring columns are joined, so that a
curve has no holes. A character can have one colour only: where curves cross, the first of them is seen.

Losses that differ by more than a factor of twenty are drawn by their logarithms; otherwise nobody could tell two good
curves from each other as long as one that begins badly is among them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

from gemtune.show.picture import Point

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*%#"
_BRAILLE = 0x2800
# The bit of each dot of a braille character, by row and column (Unicode chapter 21.1, Braille Patterns).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

NARROWEST: Final = 16
"""Columns that a chart takes at least, axis included."""
_WIDE_RANGE: Final = 20
_STEP: Final = "step"

_Span: TypeAlias = tuple[float, float]
Piece: TypeAlias = tuple[str, int | None]
"""Some characters of a line, and the number of the curve that they are of; None for the axes."""


@attrs.frozen
class Chart:
    """Curves over each other, with axes.

    Args:
        lines: The lines in pieces, so that each curve can have its colour; the last has the steps.
        logarithmic: Whether the losses are drawn by their logarithms.
    """

    lines: Sequence[Sequence[Piece]] = ()
    logarithmic: bool = False

    def text(self) -> list[str]:
        """Return the lines without colours."""
        return ["".join(text for text, _ in line).rstrip() for line in self.lines]


def chart(
    curves: Sequence[Sequence[Point]],
    width: int = 60,
    height: int = 10,
    *,
    last: int = 0,
    letters: str = "",
    unicode: bool = True,
) -> Chart:
    """Draw curves over each other.

    Args:
        curves: The points of each, by step; the first curve lies on top.
        width: The most columns of a line, axis included; at least 16.
        height: The lines of the curves; at least 2. The steps stand below, in a line of their own.
        last: The last step that will come, for which room is left.
        letters: What each curve is made of instead of dots, which are told apart by nothing but their colour.
        unicode: False for ASCII characters only.

    Returns:
        The chart, which is empty if no loss is finite.
    """
    finite = [[(step, loss) for step, loss in curve if math.isfinite(loss)] for curve in curves]
    losses = [loss for curve in finite for _, loss in curve]
    if not losses:
        return Chart()
    steps = [step for curve in finite for step, _ in curve]
    first, last = min(steps), max(last, *steps)
    height, low, high = max(height, 2), min(losses), max(losses)
    logarithmic = low > 0 and high / low > _WIDE_RANGE
    scale = math.log if logarithmic else float
    labels = _labels(low, high, height, logarithmic=logarithmic)
    margin = max(*map(len, labels), len(_STEP))
    columns = max(max(width, NARROWEST) - margin - 2, 1)
    if not letters and not unicode:
        letters = "*" * len(curves)
    across, down = (1, 1) if letters else (2, 4)
    layers = []
    for number, points in enumerate(finite):
        spans = _placed(points, first, last, columns * across, scale)
        dots = _dots(spans, scale(low), scale(high), height * down)
        layers.append(_plain(dots, columns, height, letters[number]) if letters else _braille(dots, columns, height))
    cells = _over_each_other(layers)
    axis, corner = ("┤│", "└") if unicode else ("+|", "+")
    lines = [
        [(f"{label:>{margin}} {axis[0] if label else axis[1]}", None), *_runs(line)]
        for label, line in zip(labels, cells, strict=True)
    ]
    below: Piece = (f"{_STEP:>{margin}} {corner}{_steps(first, last, columns)}", None)
    return Chart([*lines, [below]], logarithmic)


def loss_curve(
    points: Sequence[Point], width: int = 60, height: int = 10, *, last: int = 0, unicode: bool = True
) -> list[str]:
    """Return one curve as lines of text, the last of which has the steps; see ``chart``."""
    return chart([points], width, height, last=last, unicode=unicode).text()


def sparkline(values: Sequence[float], width: int = 40, *, unicode: bool = True) -> str:
    """Return the values as one line of blocks, scaled from the least to the greatest.

    Args:
        values: The values in order; each has a column of its own if they fit, otherwise the mean of several has.
        width: The most columns.
        unicode: False for ASCII characters only.
    """
    blocks = _BLOCKS if unicode else _ASCII_BLOCKS
    columns = [_mean(bucket) for bucket in _buckets(values, min(width, len(values)))]
    known = [value for value in columns if value is not None]
    if not known:
        return " " * len(columns)
    low, high = min(known), max(known)
    top = len(blocks) - 1
    return "".join(" " if value is None else blocks[round(_share(value, low, high) * top)] for value in columns)


def _labels(low: float, high: float, height: int, *, logarithmic: bool) -> list[str]:
    if low == high:
        return [f"{low:.3g}" if line == height // 2 else "" for line in range(height)]
    labels = [f"{high:.3g}", *[""] * (height - 2), f"{low:.3g}"]
    if height > 6:
        share = 1 - (height // 2) / (height - 1)
        middle = low * (high / low) ** share if logarithmic else 2 * (low / 2 + (high / 2 - low / 2) * share)
        labels[height // 2] = f"{middle:.3g}"
    return labels


def _steps(first: int, last: int, columns: int) -> str:
    """Return the steps below a chart: the first, one in the middle and the last, as far as they fit."""
    ends = f"{first}{last:>{max(columns - len(str(first)), 0)}}" if last > first else f"{first}"
    if len(ends) > columns or ends == f"{first}{last}":
        return f"{first}"[:columns]
    middle = str((first + last) // 2)
    place = (columns - len(middle)) // 2
    if first < int(middle) < last and ends[place - 1 : place + len(middle) + 1].isspace():
        return ends[:place] + middle + ends[place + len(middle) :]
    return ends


def _share(value: float, low: float, high: float) -> float:
    """Return where a value stands between two others: 0 to 1, or 0.5 if the two are the same."""
    # Halved, because the difference of 1.7e308 and -1.7e308 would be infinite.
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5


def _buckets(values: Sequence[float], count: int) -> Iterator[Sequence[float]]:
    """Cut the values into ``count`` runs, none of them empty."""
    for number in range(count):
        yield values[number * len(values) // count : (number + 1) * len(values) // count]


def _mean(bucket: Sequence[float]) -> float | None:
    known = [value for value in bucket if math.isfinite(value)]
    return sum(value / len(known) for value in known) if known else None


def _placed(
    points: Sequence[Point], first: int, last: int, count: int, scale: Callable[[float], float]
) -> list[_Span | None]:
    """Return the range of the losses of each of ``count`` columns; the columns in between are interpolated."""
    spans: list[_Span | None] = [None] * count
    before: tuple[int, float] | None = None
    for step, loss in points:
        column = (step - first) * (count - 1) // (last - first) if last > first else 0
        value, held = scale(loss), spans[column]
        spans[column] = (value, value) if held is None else (min(held[0], value), max(held[1], value))
        if before is not None:
            for between in range(before[0] + 1, column):
                crossed = _between(before[1], value, (between - before[0]) / (column - before[0]))
                spans[between] = (crossed, crossed)
        before = column, value
    return spans


def _between(before: float, after: float, share: float) -> float:
    # Each step of this is monotonic in the share, rounding included: values that fall are never drawn rising, even if
    # they are neighbours among the floats. Halved for the same reason as in ``_share``.
    return 2 * (before / 2 + (after / 2 - before / 2) * share)


def _dots(spans: list[_Span | None], low: float, high: float, rows: int) -> list[range]:
    """Return the dotted rows of each column, counted from the top; neighbours are joined."""
    dots: list[range] = []
    previous: range | None = None
    for span in spans:
        if span is None:
            dots.append(range(0))
            previous = None
            continue
        top, bottom = (round((1 - _share(value, low, high)) * (rows - 1)) for value in reversed(span))
        if previous is not None and top > previous.stop:
            joined = range(previous.stop, bottom + 1)
        elif previous is not None and bottom < previous.start - 1:
            joined = range(top, previous.start)
        else:
            joined = range(top, bottom + 1)
        dots.append(joined)
        previous = range(top, bottom + 1)
    return dots


def _braille(dots: list[range], columns: int, height: int) -> list[str]:
    cells = [[0] * columns for _ in range(height)]
    for column, rows in enumerate(dots):
        for row in rows:
            cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(_BRAILLE + bits) if bits else " " for bits in line) for line in cells]


def _plain(dots: list[range], columns: int, height: int, mark: str) -> list[str]:
    return ["".join(mark if row in dots[column] else " " for column in range(columns)) for row in range(height)]


def _over_each_other(layers: Sequence[Sequence[str]]) -> list[list[Piece]]:
    """Return the characters that are seen of layers of the same size, the first of which lies on top."""
    cells: list[list[Piece]] = [[(" ", None)] * len(row) for row in layers[0]]
    for number in reversed(range(len(layers))):
        for line, row in zip(cells, layers[number], strict=True):
            line[:] = [before if char == " " else (char, number) for before, char in zip(line, row, strict=True)]
    return cells


def _runs(cells: Sequence[Piece]) -> Iterator[Piece]:
    """Put neighbours of the same curve together."""
    for number, run in itertools.groupby(cells, key=lambda cell: cell[1]):
        yield "".join(char for char, _ in run), number
