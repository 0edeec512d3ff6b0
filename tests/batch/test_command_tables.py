"""``gemtune batch`` with a table as OUTPUT: the columns of the input, then the answer and the error."""

import csv
import json

import pytest

pytestmark = pytest.mark.socket
ECHO = " (emulator: a base model repeats its prompt)"


def table(path, delimiter=","):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.mark.parametrize(("output", "delimiter"), [("out.csv", ","), ("out.TSV", "\t")])
def test_a_table_has_the_columns_of_the_input_then_answer_and_error(batch, tmp_path, output, delimiter):
    (tmp_path / "in.csv").write_text('id,prompt,note\n1,"hello, you",x\n\n2,,\n3,"two\nlines",y\n', encoding="utf-8")
    ran = batch("in.csv", output=output)
    assert ran.code == 1
    assert f"2 answered, 1 failed: 3 lines in {tmp_path / output}" in ran.err
    found = table(tmp_path / output, delimiter)
    assert list(found[0]) == ["id", "prompt", "note", "answer", "error"]
    assert found[0] == {"id": "1", "prompt": "hello, you", "note": "x", "answer": f"hello, you{ECHO}", "error": ""}
    assert (found[1]["id"], found[1]["answer"]) == ("2", "")
    assert "the prompt is empty" in found[1]["error"]
    assert found[2]["prompt"] == "two\nlines"


def test_a_run_that_is_resumed_completes_the_table(batch, app, tmp_path):
    (tmp_path / "in.csv").write_text("key,prompt\n" + "".join(f"k{n},say {n}\n" for n in range(6)))
    first = batch("in.csv", "--rpd", "3", "--concurrency", "1", output="out.csv")
    assert first.code != 0
    assert not (tmp_path / "out.csv").exists()
    again = batch("in.csv", "--resume", output="out.csv")
    assert "3 answered, 0 failed, 3 from before: 6 lines" in again.err
    assert [(row["key"], row["answer"]) for row in table(tmp_path / "out.csv")] == [
        (f"k{n}", f"say {n}{ECHO}") for n in range(6)
    ]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("in.txt", "one\ntwo\n", ["prompt"]),
        ("in.jsonl", '{"prompt": "one", "n": 1}\n{"prompt": "two", "deep": {"a": [1]}}\n', ["prompt", "n", "deep"]),
        ("in.tsv", "prompt\tn\none\t1\ntwo\t2\n", ["prompt", "n"]),
    ],
)
def test_every_input_becomes_a_table(batch, tmp_path, name, content, columns):
    (tmp_path / name).write_text(content)
    assert batch(name, output="out.csv").code == 0
    found = table(tmp_path / "out.csv")
    assert list(found[0]) == [*columns, "answer", "error"]
    assert [row["prompt"] for row in found] == ["one", "two"]
    if "deep" in columns:
        assert json.loads(found[1]["deep"]) == {"a": [1]}


def test_a_table_keeps_the_separator_that_was_named(batch, tmp_path):
    (tmp_path / "in.csv").write_text("id;prompt\n1;hello\n")
    assert batch("in.csv", "--delimiter", ";", output="out.csv").code == 0
    assert table(tmp_path / "out.csv", ";")[0]["prompt"] == "hello"


@pytest.mark.parametrize(
    ("content", "argv", "message"),
    [
        (
            "prompt,answer\na,b\n",
            (),
            "has a column 'answer' already: rename it, or name an OUTPUT",
        ),
        ("prompt\na\n", ("--order", "completed"), "a table is written in the order of the input: leave out --order"),
    ],
)
def test_what_could_be_no_table_is_refused_before_anything_is_sent(batch, app, tmp_path, content, argv, message):
    (tmp_path / "in.csv").write_text(content)
    ran = batch("in.csv", *argv, output="out.csv")
    assert ran.code == 2
    assert message in ran.err
    assert len(app.requests) == 0
