"""Drawing on streams: in place on a terminal, plain lines elsewhere; tables."""

import io
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.show.jobs import PlainJobs
from gemtune.show.live import Live
from gemtune.show.picture import JobPicture, Tone
from gemtune.show.terminal import (
    aligned,
    cells,
    clipped,
    draws_in_place,
    encodes_unicode,
    fitted,
    printable,
    wants_color,
)

CELL = st.text("abc", max_size=60)


class Terminal(io.StringIO):
    """A text stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def screen(text: str) -> list[str]:
    """What a terminal shows after a text with the control sequences that Live uses; any other is an error."""
    lines, row = [""], 0
    for up, clear, char in re.findall(r"\x1b\[(\d+)A|(\r\x1b\[J)|([^\x1b])", text):
        if up:
            row -= int(up)
            assert row >= 0, "drew above its own block"
        elif clear:
            lines[row:] = [""]
        elif char == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        else:
            lines[row] += char
    return lines


def view(step: int, total: int = 20) -> PlainJobs:
    picture = JobPicture(
        name="tunedModels/a",
        title="a",
        word="running",
        tone=Tone.RUNNING,
        completed=step,
        total=total,
        share=step / total,
        losses=[(number, 1 / number) for number in range(1, step + 1)],
    )
    return PlainJobs(lambda: [picture], hint="hint", named=False)


def live(stream: io.StringIO, columns: int = 80, lines: int = 24, *, in_place: bool = True) -> Live:
    return Live(stream, in_place=in_place, size=lambda: os.terminal_size((columns, lines)), indent="  ")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(30, 150), st.integers(3, 40))
def test_on_a_terminal_the_latest_frame_stands_where_the_first_was_drawn(steps, columns, lines):
    stream = Terminal("above\n")
    stream.seek(0, io.SEEK_END)
    shown = live(stream, columns, lines)
    for step in steps:
        shown.show(view(step))
    first, *block, last = screen(stream.getvalue())
    fresh = Terminal()
    live(fresh, columns, lines).show(view(steps[-1]))
    assert (first, last) == ("above", "")
    assert block == screen(fresh.getvalue())[:-1]
    assert len(block) < lines
    assert all(len(line) < columns for line in block)
    assert block[-1].endswith("0 s  hint"), "the time that has passed"
    shown.finish()
    assert screen(stream.getvalue()) == ["above", *block[:-1], ""], "the last picture stays, without the time"


def test_a_tick_draws_again_when_a_second_has_passed_or_the_size_is_another():
    stream, now, columns = Terminal(), 0.0, 80
    shown = Live(stream, in_place=True, clock=lambda: now, size=lambda: os.terminal_size((columns, 24)))
    shown.tick()
    shown.show(view(5))
    drawn = stream.getvalue()
    now = 0.9
    shown.tick()
    assert stream.getvalue() == drawn
    now = 61.5
    shown.tick()
    assert screen(stream.getvalue())[-2] == "1 min 01 s  hint"
    columns = 40
    shown.tick()
    assert max(map(len, screen(stream.getvalue()))) < 40


@given(
    st.integers(1, 5).flatmap(lambda count: st.lists(st.tuples(*[CELL] * count), min_size=1, max_size=6)),
    st.integers(1, 90),
)
def test_a_table_gives_up_what_can_be_spared_until_it_fits(rows, width):
    spare = range(len(rows[0]) - 1, 0, -1)
    lines = fitted(rows, width, spare)
    least = max(len(row[0]) for row in rows)
    assert len(lines) == len(rows)
    assert max(map(len, lines)) <= max(width, least)


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("六七", 4), ("e\u0301", 1), ("", 0)])
def test_wide_characters_take_two_columns_and_accents_none(text, columns):
    assert cells(text) == columns


def test_what_is_clipped_says_so():
    assert [clipped("六七八", width) for width in (6, 5, 4, 1)] == ["六七八", "六七~", "六~", "~"]


def test_erasing_leaves_nothing_and_may_come_twice():
    stream = Terminal()
    shown = live(stream)
    shown.show(view(5))
    shown.erase()
    shown.erase()
    stream.write("next\n")
    assert screen(stream.getvalue()) == ["next", ""]


def test_elsewhere_there_is_a_plain_line_for_every_tenth_of_the_way():
    stream = io.StringIO()
    shown = live(stream, in_place=False)
    for step in range(1, 21):
        shown.show(view(step))
    shown.erase()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert all(line.isprintable() for line in lines)
    assert lines[-1].startswith("  running  [██████████████████████████████]  20/20 steps  100.0 %")


@pytest.mark.parametrize(
    ("stream", "environ", "in_place", "color"),
    [
        (Terminal(), {}, True, True),
        (Terminal(), {"NO_COLOR": "1"}, True, False),
        (Terminal(), {"NO_COLOR": ""}, True, True),
        (Terminal(), {"TERM": "dumb"}, False, False),
        (io.StringIO(), {"TERM": "xterm"}, False, False),
    ],
)
def test_control_sequences_are_for_terminals_that_want_them(stream, environ, in_place, color):
    assert draws_in_place(stream, environ) is in_place
    assert wants_color(stream, environ) is color


@pytest.mark.parametrize(("encoding", "able"), [("utf-8", True), ("ascii", False), ("cp1252", False)])
def test_an_encoding_without_blocks_gets_ascii(encoding, able):
    assert encodes_unicode(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is able


@given(st.text())
def test_what_others_say_cannot_control_the_terminal(text):
    assert printable(text).isprintable()
    kept = printable(text, lines=True)
    assert all(char.isprintable() or char in "\n\t" for char in kept)
    assert len(kept) == len(text)


def test_line_breaks_are_kept_where_they_are_wanted():
    assert printable("a\tb\nc\x1b[2J", lines=True) == "a\tb\nc�[2J"
    assert printable("a\r\nb") == "a  b"


@given(st.integers(1, 5).flatmap(lambda columns: st.lists(st.tuples(*[CELL] * columns), min_size=1, max_size=8)))
def test_every_cell_begins_where_the_others_of_its_column_begin(rows):
    starts = [0]
    for column in list(zip(*rows, strict=True))[:-1]:
        starts.append(starts[-1] + max(map(len, column)) + 2)
    for row, line in zip(rows, aligned(rows), strict=True):
        padded = line.ljust(200)
        assert all(padded[start:].startswith(cell) for start, cell in zip(starts, row, strict=True))
        assert line == line.rstrip()


def test_a_table_without_rows_is_empty():
    assert aligned([]) == []


def test_on_a_dumb_terminal_lines_are_as_wide_as_that_is_and_in_a_pipe_as_ever():
    for stream, columns in ((Terminal(), 40), (io.StringIO(), 100)):
        shown = live(stream, 40, in_place=False)
        shown.show(view(10))
        (line,) = stream.getvalue().splitlines()
        assert columns - 45 < len(line) < columns
