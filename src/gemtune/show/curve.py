"""Curves made of characters: pure functions from numbers to lines of text.

A braille character is two dots wide and four high, so a curve of 60 by 10 characters has 120 by 40 dots. If there are
more values than columns of dots, a column shows the whole range of its values, so that a spike is never averaged away;
if there are fewer, the columns in between are interpolated. Neighbouring columns are joined, so that a curve has no
holes, and values that are not finite leave a gap. A sparkline has one block for each value, or for the mean of several.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*%#"
_BRAILLE = 0x2800
# The bit of each dot of a braille character, by row and column (Unicode chapter 21.1, Braille Patterns).
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

NARROWEST = 16
"""Columns that a curve takes at least, axis included."""

Span = tuple[float, float]


def sparkline(values: Sequence[float], width: int = 40, *, unicode: bool = True) -> str:
    """Return the values as one line of blocks, scaled from the least to the greatest.

    Args:
        values: The values in order; each has a column of its own if they fit.
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


def loss_curve(values: Sequence[float], width: int = 60, height: int = 10, *, unicode: bool = True) -> list[str]:
    """Return the values as a curve with an axis that names the least and the greatest.

    Args:
        values: The values in order, the first at the left edge and the last at the right.
        width: The most columns of a line, axis included; at least 16.
        height: The number of lines; at least 2.
        unicode: False for ASCII characters only, at a lower resolution.

    Returns:
        ``height`` lines of at most ``width`` columns, or none if no value is finite.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return []
    width, height = max(width, NARROWEST), max(height, 2)
    low, high = min(known), max(known)
    labels = _labels(low, high, height)
    margin = max(map(len, labels))
    columns = max(width - margin - 2, 1)
    across, down = (2, 4) if unicode else (1, 1)
    spans = _spans(values, columns * across)
    dots = _dots(spans, low, high, height * down)
    rows = _braille(dots, columns, height) if unicode else _plain(dots, columns, height)
    axis = "┤│" if unicode else "+|"
    return [
        f"{label:>{margin}} {axis[0] if label else axis[1]}{row}".rstrip()
        for label, row in zip(labels, rows, strict=True)
    ]


def _labels(low: float, high: float, height: int) -> list[str]:
    if low == high:
        return [f"{low:.3g}" if line == height // 2 else "" for line in range(height)]
    return [f"{high:.3g}", *[""] * (height - 2), f"{low:.3g}"]


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


def _spans(values: Sequence[float], count: int) -> list[Span | None]:
    """Return the range of the values of each of ``count`` columns; the columns in between are interpolated."""
    if len(values) >= count:
        return [_span(bucket) for bucket in _buckets(values, count)]
    last = len(values) - 1
    return [_between(values, column * last / (count - 1)) for column in range(count)]


def _span(bucket: Sequence[float]) -> Span | None:
    known = [value for value in bucket if math.isfinite(value)]
    return (min(known), max(known)) if known else None


def _between(values: Sequence[float], place: float) -> Span | None:
    before, after = values[math.floor(place)], values[math.ceil(place)]
    share = place - math.floor(place)
    # Each step of this is monotonic in the share, rounding included: values that fall are never drawn rising, even if
    # they are neighbours among the floats. Halved for the same reason as in ``_share``.
    value = 2 * (before / 2 + (after / 2 - before / 2) * share) if share else before
    return (value, value) if math.isfinite(value) else None


def _dots(spans: list[Span | None], low: float, high: float, rows: int) -> list[range]:
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


def _plain(dots: list[range], columns: int, height: int) -> list[str]:
    return ["".join("*" if row in dots[column] else " " for column in range(columns)) for row in range(height)]
