"""Curves made of characters: they fit, they hide nothing, and they have no holes."""

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemtune.show.curve import loss_curve, sparkline

anything = st.lists(st.floats(), max_size=300)
finite = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300)
sizes = st.tuples(st.integers(16, 120), st.integers(2, 30))


def dots(lines: list[str]) -> list[list[int]]:
    """For each dot column of a braille curve, the rows from the top that are dotted."""
    bits = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]]
    start = max(line.find(axis) for line in lines for axis in "┤│") + 1
    width = max(len(line) for line in lines) - start
    columns: list[list[int]] = [[] for _ in range(2 * width)]
    for row, line in enumerate(lines):
        for cell, char in enumerate(line[start:]):
            pattern = ord(char) - 0x2800 if char != " " else 0
            for side in (0, 1):
                columns[2 * cell + side] += [4 * row + dot for dot in range(4) if pattern & bits[side][dot]]
    return columns


@given(anything, sizes, st.booleans())
@example([1.7e308, -1.7e308, math.nan, 0.0], (16, 2), True)
def test_a_curve_fits_into_its_box(values, size, unicode):
    lines = loss_curve(values, *size, unicode=unicode)
    assert len(lines) == (size[1] if any(map(math.isfinite, values)) else 0)
    assert all(len(line) <= size[0] and line.isprintable() for line in lines)
    assert unicode or all(line.isascii() for line in lines)


@given(finite, sizes)
def test_a_curve_has_no_holes(values, size):
    columns = dots(loss_curve(values, *size))
    while columns and not columns[-1]:  # blanks at the right end of a line are not written
        columns.pop()
    for before, after in itertools.pairwise(columns):
        assert before
        assert after
        assert min(after) - max(before) <= 1
        assert min(before) - max(after) <= 1


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=300, unique=True), sizes)
@example([100.0, 99.99999999999999], (16, 2))
@example([1.0, 0.9999999999999999, 0.9999999999999998], (16, 2))
def test_a_falling_curve_begins_at_the_top_and_ends_at_the_bottom(values, size):
    values.sort(reverse=True)
    columns = [column for column in dots(loss_curve(values, *size)) if column]
    assert min(columns[0]) == 0
    assert max(columns[-1]) == 4 * size[1] - 1
    assert [min(column) for column in columns] == sorted(min(column) for column in columns)


@given(st.integers(0, 9_999), st.integers(20, 80))
def test_one_spike_among_ten_thousand_values_is_seen(place, width):
    values = [1.0] * 10_000
    values[place] = 9.0
    assert any(0 in column for column in dots(loss_curve(values, width, 5)))


def test_the_axis_names_the_greatest_and_the_least():
    lines = loss_curve([8.25, 4.0, 0.5], 40, 4)
    assert lines[0].startswith("8.25 ┤")
    assert lines[-1].startswith(" 0.5 ┤")


def test_an_unknown_value_leaves_a_gap():
    columns = dots(loss_curve([1.0, 2.0, math.nan, 2.0, 1.0], 60, 4))
    assert [] in columns[len(columns) // 4 : -len(columns) // 4]


def test_ascii_draws_the_same_way_down():
    assert loss_curve([2.0, 1.0, 0.0], 16, 3, unicode=False) == [
        "2 +****",
        "  |    *****",
        "0 +         ****",
    ]


@given(anything, st.integers(1, 100), st.booleans())
def test_a_sparkline_has_a_character_for_each_value_as_long_as_they_fit(values, width, unicode):
    line = sparkline(values, width, unicode=unicode)
    assert len(line) == min(width, len(values))
    assert unicode or line.isascii()


@pytest.mark.parametrize(
    ("values", "line"), [([0, 7, 3.5], "▁█▅"), ([2, 2], "▅▅"), ([1, math.nan, 0], "█ ▁"), ([], "")]
)
def test_a_sparkline_is_scaled_from_least_to_greatest(values, line):
    assert sparkline(values) == line
