"""A command line that asks an emulator over a real socket."""

from collections.abc import Callable

import attrs
import pytest

from batch.service import MODEL
from gemtune.cli import main
from gemtune.emulator import create_app, running_emulator


@attrs.frozen
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture(params=[0.0])
def app(request, monkeypatch):
    """An emulator that takes so many seconds for an answer."""
    with running_emulator(create_app(clock="real", answer_seconds=request.param)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield server.app


@pytest.fixture
def gemtune(capsys, app) -> Callable[..., Ran]:
    def run(*argv: object) -> Ran:
        code = main([str(argument) for argument in argv])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def batch(gemtune, tmp_path) -> Callable[..., Ran]:
    """Run the command on ``in.*`` in the test's folder."""

    def run(name: str, *argv: object, output: str = "out.jsonl") -> Ran:
        target = output if output == "-" else tmp_path / output
        return gemtune("batch", tmp_path / name, target, "--model", MODEL, *argv)

    return run
