"""What a person with rich sees of a sweep and of an evaluation, against golden files (``screens/``)."""

import os
import signal
import sys
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from cli import terminal
from cli.terminal import Terminal
from gemtune.cli.screen.paint import Paint
from gemtune.cli.screen.sweep import SweepScreen
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone
from sweep import sweeps

HERE = Path(__file__).parent
check = partial(terminal.check, folder=HERE / "screens")


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))


def shown(*argv, columns, rows=30):
    return Terminal([sys.executable, str(HERE / "stage.py"), *argv], columns, rows)


def forward(screen):
    os.kill(screen._pid, signal.SIGUSR1)


def color(screen, word):
    """The colour in which the screen shows something, where it does so first."""
    y, line = next((y, line) for y, line in enumerate(screen.screen.display) if word in line)
    return screen.screen.buffer[y][line.index(word)].fg


@pytest.mark.slow
@pytest.mark.parametrize("columns", [110, 40])
def test_a_sweep_from_its_beginning_to_its_end(columns):
    screen = shown("sweep", "begins", "running", "ended", columns=columns)
    check(f"sweep-begins-{columns}", screen.until("Ctrl-C"))
    forward(screen)
    check(f"sweep-runs-{columns}", screen.until("14 of 24 points"))
    assert color(screen, "best so far") == "green"
    assert [color(screen, sign) for sign in "✓●"] == ["green", "blue"]
    cells = [cell for row in screen.screen.buffer.values() for cell in row.values()]
    drawn = {cell.fg for cell in cells if "\u2800" < cell.data <= "\u28ff"}
    tones = {TONES[tone].color.removeprefix("#") for tone in (Tone.GOOD, Tone.RUNNING, Tone.UNSEEN)}
    assert tones <= drawn
    forward(screen)
    screen.until("24 of 24 points")
    forward(screen)
    check(f"sweep-ends-{columns}", screen.close())


@pytest.mark.slow
def test_a_window_that_becomes_narrow_and_short_still_has_the_best_points():
    screen = shown("sweep", "running", "ended", columns=110)
    screen.until("14 of 24 points")
    screen.resize(60, 12)
    screen.until(lambda text: "and 19 more" in text)
    check("sweep-resized-60", screen.until("Ctrl-C"))
    forward(screen)
    screen.until("24 of 24")
    forward(screen)
    assert screen.close().count("best: point 13") == 1


@pytest.mark.slow
@pytest.mark.parametrize("columns", [110, 40])
def test_an_evaluation_has_its_news_in_colours(columns):
    screen = shown("evaluation", "usual", columns=columns, rows=70)
    check(f"evaluation-{columns}", screen.close())
    assert [color(screen, word) for word in ("tuned is better", "3 rows that tuned does")] == ["green", "red"]


@pytest.mark.parametrize("name", ["begins", "running", "ended", "nothing", "single", "hostile", "many"])
def test_a_sweep_fits_into_any_window_and_controls_no_terminal(name):
    picture = getattr(sweeps, name)()
    view = SweepScreen(Paint(color=False), lambda: picture, "hint")
    for width, height in product([160, 110, 60, 40, 20, 1], [200, 30, 12, 5, 1]):
        lines = view.block(width, height, 42)
        assert len(lines) <= max(height, 2)
        assert [line for line in lines if len(line) > max(width, 20)] == []
        assert all(line.isprintable() for line in lines)
    assert all(line.isprintable() for line in view.block(80, 30, None))
