"""Files of rows: read as far ahead as some rows and bytes go, streamed from pipes, and told where they are wrong."""

import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.batch.files import FileRows, Layout
from gemtune.emulator import create_app, running_emulator
from gemtune.errors import InvalidInput
from gemtune.rows import tables

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

    with pytest.raises(InvalidInput, match=r"line 3001, column 1: the byte 0xff is not UTF-8"):
        await read()
    assert set(found) == {"one"}


def test_a_field_may_be_longer_than_pythons_limit(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f'prompt\n"{"x" * 200_000}"\nok\n')
    assert list(map(len, FileRows(path))) == [200_000, 2]


def test_readers_side_by_side_leave_pythons_limit_as_they_found_it():
    before, found = csv.field_size_limit(), []
    started, finish = threading.Event(), threading.Event()

    def read(lines):
        found.extend(len(row["prompt"]) for _, row in tables.table(lines, ",", lambda names: names))

    def later_lines():
        yield "prompt\n"
        yield '"'
        started.set()  # in the middle of a row, and there it stays until the other reader has ended
        finish.wait(5)
        yield f'{"x" * 200_000}"\n'

    def earlier_lines():
        yield "prompt\n"
        yield '"'
        later.start()
        started.wait(5)
        yield f'{"x" * 300_000}"\n'

    later = threading.Thread(target=read, args=(later_lines(),))
    read(earlier_lines())
    finish.set()
    later.join()
    assert found == [300_000, 200_000]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_two_columns_of_one_name_are_refused_with_it(tmp_path, name):
    path = tmp_path / name
    path.write_text("key,prompt,lang,prompt,lang\n1,a,b,c,d\n".replace(",", "," if name == "in.csv" else "\t"))
    with pytest.raises(InvalidInput, match="has more than one column called 'prompt', 'lang': rename them"):
        list(FileRows(path))


def test_a_row_of_empty_cells_is_blank(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("key,prompt,,\n1,a,,\n,,,\n2,b,,\n")
    assert list(FileRows(path)) == [("1", "a"), ("2", "b")]


def test_a_line_nested_too_deeply_fails_alone(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('"a"\n' + "[" * 200_000 + '\n"b"\n')
    first, deep, last = FileRows(path)
    assert (first, last) == ("a", "b")
    assert isinstance(deep, InvalidInput)
    assert "nested too deeply" in str(deep)


def test_the_index_that_pandas_writes_is_no_prompt(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(",prompt,lang\n0,hello,fr\n")
    assert list(FileRows(path)) == ["hello"]
    assert list(FileRows(path, Layout(key=""))) == [("0", "hello")]


def test_text_and_numbers_beside_contents_are_the_users_own_and_not_sent(tmp_path):
    path = tmp_path / "in.jsonl"
    asked = {"contents": "a", "generation_config": {"topK": 3}, "cachedContent": "cachedContents/x"}
    path.write_text(json.dumps(asked | {"key": "k", "id": 7, "label": "good", "weight": 0.5, "seen": True, "by": None}))
    assert list(FileRows(path)) == [("k", asked)]
    path = tmp_path / "in.csv"
    path.write_text(",id,contents,label\n0,7,hello,good\n")
    assert list(FileRows(path)) == [{"contents": "hello"}]
    assert list(FileRows(path, Layout(key="id"))) == [("7", {"contents": "hello"})]


@pytest.mark.parametrize("name", ["config", "generationConfg", "labels"])
@pytest.mark.parametrize("value", [{"temperature": 1}, ["x"]])
def test_what_may_be_meant_for_the_request_and_is_no_field_of_it_is_refused_with_its_row(tmp_path, name, value):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ({"contents": "a", name: value}, {"contents": "b"})))
    first, second = FileRows(path)
    assert isinstance(first, InvalidInput)
    assert first.field == name
    assert f"{name!r} is not a field of a request" in str(first)
    assert '{"key": ..., "request": {...}}' in str(first)
    assert second == {"contents": "b"}


@pytest.mark.parametrize("layout", [{"prompt": "promt"}, {"template": "{promt}"}, {"key": "promt"}])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_a_name_that_no_column_has_fails_the_file_and_not_each_row(tmp_path, name, layout):
    path = tmp_path / name
    path.write_text("prompt,lang\na,fr\n" if name == "in.csv" else '{"prompt": "a", "lang": "fr"}\n')
    with pytest.raises(InvalidInput, match="there is no column 'promt', only 'prompt', 'lang'"):
        list(FileRows(path, Layout(**layout)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"one\ntwo \xc3\xa9\nth\xe9 three\n",
            ", line 3, column 3: the byte 0xe9 is not UTF-8: save the file as UTF-8",
        ),
        ("one\n".encode("utf-16"), " is UTF-16: save it as UTF-8"),
        (gzip.compress(b"one\n", mtime=0), " is compressed with gzip: unpack it, or let zcat write it to a pipe"),
        (b"(\xb5/\xfd\x04", " is compressed with zstd: unpack it, or let zstdcat write it to a pipe"),
        (b"PK\x03\x04\x14\0", " is a zip archive or a spreadsheet: save its rows as CSV, in UTF-8"),
        (b"PAR1\x15\x04", " is a Parquet file: save its rows as JSONL"),
    ],
)
@pytest.mark.parametrize("name", ["in.txt", "in.csv", "in.jsonl"])
def test_bytes_that_are_no_text_are_told_with_their_place_or_what_they_are(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content.replace(b"one\n", b"prompt\n") if name == "in.csv" else content)
    with pytest.raises(InvalidInput) as caught:
        list(FileRows(path))
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize(
    ("content", "line"), [('prompt\n"a "b" c"\n', 2), ('prompt\n\n"a\nb"\nok\n"c\nd\n', 6), ('"prompt\n', 1)]
)
def test_quotes_that_do_not_match_are_told_with_the_line_in_which_their_row_begins(tmp_path, content, line):
    path = tmp_path / "in.csv"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=rf"in.csv, line {line}: .*: check the quotes; inside quotes, write a"):
        list(FileRows(path))


@pytest.mark.parametrize("content", ['[\n  {"prompt": "a"}\n]\n', '[{"prompt": "a"}]', '{\n"prompt": "a"\n}', "[]"])
def test_one_json_document_is_no_file_of_rows(tmp_path, content):
    path = tmp_path / "in.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="in.json is one JSON document: write one object or string a line"):
        list(FileRows(path))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=20))
def test_any_lines_of_json_are_rows(prompts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.jsonl")
        path.write_text("".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in prompts), encoding="utf-8")
        assert list(FileRows(path)) == prompts


@pytest.mark.parametrize("name", ["in.txt", "in"])
def test_rows_of_json_are_not_asked_as_text_by_mistake(tmp_path, name):
    path = tmp_path / name
    path.write_text('{"prompt": "a"}\n')
    with pytest.raises(
        InvalidInput, match="holds JSON; pass format=.jsonl., or pass format=.text. to ask each line as it stands"
    ):
        list(FileRows(path))
    assert list(FileRows(path, format="jsonl")) == ["a"]
    assert list(FileRows(path, format="text")) == ['{"prompt": "a"}']
    path.write_text("{braces} are no JSON\n")
    assert list(FileRows(path)) == ["{braces} are no JSON"]


@pytest.mark.parametrize("content", ["hello\n", '"hello"\n'])
def test_a_line_of_text_is_its_prompt_column(tmp_path, content):
    path = tmp_path / ("in.jsonl" if content.startswith('"') else "in.txt")
    path.write_text(content)
    assert list(FileRows(path, Layout(template="Say {prompt}!"))) == ["Say hello!"]


@pytest.mark.parametrize("layout", [{"prompt": "x"}, {"key": "x"}, {"template": "{x}"}])
def test_lines_of_text_have_no_other_columns(tmp_path, layout):
    path = tmp_path / "in.txt"
    path.write_text("hello\n")
    with pytest.raises(
        InvalidInput, match="there is no column 'x', only 'prompt'; .*, or pass format='csv' if it is a table"
    ):
        list(FileRows(path, Layout(**layout)))
    with pytest.raises(
        InvalidInput, match="there is no column 'x', only 'prompt'; choose one of these for (key|prompt|template)$"
    ):
        list(FileRows(path, Layout(**layout), "text"))


@pytest.mark.parametrize("content", ["key,question\na,hello\n", "hello\nworld\n", ",question\n0,hello\n"])
@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_the_only_column_of_a_table_is_not_taken_for_the_prompt_by_itself(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content if name == "in.csv" else content.replace(",", "\t"))
    column = "hello" if content.startswith("hello") else "question"
    with pytest.raises(InvalidInput, match=f"no column 'prompt', only .*'{column}'; choose one of these for prompt"):
        list(FileRows(path))
    assert len(list(FileRows(path, Layout(prompt=column)))) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.csv", "key;prompt\na;hello\n", "is separated by ';', not by ','; pass delimiter=';'"),
        ("in.csv", "key;prompt\na;hello, you\n", "is separated by ';', not by ','; pass delimiter=';'"),
        ("in.csv", '"key";"prompt"\n"a";"hello"\n', "is separated by ';', not by ','; pass delimiter=';'"),
        ("in.csv", "key\tprompt\na\thello\n", "is separated by tabs, not by ','; pass format='tsv'"),
        ("in.tsv", "key,prompt\na,hello\n", "is separated by ',', not by tabs; pass format='csv'"),
        ("in.tsv", "key;prompt\na;hello\n", "is separated by ';', not by tabs; pass delimiter=';'"),
        ("in.csv", "key|prompt\na|hello\n", "is separated by '|', not by ','; pass delimiter='|'"),
    ],
)
@pytest.mark.parametrize("layout", [{}, {"template": "Say {prompt}"}, {"prompt": "prompt"}])
def test_a_table_with_another_separator_is_refused_with_its_name(tmp_path, name, content, message, layout):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInput) as caught:
        list(FileRows(path, Layout(**layout)))
    assert str(caught.value) == f"{path} {message}"


def test_a_line_that_names_the_separator_is_no_heading(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("sep=;\r\nkey;prompt\r\na;hello, you\r\n")
    assert list(FileRows(path, delimiter=";")) == [("a", "hello, you")]
    with pytest.raises(InvalidInput, match="is separated by ';', not by ','; pass delimiter=';'"):
        list(FileRows(path))


def test_a_separator_may_be_told_and_a_name_may_hold_another(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text('key;prompt\na;"hello; you"\n')
    assert list(FileRows(path, delimiter=";")) == [("a", "hello; you")]
    path.rename(tmp_path / "in.dat")
    assert list(FileRows(tmp_path / "in.dat", delimiter=";")) == [("a", "hello; you")]
    path.write_text("what; or who?\nme\n")
    assert list(FileRows(path, Layout(prompt="what; or who?"))) == ["me"]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r"])
def test_what_cannot_separate_is_refused(delimiter):
    with pytest.raises(InvalidInput, match="delimiter is one character, and no quote or line end, not "):
        FileRows("in.csv", delimiter=delimiter)


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
def test_only_a_table_has_a_separator(tmp_path, name):
    (tmp_path / name).write_text('"a"\n')
    with pytest.raises(InvalidInput, match="only a table has a delimiter, and the input is read as jsonl"):
        list(FileRows(tmp_path / name, delimiter=";"))


@pytest.mark.parametrize("name", ["in.dat", "in.txt"])
@pytest.mark.parametrize(
    ("content", "layout", "fix"),
    [
        ("key,prompt\na,hello\n", {}, "format='csv'"),
        ("prompt\nhello\n", {}, "format='csv'"),
        ("key,prompt\na,hello\n", {"template": "Say {prompt}"}, "format='csv'"),
        ('"id","text"\n1,"hello"\n', {"prompt": "text"}, "format='csv'"),
        ("id\ttext\n1\thello\n", {"template": "Say {text}"}, "format='tsv'"),
        ("id;text\n1;hello\n", {"prompt": "text"}, "delimiter=';'"),
    ],
)
def test_a_table_is_not_asked_as_text_by_mistake(tmp_path, name, content, layout, fix):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInput) as caught:
        list(FileRows(path, Layout(**layout)))
    told = f"begins like a table; pass {fix}, or pass format='text' to ask each line as it stands"
    assert str(caught.value) == f"{path} {told}"


def test_lines_that_only_talk_of_a_prompt_are_text(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("write me a prompt, please\nthe prompt; again\n")
    assert list(FileRows(path)) == ["write me a prompt, please", "the prompt; again"]
    path.write_text("key,prompt\na\n")
    assert list(FileRows(path, format="text")) == ["key,prompt", "a"]


def test_a_template_has_a_column():
    with pytest.raises(InvalidInput, match="template 'hello {{x}}' names no column: write {column} to"):
        Layout(template="hello {{x}}")


def test_a_column_of_a_table_is_looked_for_in_its_first_line(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2,3\n1,2\n")
    with pytest.raises(InvalidInput, match="no column 'prompt', only 'a', 'b'; choose one of these for prompt"):
        next(iter(FileRows(path)))
    path.write_text("prompt,b\n1,2,3\n1,2\n")
    first, second = FileRows(path)
    assert "this row has 3 columns, and the first has 2: check its quotes" in str(first)
    assert second == "1"


def test_what_cannot_be_a_file_of_rows_is_told_before_anything_is_asked(tmp_path):
    for name, content in {"empty.txt": "", "blank.jsonl": "\n \n", "header.csv": "prompt\n"}.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InvalidInput, match=f"{name} holds no rows: there is nothing to ask"):
            FileRows(tmp_path / name).check()
    with pytest.raises(InvalidInput, match="is a directory: name a file in it"):
        FileRows(tmp_path).check()
    with pytest.raises(InvalidInput, match="there is no file .*none.txt"):
        FileRows(tmp_path / "none.txt").check()


def test_looking_takes_nothing_out_of_a_pipe(pipe):
    path, fd = pipe
    os.set_blocking(fd, False)
    os.write(fd, b"one\n")
    FileRows(path).check()
    assert os.read(fd, 10) == b"one\n"


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
