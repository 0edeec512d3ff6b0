"""Terminals with rich: the fixtures of the command line's tests, and jobs to look at."""

import pytest

from cli.conftest import BASE, app, end_commands, gemtune, rows
from gemtune.emulator import Fault, JobFate

__all__ = ["app", "end_commands", "gemtune", "rows"]


@pytest.fixture(autouse=True)
def _colors(monkeypatch):
    """Terminals here have all colours."""
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture
def many(tmp_path):
    """A file of 40 examples."""
    path = tmp_path / "many.csv"
    path.write_text("text_input,output\n" + "".join(f"{n},{n + 1}\n" for n in range(40)))
    return path


@pytest.fixture
def start(app, gemtune, many):
    """Start a job of 40 steps, each of which takes 1.2 s of the emulator's time."""

    def started(name, *argv, fails=None):
        if fails is not None:
            app.faults.add(Fault(method="tunedModels.create", job=JobFate(fail_at_step=fails, message="loss diverged")))
        options = ["--base", BASE, "--epochs", 4, "--batch-size", 4, "--id", name, *argv]
        assert gemtune("tune", many, *options).code == 0
        return f"tunedModels/{name}"

    return started


@pytest.fixture
def three(app, start):
    """Three jobs: one that is far, one that has just begun, one that has failed."""
    start("small-rate", "--learning-rate", 0.0005, "--display-name", "rate 0.0005")
    app.clock.advance(20)
    start("large-rate", "--learning-rate", 0.02, "--display-name", "rate 0.02")
    start("unlucky", fails=9)
    app.clock.advance(20)
    return ["small-rate", "large-rate", "unlucky"]
