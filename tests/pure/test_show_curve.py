"""Curves made of characters: they fit, they hide nothing, and they have no holes."""

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemtune.show.curve import chart, loss_curve, sparkline

anything = st.lists(st.floats(), max_size=300)
finite = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300)
sizes = st.tuples(st.integers(16, 120), st.integers(2, 30))


def curve(values, width, height, *, unicode=True, last=0) -> list[str]:
    """The values as losses of the steps from 1 on, without the line of the steps."""
    lines = loss_curve(list(enumerate(values, start=1)), width, height, unicode=unicode, last=last)
    return lines[:-1]


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
    lines = loss_curve(list(enumerate(values, start=1)), *size, unicode=unicode)
    assert len(lines) == (size[1] + 1 if any(map(math.isfinite, values)) else 0)
    assert all(len(line) <= size[0] and line.isprintable() for line in lines)
    assert unicode or all(line.isascii() for line in lines)


@given(finite, sizes)
def test_a_curve_has_no_holes(values, size):
    columns = dots(curve(values, *size))
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
    columns = [column for column in dots(curve(values, *size)) if column]
    assert min(columns[0]) == 0
    assert max(columns[-1]) == 4 * size[1] - 1
    assert [min(column) for column in columns] == sorted(min(column) for column in columns)


@given(st.integers(0, 9_999), st.integers(20, 80))
def test_one_spike_among_ten_thousand_values_is_seen(place, width):
    values = [1.0] * 10_000
    values[place] = 9.0
    assert any(0 in column for column in dots(curve(values, width, 5)))


def test_the_axis_names_the_greatest_and_the_least():
    lines = curve([8.25, 4.0, 0.5], 40, 4)
    assert lines[0].startswith("8.25 ┤")
    assert lines[-1].startswith(" 0.5 ┤")


def test_a_step_without_a_loss_is_bridged():
    columns = dots(curve([1.0, 2.0, math.nan, 2.0, 1.0], 60, 4))
    assert all(columns[:-1])


def test_ascii_draws_the_same_way_down():
    assert loss_curve([(1, 2.0), (2, 1.0), (3, 0.0)], 19, 3, unicode=False) == [
        "   2 +****",
        "     |    *****",
        "   0 +         ****",
        "step +1     2     3",
    ]


def test_one_loss_is_a_point_and_the_steps_to_come_have_room():
    drawn = loss_curve([(1, 2.0)], 40, 3, last=50)
    assert [line.strip() for line in drawn] == ["│", "2 ┤⠄", "│", "step └1               25              50"]
    assert max(map(len, loss_curve([(1, 2.0), (2, 1.0)], 60, 5, last=100)[:-1])) < 12


def test_losses_of_very_different_size_are_drawn_by_their_logarithms():
    drawn = chart([[(1, 100.0), (2, 0.01)]], 40, 9)
    assert drawn.logarithmic
    assert drawn.text()[4].startswith("   1 ┤")
    assert not chart([[(1, 5.0), (2, 0.5)]], 40, 9).logarithmic
    assert not chart([[(1, 5.0), (2, -0.5)]], 40, 9).logarithmic


def test_of_curves_over_each_other_the_first_is_on_top_and_each_keeps_its_number():
    over = chart([[(1, 2.0), (2, 2.0)], [(1, 2.0), (2, 1.0)]], 40, 3)
    numbers = [[number for text, number in line if number is not None] for line in over.lines]
    assert numbers[0] == [0]
    assert numbers[2] == [1]
    assert over.text()[-1].startswith("step └1")


def test_without_colours_curves_are_made_of_their_letters():
    text = chart([[(1, 2.0), (9, 2.0)], [(1, 1.0), (9, 1.0)]], 30, 3, letters="ab").text()
    assert set(text[0]) == set("2 ┤a")
    assert set(text[2]) == set("1 ┤b")


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
