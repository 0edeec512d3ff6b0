"""``gemtune batch``: a file in, a file out, over a real socket."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from batch.service import MODEL
from gemtune.batch.files import FileRows, Layout
from gemtune.emulator import Fault
from gemtune.errors import InvalidInput

pytestmark = pytest.mark.socket


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(records: list[Any]) -> dict[Any, str]:
    return {
        record["key"]: record["response"]["candidates"][0]["content"]["parts"][0]["text"].split(" (emu")[0]
        for record in records
    }


def test_a_text_file_has_one_prompt_a_line(batch, tmp_path):
    (tmp_path / "in.txt").write_text("LXIII\n\nzwölf\r\n七", encoding="utf-8")
    ran = batch("in.txt")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"3 answered, 0 failed: 3 lines in {tmp_path / 'out.jsonl'}\n"
    assert texts(lines(tmp_path / "out.jsonl")) == {0: "LXIII", 1: "zwölf", 2: "七"}


def test_requests_in_the_form_of_the_services_own_batches(batch, app, tmp_path):
    requests = [
        {"key": "a", "request": {"contents": [{"parts": [{"text": "one"}]}], "generation_config": {"top_k": 3}}},
        {"key": "b", "request": {"contents": [{"parts": [{"text": "two"}]}], "generationConfig": {"topK": 4}}},
        {"key": "c", "request": {"contents": []}},
        {"key": 44, "contents": [{"parts": [{"text": "four"}]}]},
    ]
    text = "".join(json.dumps(request) + "\n" for request in requests)
    (tmp_path / "in.jsonl").write_text(text + "not json\n" + '"a bare prompt"\n')
    ran = batch("in.jsonl", "--temperature", "0.5", "--system", "be brief")
    assert ran.code == 1
    found = lines(tmp_path / "out.jsonl")
    assert [record["key"] for record in found] == ["a", "b", "c", 44, 4, 5]
    assert found[2]["error"]["code"] == 400
    assert found[2]["error"]["status"] == "INVALID_ARGUMENT"
    assert "row 3, key 'c': the request has no contents" in found[2]["error"]["message"]
    assert "row 5: this line is not JSON" in found[4]["error"]["message"]
    assert "4 answered, 2 failed" in ran.err
    answered = [record for record in found if "response" in record]
    assert texts(answered) == {"a": "one", "b": "two", 44: "four", 5: "a bare prompt"}


def test_columns_make_prompts(batch, tmp_path):
    (tmp_path / "in.csv").write_text('key,text,language\nx,"Hallo, {Welt}",French\ny,Danke,Turkish\n')
    assert batch("in.csv", "--template", "{{in}} {language}: {text}").code == 0
    assert texts(lines(tmp_path / "out.jsonl")) == {"x": "{in} French: Hallo, {Welt}", "y": "{in} Turkish: Danke"}
    assert batch("in.csv", "--prompt-column", "text", "--key-column", "language", output="2.jsonl").code == 0
    assert texts(lines(tmp_path / "2.jsonl")) == {"French": "Hallo, {Welt}", "Turkish": "Danke"}


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        ("prompt,b\n1,2,3\n", {}, "has 3 columns, and the first has 2"),
        ("prompt,b\n1\n", {}, "has 1 column, and the first has 2"),
    ],
)
def test_a_row_of_a_table_that_makes_no_prompt_says_why(tmp_path, content, layout, message):
    (tmp_path / "in.csv").write_text(content)
    (row,) = FileRows(tmp_path / "in.csv", Layout(**layout))
    assert isinstance(row, InvalidInput)
    assert message in str(row)


def test_a_prompt_column_needs_no_option_and_a_byte_order_mark_is_none(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbfkey,prompt\nk,what?\n")
    assert list(FileRows(tmp_path / "in.csv")) == [("k", "what?")]
    (tmp_path / "in.tsv").write_text('prompt\tother\n"a ""b"""\tc\n')
    assert list(FileRows(tmp_path / "in.tsv")) == ['a "b"']


def test_standard_output_gets_results_and_nothing_else(batch, tmp_path):
    (tmp_path / "in.txt").write_text("a\nb\nc\n")
    ran = batch("in.txt", output="-")
    assert ran.code == 0
    assert texts([json.loads(line) for line in ran.out.splitlines()]) == {0: "a", 1: "b", 2: "c"}
    assert ran.err == "3 answered, 0 failed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_standard_input_is_read_and_json_is_a_summary(batch, gemtune, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb\n"))
    ran = gemtune("batch", "-", tmp_path / "out.jsonl", "--model", MODEL, "--json")
    assert ran.code == 0
    summary = json.loads(ran.out)
    assert (summary["answered"], summary["failed"], summary["skipped"], summary["requests"]) == (2, 0, 0, 2)
    assert summary["prompt_tokens"] > 0
    assert ran.err == ""


def test_what_failed_is_asked_again_by_resume_and_a_second_run_by_mistake_is_refused(batch, app, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"p{n}\n" for n in range(10)))
    app.faults.add(Fault(method="models.generateContent", status=400, message="a bad day"))
    assert batch("in.txt", "--concurrency", "1").code == 1
    assert [("error" in record) for record in lines(tmp_path / "out.jsonl")] == [True] + [False] * 9
    refused = batch("in.txt")
    assert refused.code == 2
    assert "--resume continues from there" in refused.err
    ran = batch("in.txt", "--resume")
    assert ran.code == 0
    assert "1 answered, 0 failed, 9 from before: 10 lines" in ran.err
    assert len(app.requests.of("models.generateContent")) == 11
    assert texts(lines(tmp_path / "out.jsonl")) == {n: f"p{n}" for n in range(10)}
    assert batch("in.txt", "--resume").code == 0
    (tmp_path / "in.txt").write_text("other\n")
    changed = batch("in.txt", "--resume")
    assert changed.code == 2
    assert "row 1 was answered before with another content" in changed.err
    (tmp_path / "out.jsonl.journal").unlink()
    assert "exists, without a journal" in batch("in.txt", "--resume").err


def test_a_doomed_run_writes_no_output_and_says_how_to_go_on(batch, app, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"p{n}\n" for n in range(10)))
    app.faults.add(Fault(method="models.generateContent", status=403, message="not yours", times=50))
    ran = batch("in.txt")
    assert ran.code == 4
    assert "error: the batch on models/gemini-3.7-flash stopped: " in ran.err
    assert "--resume" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.jsonl.journal"]
    app.faults.clear()
    assert batch("in.txt", "--resume").code == 0
    assert len(lines(tmp_path / "out.jsonl")) == 10


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["in.txt", "out", "--template", "x", "--prompt-column", "y"], "not both"),
        (
            ["in.csv", "out", "--prompt-column", "promt"],
            "there is no column 'promt', only 'a', 'b'; choose one of these",
        ),
        (["in.csv", "out", "--template", "{a} {d}"], "there is no column 'd', only 'a', 'b'"),
        (["in.csv", "out", "--prompt-column", "a", "--key-column", "idd"], "there is no column 'idd', only 'a', 'b'"),
        (["in.jsonl", "out", "--prompt-column", "promt"], "there is no column 'promt', only 'prompt'"),
        (["in.jsonl", "out", "--key-column", "idd"], "there is no column 'idd', only 'prompt'"),
    ],
)
def test_wrong_arguments_are_told(gemtune, tmp_path, monkeypatch, argv, message):
    monkeypatch.chdir(tmp_path)
    contents = {"in.csv": "a,b\n1,2\n", "in.jsonl": '{"prompt": "x"}\n', "in.txt": "a\n"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    ran = gemtune("batch", *argv, "--model", MODEL)
    assert ran.code in {1, 2}
    assert message in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == list(contents)


SLOWLY = pytest.mark.parametrize("app", [0.05], indirect=True)


@SLOWLY
def test_on_a_terminal_a_line_tells_how_far_it_is_and_goes_away(app, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"p{n}\n" for n in range(60)))
    plain = "import sys; sys.modules['rich'] = None; from gemtune.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", plain, "batch", "in.txt", "out", "--model", MODEL, "--concurrency", "4"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux's way to say that the other side is closed
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.communicate()[0] == b""
    assert process.returncode == 0
    *drawn, last = shown.decode().split("\r\x1b[J")
    assert re.search(r"\d+/60 done  4 in flight  \d+\.\d/s  .*4 requests are in flight", "".join(drawn), re.DOTALL)
    assert last == "60 answered, 0 failed: 60 lines in out\r\n"
