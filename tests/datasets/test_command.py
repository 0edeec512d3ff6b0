"""``gemtune data``: what it prints, where, and with which exit code."""

import json
import sys

import pytest

from gemtune.cli import main
from gemtune.emulator import running_emulator

CHAT = {"messages": [{"role": "user", "content": "H2O?"}, {"role": "assistant", "content": "water"}]}


@pytest.fixture
def gemtune(capsys):
    def run(*argv):
        code = main([str(each) for each in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text_input,output\none,1\ntwo,2\none,1\n")
    (tmp_path / "bad.jsonl").write_text(f"{json.dumps(CHAT)}\nnonsense\n")
    (tmp_path / "openai.jsonl").write_text(f"{json.dumps(CHAT)}\n")
    return tmp_path


def test_check_prints_the_report_and_fails_for_errors_only(gemtune, rows):
    code, out, err = gemtune("data", "check", "rows.csv")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "rows.csv: 3 examples, layout pairs, supervised, checked for Vertex AI",
        "warning: duplicate_example, 1 row",
        "  row 4: is the same as row 2; drop one of them",
        "warning: few_examples",
        "  only 3 examples: Google advises 100 or more",
        "2 warnings",
    ]
    code, out, err = gemtune("data", "check", "bad.jsonl")
    assert (code, err) == (1, "rows that are wrong can be left out with --fix -o NEW\n")
    assert "row 2: this line is not JSON" in out
    assert gemtune("data", "check", "bad.jsonl", "-q")[2] == ""
    (rows / "empty.jsonl").write_text("")
    assert gemtune("data", "check", "empty.jsonl")[::2] == (1, "")
    code, out, _ = gemtune("data", "check", "bad.jsonl", "--json")
    assert (code, json.loads(out)["counts"]["not_json"]) == (1, 1)


@pytest.mark.parametrize(
    "command",
    [
        ("stats",),
        ("estimate",),
        ("dedupe",),
        ("convert", "--to", "openai"),
        ("split", "-o", "one.jsonl", "--validation-output", "two.jsonl"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("text", ["", "input,output\n"], ids=["nothing", "heading"])
def test_data_without_rows_is_an_error_of_every_command(gemtune, rows, command, text):
    name = "empty.csv" if text else "empty.jsonl"
    (rows / name).write_text(text)
    code, _, err = gemtune("data", command[0], name, *command[1:])
    assert (code, err.splitlines()[-1]) == (1, f"error: there are no rows in {name}")


def test_a_file_that_is_not_there_is_a_mistake_of_usage(gemtune, rows):
    code, out, err = gemtune("data", "check", "none.csv")
    assert (code, out) == (2, "")
    assert err == "error: DATA: none.csv cannot be read (No such file or directory)\n"


def test_advice_is_worded_for_a_shell(gemtune, rows):
    (rows / "odd.csv").write_text("a,b\nc,d\n")
    code, out, _ = gemtune("data", "check", "odd.csv")
    assert code == 1
    assert "pass --input-column a and --output-column b, or if it is an example, pass --no-heading" in out


def test_fix_writes_a_new_file_and_never_the_old_one(gemtune, rows):
    before = (rows / "bad.jsonl").read_bytes()
    code, out, _ = gemtune("data", "check", "bad.jsonl", "--fix", "-o", "new.jsonl")
    assert code == 0
    assert out.splitlines()[:2] == ["new.jsonl: 1 row", "1 left out because they were wrong"]
    assert (rows / "new.jsonl").read_bytes() == (rows / "openai.jsonl").read_bytes()
    for target, why in (
        ("bad.jsonl", "is the data itself"),
        ("new.jsonl", "exists"),
        ("no/new.jsonl", "cannot be written"),
    ):
        code, _, err = gemtune("data", "check", "bad.jsonl", "--fix", "-o", target)
        assert (code, why in err) == (2, True)
    assert gemtune("data", "check", "bad.jsonl", "--fix", "-o", "new.jsonl", "--overwrite")[0] == 0
    assert gemtune("data", "check", "bad.jsonl", "--fix")[0] == 2
    assert gemtune("data", "check", "rows.csv", "--fix", "-o", "new.csv")[0] == 0
    assert (rows / "new.csv").read_text() == "text_input,output\none,1\ntwo,2\n"
    code, _, err = gemtune("data", "check", "openai.jsonl", "--fix", "-o", "chats.csv")
    assert (code, "write JSONL" in err, (rows / "chats.csv").exists()) == (2, True, False)
    assert (rows / "bad.jsonl").read_bytes() == before


def test_convert_writes_lines_and_says_what_comes_next(gemtune, rows):
    code, out, err = gemtune("data", "convert", "openai.jsonl", "--to", "vertex", "-o", "train.jsonl")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "1 row from layout openai to vertex, supervised; nothing was lost",
        "tune on it with: gemtune tune train.jsonl --vertex --base MODEL --bucket BUCKET",
    ]
    assert "contents" in json.loads((rows / "train.jsonl").read_text())
    code, out, err = gemtune("data", "convert", "bad.jsonl", "--to", "pairs")
    assert (code, out) == (1, '{"text_input":"H2O?","output":"water"}\n')
    assert "row 2: this line is not JSON" in err
    code, out, _ = gemtune("data", "convert", "rows.csv", "--to", "alpaca", "-o", "new.csv", "--json", "-q")
    assert json.loads(out)["rows"] == 3
    assert (rows / "new.csv").read_text().splitlines()[:2] == ["instruction,input,output", "one,,1"]


def test_a_folder_for_images_and_its_uri_belong_together(gemtune, rows):
    code, _, err = gemtune("data", "convert", "openai.jsonl", "--to", "vertex", "--files", "images")
    assert code == 2
    assert err == "error: --files and --files-uri belong together: a folder, and where you will put it\n"


def test_standard_input_is_read_and_standard_output_written(gemtune, rows, monkeypatch):
    with (rows / "openai.jsonl").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        code, out, _ = gemtune("data", "convert", "-", "--to", "pairs", "-q")
    assert (code, json.loads(out)) == (0, {"text_input": "H2O?", "output": "water"})


def test_parts_keep_every_row_as_it_is(gemtune, rows):
    code, _, err = gemtune(
        "data", "split", "rows.csv", "--validation", 0.5, "-o", "train.csv", "--validation-output", "validation.csv"
    )
    assert code == 0
    assert "1 stand with a row that they are like" in err
    assert gemtune("data", "split", "rows.csv", "--validation-output", "x.csv")[0] == 2
    assert gemtune("data", "split", "rows.csv", "-o", "x.csv", "--validation-output", "x.csv")[0] == 2
    absolute = ["-o", "x.csv", "--validation-output", rows / "x.csv"]
    assert gemtune("data", "split", "rows.csv", *absolute)[0] == 2
    assert not (rows / "x.csv").exists()
    code, out, err = gemtune("data", "dedupe", "openai.jsonl")
    assert (code, out) == (0, (rows / "openai.jsonl").read_text())
    code, out, err = gemtune("data", "dedupe", "rows.csv", "-o", "few.csv", "--json", "-q")
    assert (json.loads(out)["repeats"], err) == ([{"row": 4, "repeats": 2}], "")
    assert (rows / "few.csv").read_text() == "text_input,output\none,1\ntwo,2\n"
    code, out, _ = gemtune("data", "sample", "openai.jsonl", 5)
    assert (code, len(out.splitlines())) == (0, 1)
    assert gemtune("data", "sample", "openai.jsonl", "many")[0] == 2


def test_figures_and_estimates(gemtune, rows):
    code, out, _ = gemtune("data", "stats", "rows.csv")
    assert (code, out.splitlines()[0]) == (0, "3 examples, about 3 (2 to 5) tokens in one pass")
    assert json.loads(gemtune("data", "stats", "rows.csv", "--json")[1])["examples"] == 3
    code, out, _ = gemtune("data", "estimate", "rows.csv", "--epochs", 4, "--batch-size", 2, "--price", 1_000_000)
    assert code == 0
    assert out.splitlines()[1:3] == ["4 epochs: 12 (8 to 19) tokens are billed", "8 steps"]
    (rows / "prices.json").write_text('{"per_million": {"m": 2}, "date": "2026-11-28"}')
    arguments = ["data", "estimate", "rows.csv", "--epochs", 4, "--prices", "prices.json"]
    assert "(2026-11-28)" in gemtune(*arguments, "--model", "m")[1]
    assert gemtune(*arguments)[0] == 2
    assert gemtune("data", "estimate", "rows.csv", "--count", 3)[0] == 2


@pytest.mark.socket
def test_the_service_counts_if_asked_to(gemtune, rows, monkeypatch):
    with running_emulator() as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key")
        code, out, err = gemtune("data", "estimate", "rows.csv", "--count", 2, "--model", "models/gemini-1.0-pro-001")
    assert (code, err) == (0, "")
    assert "from 2 examples that the service counted" in out
