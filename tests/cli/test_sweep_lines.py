"""A sweep without rich: a leaderboard that is drawn in place in any window, and lines that are not repeated."""

import argparse
import io
from itertools import product

import pytest

from evaluation import scenes
from gemtune.cli.console import Console
from gemtune.cli.evaluate.output import show
from gemtune.cli.sweep.ending import report
from gemtune.cli.sweep.lines import PlainSweep
from sweep import sweeps

NAMES = ["begins", "running", "ended", "nothing", "single", "hostile", "many"]


def view(name):
    return PlainSweep(getattr(sweeps, name))


@pytest.mark.parametrize("name", NAMES)
def test_it_fits_into_any_window_and_controls_no_terminal(name):
    for width, height in product([160, 110, 60, 40, 20], [200, 30, 12, 5, 1]):
        lines = view(name).block(width, height, 42)
        assert len(lines) <= max(height, 2)
        assert [line for line in lines if len(line) > width] == []
        assert all(line.isprintable() for line in lines)


def test_in_a_small_window_the_best_points_and_those_that_run_have_a_row():
    lines = view("running").block(80, 12, 42)
    table = [line.split() for line in lines[lines.index(next(line for line in lines if line.startswith("rank"))) + 1 :]]
    assert [row[:2] for row in table[:-2]] == [["1", "13"], ["2", "11"], ["3", "12"], ["10", "17"]]
    assert " ".join(table[-2]) == "and 20 more: 6 planned, 3 running, 2 stopped, 8 trained, 1 failed"


def test_at_the_end_all_points_are_there():
    lines = view("ended").block(110, 5, None)
    assert sum(" trained " in line for line in lines) == 18
    assert any("took 3 min 20 s" in line for line in lines)


@pytest.mark.parametrize("name", ["running", "ended"])
def test_where_there_is_only_ascii_there_is_only_ascii(name):
    plain = view(name)
    assert all(line.isascii() for line in plain.block(110, 30, 42, unicode=False))
    assert all(line.isascii() for _, _, line in plain.reports(110, unicode=False))
    assert any("rate x 2" in line for line in plain.block(110, 30, 42, unicode=False))


class Poor(io.TextIOWrapper):
    """A stream that takes ASCII only, as in a container without a locale."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="ascii")

    def said(self):
        self.flush()
        return self.buffer.getvalue().decode()


def test_what_comes_out_can_be_read_where_there_is_only_ascii():
    console = Console(out=Poor(), err=Poor())
    options = argparse.Namespace(vertex=None, base_url=None, project=None, location=None, trust_host=None)
    report(sweeps.ended(), console, options)
    said = console.out.said()
    assert "\\" not in said + console.err.said()
    assert "rate x" in said
    assert "+-" in said


class Head(io.StringIO):
    """A reader that wants two lines, and is gone."""

    def write(self, text):
        if self.getvalue().count("\n") == 2:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


def test_once_nobody_reads_a_deed_says_what_comes_out_and_no_longer_how_far_it_is():
    console = Console(out=Head(), err=Poor(), json=True, deed=True)
    out = console.out
    for step in range(5):
        console.record({"step": step}, passing=True)
    console.record({"kind": "sweep"})
    assert out.getvalue() == '{"step":0}\n{"step":1}\n'
    assert console.err.said().splitlines() == [
        "note: nobody reads standard output any more; what comes out in the end is said here",
        '{"kind":"sweep"}',
    ]


def test_an_evaluation_can_be_read_where_there_is_only_ascii():
    class Found:
        picture = staticmethod(scenes.usual)

    console = Console(out=Poor(), err=Poor())
    show(Found(), console, 2)
    assert "\\" not in console.out.said() + console.err.said()
    assert "exact_match 0.91 against 0.78, +-0.05, p = 0.002" in console.out.said()


def test_as_long_as_no_point_ends_progress_alone_is_no_line():
    further = [sweeps.point(0, sweeps.GRID[2], sweeps.PointState.RUNNING, 0.9, evals=False)]
    seen = (sweeps.single(), sweeps.running(points=further, planned=1, waiting_for=""))
    first, second = ({key: mark for key, mark, _ in PlainSweep(lambda p=p: p).reports(80)} for p in seen)
    assert first[""] == second[""]
