"""A command line that talks to an emulator over a real socket."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from gemtune.cli import main
from gemtune.emulator import Emulator, create_app, running_emulator

BASE = "models/gemini-1.0-pro-001"
HOUR = 3600.0


@pytest.fixture
def app(monkeypatch) -> Iterator[Emulator]:
    """An emulator on a stepped clock, and an environment that leads every command to it."""
    with running_emulator(create_app(clock="stepped", auth="required")) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        for name in ("NO_COLOR", "GOOGLE_CLOUD_QUOTA_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        yield server.app


@pytest.fixture(autouse=True)
def end_commands() -> Iterator[None]:
    yield
    if "cli.terminal" in sys.modules:
        sys.modules["cli.terminal"].end_all()


@attrs.frozen
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def errors(self) -> list[str]:
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


@pytest.fixture
def gemtune(capsys) -> Callable[..., Ran]:
    """Run a command in this process."""

    def run(*argv: object) -> Ran:
        code = main([str(argument) for argument in argv])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def rows(tmp_path) -> Path:
    """A file of three examples."""
    path = tmp_path / "rows.csv"
    path.write_text("text_input,output\n1,2\nthree,four\n六,七\n", encoding="utf-8")
    return path


@pytest.fixture
def tuned(app, gemtune, rows) -> str:
    """The name of a tuned model that is ready."""
    assert gemtune("tune", rows, "--base", BASE, "--id", "my-model", "--display-name", "Mine").code == 0
    app.clock.advance(HOUR)
    return "tunedModels/my-model"


@pytest.fixture
def command() -> list[str]:
    """The beginning of a command line for another process."""
    return [sys.executable, "-m", "gemtune"]


@pytest.fixture
def no_credentials(app, monkeypatch, tmp_path) -> None:
    """An environment in which no credential can be found, and nobody is asked for one."""
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", os.defpath)
