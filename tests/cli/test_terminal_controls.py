"""What others say may control a terminal: it never reaches one as it is, and a file or a pipe gets it unchanged."""

import io
import json
from collections.abc import Callable

import pytest

from cli.conftest import BASE
from gemtune.cli.console import Console, Styled
from gemtune.emulator import create_app, running_emulator

# A C0 escape, a C1 introducer (CSI), an OSC that sets a title, a bidi override, a delete, a line separator.
EVIL = "a\x1b[2J b\x9b31m c\x1b]0;title\x07 d\u202ee f\x7fg\u2028h\r"
FINE = "中文　かな 👩\u200d🚀 naïve\u00a0é می\u200cخ"

pytestmark = pytest.mark.socket


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def controls(text: str) -> str:
    return "".join(char for char in text if not char.isprintable() and char not in "\n\u200c\u200d")


@pytest.fixture
def evil(monkeypatch):
    """A service whose every word is evil, and the environment that leads to it."""
    with running_emulator(create_app(clock="stepped", answers=lambda *_: EVIL + FINE)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "k")
        yield server.app


@pytest.fixture
def terminal(monkeypatch):
    """Make terminals of both output streams; what it returns says what was shown on them."""

    def begin() -> Callable[[], tuple[str, str]]:
        out, err = Terminal(), Terminal()
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TERM", "dumb")
        return lambda: (out.getvalue(), err.getvalue())

    return begin


ASKED = {
    "plain": ["generate", "x", "--model", BASE],
    "json": ["generate", "x", "--model", BASE, "--json"],
    "stream": ["generate", "x", "--model", BASE, "--stream"],
    "stream as json": ["generate", "x", "--model", BASE, "--stream", "--json"],
    "batch": ["batch", "in.txt", "-", "--model", BASE],
    "jobs": ["jobs", "list"],
    "jobs as json": ["jobs", "list", "--json"],
    "job": ["jobs", "get", "evil"],
    "job as json": ["jobs", "get", "evil", "--json"],
    "an error": ["jobs", "get", "none\x9b\u202e"],
}


@pytest.mark.parametrize("argv", ASKED.values(), ids=ASKED)
def test_no_command_lets_them_through_to_a_terminal(evil, gemtune, terminal, rows, tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one\n")
    gemtune("tune", rows, "--base", BASE, "--id", "evil", "--display-name", EVIL[:40], "--description", EVIL)
    shown = terminal()
    gemtune(*argv)
    out, err = shown()
    assert controls(out + err) == ""
    assert "2J" in out or "must look like" in err


@pytest.mark.parametrize("argv", [ASKED["plain"], ASKED["stream"]])
def test_a_pipe_gets_a_reply_as_it_is(evil, gemtune, argv):
    assert gemtune(*argv).out == f"{EVIL}{FINE}\n"


@pytest.mark.parametrize("name", ["json", "batch"])
def test_json_means_the_same_on_a_terminal(evil, gemtune, terminal, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("one\n")
    shown = terminal()
    gemtune(*ASKED[name])
    reply = json.loads(shown()[0])
    assert reply.get("response", reply)["candidates"][0]["content"]["parts"][0]["text"] == EVIL + FINE


def test_nothing_harmless_is_altered_on_a_terminal_but_the_width_of_a_space():
    out = Terminal()
    Console(out=out, err=Terminal(), color=False).print(FINE)
    assert out.getvalue() == f"{FINE}\n".replace("\u3000", " ").replace("\u00a0", " ")


def test_colour_is_put_on_after_the_rest_is_made_harmless(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    Console(out=out, err=Terminal()).print("a\x1b[31m", Styled("b\x1b[0m", "bold"))
    assert out.getvalue() == "a�[31m\x1b[1mb�[0m\x1b[0m\n"
