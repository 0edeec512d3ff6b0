"""``gemtune sweep`` and ``gemtune evaluate`` as a person runs them, on terminals of 110 and of 40 columns with rich."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli import terminal
from cli.conftest import BASE, HOUR
from cli.terminal import Terminal, quick_with_rich
from gemtune.cli import main
from gemtune.emulator import Fault

pytestmark = [pytest.mark.socket, pytest.mark.slow]

WIDTHS = pytest.mark.parametrize("columns", [110, 40])
TIMES = re.compile(r" ·\s+(took|running\s+for)\s+[^·\n]* s$", re.MULTILINE)
"""How long it took, which is said of more than a second only."""
PASS = 12
"""Seconds of the emulator's time after which all jobs are through with their first pass: nine steps."""


def check(name, text):
    terminal.check(name, TIMES.sub("", text), folder=Path(__file__).parent / "screens")


def fits(shown):
    """Nothing is wider than the terminal but what cannot be broken: a name, a command to be copied."""
    wide = [line for line in shown.text.splitlines() if len(line) >= shown.columns]
    assert [line for line in wide if " " in line.strip() and not line.startswith("gemtune ")] == []
    return shown.text


@pytest.fixture
def words(app, tmp_path, monkeypatch):
    """A file of 40 examples, whose right answers the emulator knows."""
    monkeypatch.chdir(tmp_path)
    examples = [(f"the number {n}", f"after {n} comes {n + 1}") for n in range(40)]
    lines = ["text_input,output", *(",".join(each) for each in examples)]
    (tmp_path / "words.csv").write_text("\n".join(lines))
    app.knows = examples
    return ["words.csv", "--base", BASE, "--validation", "0.3"]


@pytest.fixture
def four(words):
    return ["sweep", *words, "--epochs", "1,2", "--rate", "0.5,2", "--concurrency", "2", "--metric", "exact_match"]


@WIDTHS
def test_a_sweep_from_its_beginning_to_the_answer(app, four, columns):
    shown = Terminal(quick_with_rich(*four), columns, rows=30)
    shown.until(lambda text: "2 running" in text and "2 left" in text)
    app.clock.advance(PASS)
    shown.until(lambda text: "2 of 4 points done" in text and "2 running" in text and "best so far" in text)
    app.clock.advance(PASS)
    shown.until(lambda text: "36 steps" in text)
    check(f"sweep-command-runs-{columns}", fits(shown))
    app.clock.advance(HOUR)
    check(f"sweep-command-ends-{columns}", shown.close())
    assert shown.code == 0


@WIDTHS
def test_ctrl_c_leaves_the_jobs_running_and_the_same_command_takes_them_up(app, four, columns):
    shown = Terminal(quick_with_rich(*four), columns, rows=30)
    shown.until(lambda text: "2 running" in text and "2 left" in text)
    shown.press_ctrl_c()
    text = shown.close()
    assert shown.code == 130
    check(f"sweep-command-interrupted-{columns}", text)
    assert app.requests.of("tunedModels.operations.cancel") == []
    if columns == 40:
        return
    shown = Terminal(quick_with_rich(*four, "--resume"), columns, rows=30)
    shown.until(lambda text: "2 running" in text and "2 left" in text)
    app.clock.advance(HOUR)
    shown.until(lambda text: "2 of 4 points done" in text and "2 running" in text)
    app.clock.advance(HOUR)
    assert "its model:" in shown.close()
    assert shown.code == 0
    assert len(app.requests.of("tunedModels.create")) == 4


@WIDTHS
def test_a_service_that_is_down_in_the_middle_of_a_sweep(app, four, columns):
    shown = Terminal(quick_with_rich(*four), columns, rows=30)
    shown.until(lambda text: "2 running" in text and "2 left" in text)
    app.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    shown.until("no answer")
    check(f"sweep-command-down-{columns}", fits(shown))
    app.faults.clear()
    app.clock.advance(HOUR)
    shown.until(lambda text: "2 of 4 points done" in text and "2 running" in text)
    app.clock.advance(HOUR)
    shown.close()
    assert shown.code == 0


@WIDTHS
def test_models_beside_each_other(app, words, capsys, columns):
    assert main(["tune", "words.csv", "--base", BASE, "--id", "my-model", "--epochs", "4", "--batch-size", "4"]) == 0
    capsys.readouterr()
    app.clock.advance(HOUR)
    models = ["--model", f"base={BASE}", "--model", "tuned=my-model"]
    Path("scoring.py").write_text("def short(answer, row):\n    return len(answer) < 20\n")
    argv = ["evaluate", "words.csv", *models, "--metric", "scoring:short", "--metric", "contains", "--changed", "2"]
    shown = Terminal(quick_with_rich(*argv), columns, rows=40)
    text = re.sub(r"\d+\.\d\d s", "0.00 s", shown.close())
    check(f"evaluate-command-{columns}", text)
    assert shown.code == 0


def test_a_sweep_that_is_killed_is_resumed_and_makes_no_job_twice(app, four):
    command = quick_with_rich(*four, "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed:
        assert killed.stdout is not None
        started = 0
        for line in killed.stdout:
            started += json.loads(line)["kind"] == "point_started"
            if started == 2:
                break
        os.kill(killed.pid, signal.SIGKILL)
    app.clock.advance(HOUR)
    shown = Terminal(quick_with_rich(*four, "--resume"), 110, rows=30)
    shown.until(lambda text: "2 of 4 points done" in text and "2 running" in text)
    app.clock.advance(HOUR)
    assert "its model:" in shown.close()
    assert len(app.requests.of("tunedModels.create")) == 4


def test_without_optuna_it_says_what_to_install(app, words, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["sweep", *words, "--epochs", "1..4", "--study", "tpe", "--max-jobs", "2"]) == 2
    assert "--study needs Optuna; run pip install 'gemtune[optuna]', or leave it out" in capsys.readouterr().err


def test_a_space_may_be_a_yaml_file(app, words, capsys):
    Path("space.yaml").write_text("epoch_count: [1, 2, 4]\nlearning_rate_multiplier: [0.5, 1]\n")
    assert main(["sweep", *words, "--space", "space.yaml", "--plan"]) == 0
    assert capsys.readouterr().out.startswith("6 points, ")
    Path("space.yaml").write_text("epochs: [1, 2, 4]\n")
    assert main(["sweep", *words, "--space", "space.yaml", "--plan"]) == 2
    assert "there is no hyperparameter 'epochs'; did you mean 'epoch_count'?" in capsys.readouterr().err


@WIDTHS
def test_an_evaluation_that_is_interrupted_asks_only_what_is_missing(app, words, columns):
    app.faults.add(Fault(method="models.generateContent", delay=HOUR, times=10))
    argv = ["evaluate", "words.csv", "--model", BASE, "--journal", "asked", "--concurrency", "20"]
    shown = Terminal(quick_with_rich(*argv), columns)
    shown.until("30/40 done")
    fits(shown)
    shown.press_ctrl_c()
    check(f"evaluate-command-interrupted-{columns}", shown.close())
    assert shown.code == 130
    if columns == 40:
        return
    asked = len(app.requests.of("models.generateContent"))
    shown = Terminal(quick_with_rich(*argv, "--resume"), columns)
    assert "1 model on 40 held-out rows" in shown.close()
    assert len(app.requests.of("models.generateContent")) == asked + 10
