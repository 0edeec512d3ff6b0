"""What a person with rich sees, on terminals of 110 and of 40 columns, against golden files (``screens/``).

The commands run on pseudo-terminals, as in ``tests/cli/test_screens.py``; pyte keeps characters and colours.
"""

import re
from functools import partial
from pathlib import Path

import pytest

from cli import terminal
from cli.conftest import BASE, HOUR
from cli.terminal import Terminal, plain, quick_with_rich
from gemtune.emulator import Fault
from gemtune.show.palette import STROKES

pytestmark = [pytest.mark.socket, pytest.mark.slow]

WIDTHS = pytest.mark.parametrize("columns", [110, 40])
check = partial(terminal.check, folder=Path(__file__).parent / "screens")


def fits(shown):
    """Nothing is wider than the terminal but what cannot be broken: a name, a command to be copied."""
    wide = [line for line in shown.text.splitlines() if len(line) >= shown.columns]
    assert [line for line in wide if " " in line.strip() and not line.startswith("gemtune ")] == []
    return shown.text


def color(shown, word, nth=0):
    """The colour of the nth place where the screen shows something."""
    places = [(y, line.index(word)) for y, line in enumerate(shown.screen.display) if word in line]
    y, x = places[nth]
    return shown.screen.buffer[y][x].fg


@WIDTHS
def test_many_jobs(app, three, columns):
    shown = Terminal(quick_with_rich("jobs", "watch", *three), columns, rows=30)
    shown.until(lambda text: "rate 0.02" in text and "loss diverged" in text)
    check(f"many-{columns}", fits(shown))
    assert [color(shown, sign) for sign in "●✗"] == ["blue", "red"]
    letters = [color(shown, f"{stroke.letter} {sign}") for stroke, sign in zip(STROKES, "●●✗", strict=False)]
    assert letters == [stroke.color.removeprefix("#") for stroke in STROKES[:3]]
    drawn = {
        cell.fg for row in shown.screen.buffer.values() for cell in row.values() if "\u2800" < cell.data <= "\u28ff"
    }
    assert drawn == set(letters), "each curve has its row's colour"
    app.clock.advance(HOUR)
    check(f"many-ended-{columns}", shown.close())
    assert shown.code == 1
    assert shown.text.count("rate 0.0005") == 2, "its row, and the advice"


@WIDTHS
def test_one_job_from_its_creation_to_its_end(app, many, columns):
    argv = ["tune", many, "--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", "my-model", "--wait"]
    shown = Terminal(quick_with_rich(*argv, "--display-name", "Numbers"), columns)
    check(f"tune-begins-{columns}", shown.until("0/40 steps"))
    assert color(shown, "starting") == "brown"
    app.clock.advance(40)
    shown.until("loss")
    check(f"tune-runs-{columns}", fits(shown))
    app.clock.advance(HOUR)
    check(f"tune-ends-{columns}", shown.close())
    assert shown.code == 0
    assert color(shown, "succeeded") == "green"


@WIDTHS
def test_comparing_jobs(app, three, columns):
    app.clock.advance(HOUR)
    shown = Terminal(quick_with_rich("jobs", "compare", "unlucky", "large-rate", "small-rate"), columns, rows=30)
    check(f"compare-{columns}", shown.close())
    rows = [line.split()[2:4] for line in fits(shown).splitlines() if re.match(r"[abc] [✓✗]", line)]
    assert rows == [["rate", "0.0005"], ["rate", "0.02"], rows[2]], "the best first"
    assert shown.code == 0


@WIDTHS
def test_lists_and_cards(app, three, columns):
    for argv in (["list"], ["get", "small-rate"]):
        shown = Terminal(quick_with_rich("jobs", *argv), columns, rows=40)
        check(f"jobs-{'-'.join(argv)}-{columns}", shown.close())
        assert shown.code == 0
        assert color(shown, "●") == "blue"


@WIDTHS
def test_a_batch(app, tmp_path, monkeypatch, columns):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("".join(f"prompt {n}\n" for n in range(12)))
    app.faults.add(Fault(method="models.generateContent", delay=1.0, times=12))
    argv = ["batch", "in.txt", "out.jsonl", "--model", "models/gemini-3.7-flash", "--concurrency", 4]
    shown = Terminal(quick_with_rich(*argv), columns)
    shown.until("4 in flight")
    app.clock.advance(1)
    shown.until(lambda text: "4/12 done" in text and "4 in flight" in text)
    check(f"batch-{columns}", fits(shown))
    app.clock.advance(1)
    shown.until("8/12")
    app.clock.advance(1)
    assert "12 answered, 0 failed" in shown.close()


def test_without_colours_curves_are_made_of_letters(app, three):
    shown = Terminal(quick_with_rich("jobs", "watch", *three, "--no-color"), 80, rows=30)
    shown.until(lambda text: "rate 0.02" in text and "loss diverged" in text)
    check("many-no-color-80", fits(shown))
    assert {cell.fg for row in shown.screen.buffer.values() for cell in row.values()} == {"default"}
    shown.press_ctrl_c()
    shown.close()
    assert shown.code == 130


def test_what_ended_scrolls_away_above_jobs_that_need_the_room(app, start):
    names = [f"job-{number}" for number in range(12)]
    for name in names[:6]:
        start(name)
    app.clock.advance(40)
    for name in names[6:]:
        start(name)
    shown = Terminal(quick_with_rich("jobs", "watch", *names), 80, rows=12)
    shown.until("and 5 more")
    app.clock.advance(12)
    shown.until(lambda text: text.count("✓") == 6)
    for letter, name in zip("abcdef", names, strict=False):
        assert sum(line.startswith(f"{letter} ✓ {name} ") for line in shown.text.splitlines()) == 1
    live = [line for line in shown.screen.display if re.match(r"[a-l] [●◌] job", line)]
    assert [line.split()[2] for line in live] == names[6:]
    app.clock.advance(HOUR)
    text = shown.close()
    assert [text.count(f" {name} ") for name in names] == [1] * 11 + [1], "each is printed once"
    assert shown.code == 0


def test_a_window_that_changes_its_size_keeps_no_stale_line(app, three):
    shown = Terminal(quick_with_rich("jobs", "watch", *three), 110, rows=30)
    shown.until(lambda text: "rate 0.02" in text and "loss diverged" in text)
    for columns, rows in ((40, 30), (110, 12), (60, 20)):
        shown.resize(columns, rows)
        shown.until(lambda text, columns=columns: columns - 30 < max(map(len, text.splitlines())) < columns)
        text = "\n".join(shown.screen.display)
        assert text.count("3 tuning jobs") == text.count("looked") == text.count("loss diverged") == 1
        assert text.count("step └") == (rows > 12)
    check("resized-60", fits(shown))
    shown.press_ctrl_c()
    text = shown.close()
    assert "2 jobs are still running; watch them again with" in text
    assert text.count("3 tuning jobs") == 1
    assert shown.code == 130


def test_jobs_that_were_discovered_stay_when_they_have_ended(app, three):
    shown = Terminal(quick_with_rich("jobs", "watch", "--all"), 100, rows=30)
    shown.until(lambda text: text.count("running") > 2)
    app.clock.advance(12)
    shown.until(lambda text: re.search(r"✓ .* 40/40", text) is not None)
    app.clock.advance(4)
    text = shown.until(lambda text: re.search(r"(29|30)/40", text) is not None)
    assert len([line for line in text.splitlines() if re.match(r"[a-d] [●✓]", line)]) == 2
    assert "took" in next(line for line in text.splitlines() if "✓" in line)
    shown.press_ctrl_c()
    assert "1 job is still running; watch it again with: gemtune jobs watch --all" in shown.close()


def test_the_last_picture_may_be_higher_than_the_terminal(app, three):
    shown = Terminal(quick_with_rich("jobs", "watch", *three), 80, rows=5)
    shown.until("and 3 more")
    shown.until("1 failed")  # a picture of jobs that were not looked at yet has no rows that could go above
    shown.press_ctrl_c()
    text = shown.close()
    rows = [line[0] for line in text.splitlines() if re.match(r"[abc] [●✗]", line)]
    assert rows == ["c", "a", "b"], "what had failed went above before"


def test_what_is_left_of_a_job_says_how_to_watch_it_again(app, many):
    argv = ["tune", many, "--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", "my-model", "--wait"]
    shown = Terminal(quick_with_rich(*argv), 80)
    shown.until("0/40 steps")
    app.clock.advance(40)
    shown.until("33/40 steps")
    shown.press_ctrl_c()
    lines = shown.close().splitlines()
    assert lines[-2:] == [
        "the job continues; watch it with: gemtune jobs watch tunedModels/my-model",
        "interrupted",
    ]
    assert sum("33/40 steps" in line for line in lines) == 1
    assert shown.code == 130


@WIDTHS
def test_a_service_that_is_down(app, three, columns):
    shown = Terminal(quick_with_rich("jobs", "watch", *three), columns, rows=30)
    shown.until(lambda text: "rate 0.02" in text)
    app.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    shown.until(lambda text: "note: no answer" in text and "no answer (HTTP" in text)
    check(f"down-{columns}", re.sub(r"(?<!\S)tunedModels/\S+(\n\S+(?=\nfailed))?", "(the operation)", fits(shown)))
    assert color(shown, "no answer (HTTP") == "red"
    app.faults.clear()
    shown.until("Ctrl-C stops" if columns > 40 else "looked")
    app.clock.advance(HOUR)
    shown.close()
    assert shown.code == 1


def test_progress_is_seen_within_three_seconds(app, start):
    start("my-model")
    app.clock.advance(20)
    before = len(app.requests)
    shown = Terminal(plain("jobs", "watch", "my-model"))
    shown.until("16/40 steps")
    # The first look is made at once, the next ones two seconds after each other: it is on the screen before a third.
    looks = [entry.method for entry in list(app.requests)[before:]]
    assert looks.count("tunedModels.get") <= 2, looks
    shown.press_ctrl_c()
    shown.close()


def test_nothing_is_drawn_and_nothing_imported_for_a_version():
    code = "import sys; from gemtune.cli import main; main(['--version']); print('rich' in sys.modules)"
    shown = Terminal([*plain()[:1], "-c", code])
    assert shown.close().splitlines()[-1] == "False"
