"""What ``gemtune batch`` refuses: in one line that says what, where and what to do, and nothing is left behind."""

import gzip
import os
import re

import pytest

from batch.service import MODEL
from gemtune.emulator import Fault, create_app, running_emulator

pytestmark = pytest.mark.socket

FILES = {
    "in.txt": b"a\nb\nc\n",
    "in.csv": b"a,b\n1,2\n",
    "one.csv": b"question\nwho?\n",
    "semi.csv": b"key;prompt\na;hello\n",
    "tabs.csv": b"key\tprompt\na\thello\n",
    "table.dat": b"id,text\n1,hello\n",
    "ok.csv": b"prompt,n\nx,1\n",
    "quotes.csv": b'prompt\n"a "b" c"\n',
    "latin1.txt": b"th\xe9\n",
    "utf16.txt": "a\n".encode("utf-16"),
    "in.txt.gz": gzip.compress(b"a\n"),
    "empty.txt": b"",
    "array.json": b'[{"prompt": "a"}]',
    "lines": b'{"prompt": "a"}\n',
    "old": b"precious",
    "half.journal": b"not one of ours\n",
    "done": b"answers\n",
    "done.journal": b"{}\n",
    "folder/in": b"a\n",
    "new.journal": b"a\n",
}
NUMBER = "neither auto nor a whole number from 1"
REFUSED = {
    "none.txt out": "there is no file none.txt",
    "folder out": "folder is a directory: name a file in it",
    "empty.txt out": "empty.txt holds no rows: there is nothing to ask",
    "in.csv out": "there is no column 'prompt', only 'a', 'b'; choose one of these for --prompt-column",
    "one.csv out": "there is no column 'prompt', only 'question'; choose one of these for --prompt-column",
    "semi.csv out": "semi.csv is separated by ';', not by ','; pass --delimiter ';'",
    "tabs.csv out": "tabs.csv is separated by tabs, not by ','; pass --format tsv",
    "table.dat out --prompt-column text": (
        "table.dat begins like a table; pass --format csv, or pass --format text to ask each line as it stands"
    ),
    "table.dat out --template {txt}": (
        "there is no column 'txt', only 'prompt'; choose one of these for --template, or pass --format csv "
        "if it is a table"
    ),
    "table.dat out --prompt-column txt": (
        "there is no column 'txt', only 'prompt'; choose one of these for --prompt-column, or pass --format csv "
        "if it is a table"
    ),
    "semi.csv out --delimiter ab": "--delimiter is one character, and no quote or line end, not 'ab'",
    "in.csv out --prompt-column A": "there is no column 'A', only 'a', 'b'; choose one of these for --prompt-column",
    "in.csv out --prompt-column a --key-column id": (
        "there is no column 'id', only 'a', 'b'; choose one of these for --key-column"
    ),
    "in.csv out --template {a}{c}": "there is no column 'c', only 'a', 'b'; choose one of these for --template",
    "in.csv out --template a": "--template 'a' names no column: write {column} to insert its text",
    "quotes.csv out": (
        "quotes.csv, line 2: ',' expected after '\"': check the quotes; inside quotes, write a quote twice"
    ),
    "latin1.txt out": "latin1.txt, line 1, column 3: the byte 0xe9 is not UTF-8: save the file as UTF-8",
    "utf16.txt out": "utf16.txt is UTF-16: save it as UTF-8",
    "in.txt.gz out": "in.txt.gz is compressed with gzip: unpack it, or let zcat write it to a pipe",
    "array.json out": "array.json is one JSON document: write one object or string a line, as jq -c '.[]' does",
    "lines out": "lines holds JSON; pass --format jsonl, or pass --format text to ask each line as it stands",
    "in.txt old": "old exists, without a journal to resume from: remove it, or name another OUTPUT",
    "in.txt old --resume": "old exists, without a journal to resume from: remove it, or name another OUTPUT",
    "in.txt done": (
        "done.journal holds the answers of an earlier run: --resume continues from there; "
        "to begin again, remove done.journal and done"
    ),
    "in.txt half": (
        "half.journal holds the answers of an earlier run: --resume continues from there; "
        "to begin again, remove half.journal"
    ),
    "in.txt half --resume": re.compile(
        "the journal /.*half.journal is not the journal of a batch; nothing was changed in it; "
        "use what it was begun with, or name another OUTPUT"
    ),
    "in.txt no/folder/out": "there is no folder no/folder: make it, or name another OUTPUT",
    "in.txt folder": "folder is a directory: name a file in it as OUTPUT",
    "in.txt ./in.txt": "in.txt is the INPUT: name another OUTPUT",
    "new.journal new": "OUTPUT is written by way of new.journal, and that is the INPUT: name another OUTPUT",
    "in.txt /dev/null": "/dev/null is not a file of its own: give - as OUTPUT, and redirect standard output there",
    "in.txt - --resume": "standard output cannot be resumed: name an OUTPUT file",
    "in.txt out --concurrency 0": (
        "--concurrency must be a whole number from 1 to 1000 (the connections of one client), not 0"
    ),
    "in.txt out --concurrency -1": f"argument --concurrency: '-1' is {NUMBER} (see: gemtune batch --help)",
    "in.txt out --concurrency abc": f"argument --concurrency: 'abc' is {NUMBER} (see: gemtune batch --help)",
    "in.txt out --rpm 0": "--rpm must be a positive number, not 0.0",
    "in.txt out --tpm x": "argument --tpm: 'x' is not a number (see: gemtune batch --help)",
    "in.txt out --rpd 0": "argument --rpd: '0' is not a whole number from 1 (see: gemtune batch --help)",
    "in.txt out --temperature nan": "argument --temperature: 'nan' is not a number (see: gemtune batch --help)",
    "in.txt out --generation-config {": (
        "argument --generation-config: '{' is not a JSON object (see: gemtune batch --help)"
    ),
    'in.txt out --generation-config {"topP":"x"}': "--generation-config: topP should be a number",
}


@pytest.mark.parametrize(
    "given",
    ['{"a":' * 20_000, '{"responseSchema":' + '{"items":' * 500 + "{}" + "}" * 501, '{"topK":' + "9" * 5_000 + "}"],
)
def test_a_generation_config_that_is_nested_deeply_or_holds_a_huge_number_is_refused_in_one_line(
    gemtune, folder, given
):
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--generation-config", given)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err) < 300
    assert "--generation-config" in ran.err
    assert "Traceback" not in ran.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with all kinds of files, in which the command runs; a function that tells what is in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return lambda: {
        path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_work_is_refused_in_one_line_before_anything_is_sent(gemtune, app, folder, arguments):
    ran = gemtune("batch", *arguments.split(" "), "--model", MODEL)
    assert (ran.code, ran.out) == (2, "")
    message = REFUSED[arguments]
    if isinstance(message, str):
        assert ran.err == f"error: {message}\n"
    else:
        assert message.fullmatch(ran.err.removeprefix("error: ").removesuffix("\n"))
    assert folder() == FILES
    assert len(app.requests) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "models/gemini-2.5-pro"], f"belongs to a batch on {MODEL}, not on models/gemini-2.5-pro; "),
        (["--temperature", "1"], "with another generation config; "),
        (["--system", "x"], "with another system instruction; "),
        (["--system", "x", "--temperature", "1"], "with another generation config and system instruction; "),
    ],
)
def test_a_journal_of_another_run_is_refused_and_kept(batch, folder, arguments, message):
    assert batch("in.txt").code == 0
    before = folder()
    ran = batch("in.txt", "--resume", *arguments)
    (line,) = ran.err.splitlines()
    assert ran.code == 2
    assert message in line
    assert line.endswith("use what it was begun with, or name another OUTPUT")
    assert folder() == before


def test_a_journal_of_another_input_is_refused_and_kept(batch, folder):
    assert batch("in.txt").code == 0
    before = folder()
    ran = batch("ok.csv", "--resume")
    assert ran.code == 2
    assert ran.err == (
        "error: row 1 was answered before with another content; "
        "use the input that the journal was begun with, or name another OUTPUT\n"
    )
    assert folder() == before


def test_a_model_that_is_not_there_leaves_nothing_behind(gemtune, folder):
    ran = gemtune("batch", "in.txt", "out", "--model", "models/none")
    (line,) = ran.err.splitlines()
    assert ran.code == 4
    assert line.startswith("error: the batch on models/none stopped: ")
    assert "models/none is not found" in line
    assert "answered" not in line
    assert folder() == FILES


def test_a_missing_credential_leaves_nothing_behind(gemtune, folder, monkeypatch, tmp_path):
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": "no", "HOME": "no", "PATH": os.defpath}.items():
        monkeypatch.setenv(name, value)
    ran = gemtune("batch", "in.txt", "out", "--model", MODEL)
    (line,) = ran.err.splitlines()
    assert ran.code == 3
    assert "no Google credential was found" in line
    assert "gcloud auth application-default login" in line
    assert folder() == FILES


def test_a_key_that_is_refused_leaves_nothing_behind(gemtune, folder):
    with running_emulator(create_app(clock="real", auth="strict")) as server:
        ran = gemtune("batch", "in.txt", "out", "--model", MODEL, "--base-url", server.url)
    (line,) = ran.err.splitlines()
    assert ran.code == 3
    assert "API key not valid" in line
    assert "key-of-the-tests" not in line
    assert folder() == FILES


def test_a_service_that_is_away_is_what_a_time_out_names(gemtune, folder):
    ran = gemtune(
        "batch",
        "in.txt",
        "out",
        "--model",
        MODEL,
        *["--timeout", "1s", "--concurrency", "1", "--base-url", "http://127.0.0.1:9"],
    )
    (line,) = ran.err.splitlines()
    assert ran.code == 124
    assert line.startswith("error: the batch was not done within 1 s (the service does not answer")
    assert folder() == FILES


def test_what_fails_for_its_own_reasons_is_named_and_the_rest_is_answered(batch, folder, tmp_path):
    (tmp_path / "mixed.jsonl").write_text('{"key": "a", "prompt": "x"}\n{"prompt": "y\n{"key": "a", "prompt": "z"}\n')
    ran = batch("mixed.jsonl")
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert last == "the first that failed: row 2: this line is not JSON: Invalid control character (column 14)"
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    (tmp_path / "twice.jsonl").write_text('{"key": "a", "prompt": "x"}\n{"key": "a", "prompt": "z"}\n')
    ran = batch("twice.jsonl", output="2.jsonl")
    assert ran.code == 1
    assert ran.err.endswith("row 2: the key 'a' was used before, in row 1: give each row its own\n")


def test_what_the_service_refuses_is_named_with_its_row(batch, app, folder):
    app.faults.add(Fault(method="models.generateContent", status=400, message="a bad day"))
    ran = batch("in.txt", "--concurrency", "1")
    assert ran.code == 1
    told, first = ran.err.splitlines()
    assert told.startswith("2 answered, 1 failed: 3 lines in ")
    assert first.startswith("the first that failed: row 1: ")
    assert "a bad day" in first


def test_a_byte_order_mark_line_ends_of_windows_and_a_very_long_line_are_nothing_special(batch, folder, tmp_path):
    long = "x" * 3_000_000
    (tmp_path / "w.jsonl").write_bytes(b"\xef\xbb\xbf" + b'{"prompt": "a"}\r\n{"prompt": "%b"}\r\n' % long.encode())
    assert batch("w.jsonl").code == 0
    assert long in (tmp_path / "out.jsonl").read_text().splitlines()[1]


def test_requests_of_a_day_end_the_run_and_it_goes_on_another_day(batch, app, folder, tmp_path):
    ran = batch("in.txt", "--rpd", "2", "--concurrency", "1")
    assert ran.code == 5
    error, hint = ran.err.splitlines()
    assert "the 2 requests a day that you allow are used up" in error
    assert "; 2 answered, 0 failed; " in error
    assert hint.endswith("resume with the same command and --resume")
    assert batch("in.txt", "--resume", "--rpd", "2").code == 0
    assert len(app.requests.of("models.generateContent")) == 3


def test_the_rest_of_the_generation_config_is_json(batch, app, folder):
    more = '{"topP": 0.5, "seed": 7, "temperature": 1}'
    assert batch("in.txt", "--generation-config", more, "--temperature", "0.5").code == 0
    body = app.requests.of("models.generateContent")[0].body
    assert re.search(rb'"generationConfig":\s*\{[^}]*\}', body)
    for part in (b'"topP":0.5', b'"seed":7', b'"temperature":0.5'):
        assert part in body.replace(b" ", b"")
