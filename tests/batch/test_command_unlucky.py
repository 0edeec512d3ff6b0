"""``gemtune batch`` in odd places and bad hours: what it has paid for is written, and nobody else's file is touched."""

import io
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

import anyio
import attrs
import pytest

from batch.service import MODEL
from batch.test_journal import opened
from gemtune import errors
from gemtune.batch.journal import export
from gemtune.batch.progress import RunTally
from gemtune.cli.batch.bar import Bar, Stall
from gemtune.cli.console import Console, NoteHandler
from gemtune.show.picture import BatchPicture

pytestmark = pytest.mark.socket


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("a\nb\nc\n")
    return tmp_path


def keys(path):
    return [json.loads(line)["key"] for line in Path(path).read_text().splitlines()]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no shared memory here")
def test_an_output_in_shared_memory_is_a_file_like_any_other(gemtune, folder):
    place = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="gemtune-test-"))
    try:
        assert gemtune("batch", "in.txt", place / "out", "--model", MODEL).code == 0
        assert keys(place / "out") == [0, 1, 2]
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("output", ["/dev/new", "/dev/stdout", "/dev/fd/1", "/dev/fd/99", "/proc/self/fd/1"])
def test_a_name_that_stands_for_what_is_open_is_no_output(gemtune, folder, output):
    ran = gemtune("batch", "in.txt", output, "--model", MODEL)
    assert ran.code == 2
    assert f"{output} is not a file of its own: give - as OUTPUT" in ran.err


def test_no_other_run_begins_while_the_output_is_written(gemtune, folder, monkeypatch):
    plain, met = export.write_lines, []

    def slow(lines, to):
        with pytest.raises(errors.JournalBusy) as caught:
            opened(folder / "out.journal")
        met.append(caught.value)
        return plain(lines, to)

    monkeypatch.setattr(export, "write_lines", slow)
    assert gemtune("batch", "in.txt", "out", "--model", MODEL).code == 0
    assert len(met) == 1
    assert keys("out") == [0, 1, 2]


def test_files_beside_the_output_are_nobodys_to_take(gemtune, folder):
    Path("out.part").write_text("mine")
    assert gemtune("batch", "out.part", "out", "--model", MODEL).code == 0
    assert Path("out.part").read_text() == "mine"
    assert keys("out") == [0]


@attrs.define
class Broken:
    """A standard error that nobody reads any more, or that lies on a full disk."""

    error: Exception
    terminal: bool = False
    encoding: str = "utf-8"

    def isatty(self):
        return self.terminal

    def write(self, _):
        raise self.error

    def flush(self):
        raise self.error


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "full"), ValueError("closed")], ids=repr)
async def test_progress_that_cannot_be_shown_does_not_end_a_run(error, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    console = Console(err=Broken(error, terminal))
    bar, looks = Bar(console, quiet_output=True, stall=Stall(patience=0.01)), []

    class Results:
        def statistics(self):
            looks.append(1)
            if len(looks) == 3:
                scope.cancel()
            return RunTally(0.0).statistics(1.0, waiting=0, total=3, limit="waiting for the input")

        def picture(self):
            return BatchPicture(title="m", total=3, held_back="waiting for the input")

    with anyio.CancelScope() as scope:
        await bar.watch(Results())
    assert len(looks) == 3


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed")], ids=repr)
def test_a_note_that_cannot_be_written_does_not_disturb_what_is_noted(error):
    log = logging.getLogger("gemtune-test")
    log.addHandler(NoteHandler(Console(err=Broken(error))))
    log.warning("the service is pushing back")


HOSTILE = ["\x9b2J", "\u202egpj.exe", "\x1b]0;title\x07", "\u200b", "\x85", "half \ud83d", "İstanbul ⟶ Ω 😀"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_reply_does_not_control_the_terminal_and_a_pipe_gets_it_as_it_is(text, terminal):
    out = io.StringIO()
    out.isatty = lambda: terminal
    line = json.dumps({"key": 0, "response": text}, ensure_ascii=False)
    Console(out=out).json_line(line)
    written = out.getvalue()
    assert json.loads(written) == {"key": 0, "response": text}
    assert terminal or written == f"{line}\n"
    assert text != HOSTILE[-1] or text in written
    assert not terminal or written.removesuffix("\n").isprintable()
