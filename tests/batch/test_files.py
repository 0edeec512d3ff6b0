"""Files of rows: read as far ahead as some rows and bytes go, streamed from pipes, and told where they are wrong."""

import json
import os
import subprocess
import sys
import threading

import anyio
import pytest

from gemtune.batch.files import FileRows, Layout
from gemtune.emulator import create_app, running_emulator
from gemtune.errors import InvalidInput

MODEL = "models/gemini-3.7-flash"


@pytest.fixture
def pipe(tmp_path):
    """A named pipe with text in it, that somebody still may write to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    yield path, fd
    os.close(fd)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "gemtune-rows"]


@pytest.mark.both_backends
@pytest.mark.parametrize(("size", "most"), [(3_000_000, 4), (10, 201)])
async def test_a_file_is_read_ahead_by_some_rows_and_some_bytes(tmp_path, monkeypatch, size, most):
    path, count = tmp_path / "in.txt", 1000 if size < 1000 else 12
    path.write_text("".join(f"{n}{'x' * size}\n" for n in range(count)))
    made = []
    plain = Layout.row
    monkeypatch.setattr(Layout, "row", lambda layout, value: made.append(1) or plain(layout, value))
    rows = aiter(FileRows(path))
    taken = 0
    async for _ in rows:
        taken += 1
        await anyio.lowlevel.checkpoint()
        assert len(made) - taken <= most
    assert taken == count


@pytest.mark.both_backends
async def test_the_rows_of_a_pipe_are_there_as_they_are_written_and_nobody_waits_for_the_rest(pipe):
    path, fd = pipe
    before = len(threads())
    with anyio.fail_after(5):
        rows = aiter(FileRows(path))
        for n in range(3):
            os.write(fd, b"row %d\n" % n)
            assert await anext(rows) == f"row {n}"
        with anyio.move_on_after(0.02) as scope:
            await anext(rows)
        assert scope.cancelled_caught
        await rows.aclose()
    assert all(thread.daemon for thread in threads())
    os.write(fd, b"one more for the thread, that looks up and ends\n")
    with anyio.fail_after(5):
        while len(threads()) > before:
            await anyio.lowlevel.checkpoint()


async def test_an_error_in_the_file_comes_after_the_rows_before_it(tmp_path):
    path = tmp_path / "in.txt"
    path.write_bytes(b"one\n" * 3000 + b"\xff\n")
    found = []

    async def read():
        async for row in FileRows(path):
            found.append(row)

    with pytest.raises(InvalidInput, match="this is not UTF-8"):
        await read()
    assert set(found) == {"one"}


def test_a_field_may_be_longer_than_pythons_limit(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f'prompt\n"{"x" * 200_000}"\nok\n')
    assert list(map(len, FileRows(path))) == [200_000, 2]


def test_a_line_nested_too_deeply_fails_alone(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('"a"\n' + "[" * 200_000 + '\n"b"\n')
    first, deep, last = FileRows(path)
    assert (first, last) == ("a", "b")
    assert isinstance(deep, InvalidInput)
    assert "nested too deeply" in str(deep)


def test_the_index_that_pandas_writes_is_no_prompt(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(",question\n0,hello\n1,world\n")
    assert list(FileRows(path)) == ["hello", "world"]
    path.write_text(",prompt,lang\n0,hello,fr\n")
    assert list(FileRows(path)) == ["hello"]
    assert list(FileRows(path, Layout(key=""))) == [("0", "hello")]


@pytest.mark.parametrize("layout", [{"prompt": "promt"}, {"template": "{promt}"}, {"key": "promt"}])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_a_name_that_no_column_has_fails_the_file_and_not_each_row(tmp_path, name, layout):
    path = tmp_path / name
    path.write_text("prompt,lang\na,fr\n" if name == "in.csv" else '{"prompt": "a", "lang": "fr"}\n')
    with pytest.raises(InvalidInput, match="there is no column 'promt', only 'prompt', 'lang'"):
        list(FileRows(path, Layout(**layout)))


@pytest.mark.socket
@pytest.mark.parametrize("how", ["a timeout", "a bad model", "an answer"])
def test_the_command_streams_standard_input_and_ends_while_it_is_open(how):
    with running_emulator(create_app(clock="real")) as server:
        environment = os.environ | {"GOOGLE_GEMINI_BASE_URL": server.url, "GOOGLE_API_KEY": "key-of-the-tests"}
        command = [sys.executable, "-m", "gemtune", "batch", "-", "-"]
        command += ["--model", "models/none" if how == "a bad model" else MODEL]
        command += ["--timeout", "0.3"] if how == "a timeout" else []
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
            process.stdin.write(b"a\n")
            process.stdin.flush()
            if how == "an answer":
                assert json.loads(process.stdout.readline())["key"] == 0
                process.terminate()
                assert process.wait(20) != 0
            else:
                assert process.wait(20) == {"a timeout": 124, "a bad model": 4}[how]
                assert b"Fatal Python error" not in process.stderr.read()
