"""``gemtune evaluate``: what it refuses before anything is asked, and what it says of models beside each other."""

import csv
import json
import os
import re
import uuid

import pytest

from cli.conftest import BASE
from gemtune.emulator import Fault
from gemtune.errors import GemtuneError

pytestmark = pytest.mark.socket


@pytest.mark.parametrize(
    ("argv", "beginning"),
    [
        (["--model", "a=x", "--model", "a=y"], "two models are called 'a': give each a name of its own"),
        (["--model", "=y"], "argument --model: '=y' is neither a model nor LABEL=MODEL (see: gemtune evaluate --help)"),
        (["--model", "y", "--changed", 3], "rows change between two models: name another with --model"),
        (["--model", "y", "--resume"], "--resume continues from a folder: name it with --journal"),
        (["--model", "y", "--journal", "nowhere/x"], "there is no folder nowhere: make it, or name another with"),
        (["--model", "y", "--journal", "rows.csv"], "rows.csv is a file, and a journal is a folder: name another with"),
        (["--model", "y", "--output", "rows.csv"], "rows.csv is the data itself, which is never changed: name another"),
        (
            ["--model", "y", "--output", "o.txt"],
            "o.txt must end with .json, .jsonl, .csv or .tsv, which says what it is",
        ),
        (["--model", "y", "--metric", "exact"], "argument --metric: there is no metric 'exact'; did you mean"),
        (["--model", "y", "--metric", "judge"], "argument --metric: a judge is a model: name it with --judge"),
        (["--model", "y", "--metric", "nomod:f"], "--metric nomod:f cannot be loaded: No module named 'nomod'"),
        (["--model", "y", "--metric", "json:nof"], "--metric json:nof: json has no function nof"),
        (["--model", "y", "--prices", "none.json"], "--prices: none.json cannot be read (No such file or directory)"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(gemtune, rows, monkeypatch, argv, beginning):
    monkeypatch.chdir(rows.parent)
    ran = gemtune("evaluate", "rows.csv", *argv)
    assert ran.code == 2
    (error,) = ran.errors
    assert error.startswith(beginning)


def test_a_remedy_names_no_option_that_the_command_lacks(app, gemtune, tmp_path):
    rows = tmp_path / "many.csv"
    rows.write_text("question,answer\n" + "".join(f"what is {n},{n}\n" for n in range(120)))
    ran = gemtune("evaluate", rows, "--model", BASE, "--temperature", 5)
    assert ran.code == 4
    assert "must be in the range [0, 2]" in ran.errors[0]
    assert "--max-failures" not in ran.err  # as batch has, and evaluate has not


def test_answers_of_an_earlier_run_are_not_continued_by_mistake(gemtune, rows, monkeypatch):
    monkeypatch.chdir(rows.parent)
    (rows.parent / "asked").mkdir()
    (rows.parent / "asked" / "base.journal").touch()
    ran = gemtune("evaluate", "rows.csv", "--model", "y", "--journal", "asked")
    assert ran.code == 2
    assert ran.errors[0].startswith("asked holds what an earlier run has done: --resume continues from there; ")


@pytest.fixture
def both(app, tuned, rows, monkeypatch):
    """Two models, of which the tuned one answers what it was tuned on with the right answer, and a label."""
    monkeypatch.chdir(rows.parent)
    return ["evaluate", "rows.csv", "--model", f"base={BASE}", "--model", "tuned=my-model", "--metric", "contains"]


def asked(app):
    return len(app.requests.of("models.generateContent") + app.requests.of("tunedModels.generateContent"))


def test_models_stand_beside_each_other_with_what_may_be_chance(gemtune, both):
    ran = gemtune(*both)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "2 models on 3 held-out rows"
    assert [line.split()[0] for line in lines[3:5]] == ["base", "tuned"]
    assert lines[-1].startswith(
        "no difference between tuned and base can be told from chance on so few rows: contains 1.00 against "
    )
    assert ran.err == "--changed 5 shows the rows that a model does better, and those that it does worse\n"


def test_rows_that_changed_are_shown_side_by_side_if_wanted(gemtune, both):
    ran = gemtune(*both, "--changed", 1)
    assert "3 rows that tuned does better than base (contains):" in ran.out
    assert ran.out.count("(emulator: nearest training example)") == 1
    assert ran.err == ""


def test_json_has_an_object_for_each_model_each_comparison_and_each_changed_row(gemtune, both):
    records = gemtune(*both, "--changed", 2, "--json").records
    assert [record["kind"] for record in records] == ["model", "model", "comparison", "better", "better"]
    assert [record["label"] for record in records[:2]] == ["base", "tuned"]
    assert records[1]["scores"]["contains"]["value"] == 1.0
    assert (records[2]["model"], records[2]["other"], records[2]["better"]) == ("tuned", "base", 3)
    assert records[3]["question"] == "1"
    assert records[3]["answers"]["tuned"]["text"].startswith("2")


@pytest.mark.parametrize("name", ["all.json", "rows.jsonl", "rows.csv.tsv", "scored.csv"])
def test_every_row_and_answer_is_in_the_output(gemtune, both, rows, name):
    ran = gemtune(*both, "--output", name)
    assert ran.code == 0
    assert f"3 rows with their answers are in {name}" in ran.err
    text = (rows.parent / name).read_text(encoding="utf-8")
    if name == "all.json":
        whole = json.loads(text)
        assert [model["label"] for model in whole["models"]] == ["base", "tuned"]
        answers = [row["answers"]["tuned"]["text"] for row in whole["rows"]]
    elif name == "rows.jsonl":
        answers = [json.loads(line)["answers"]["tuned"]["text"] for line in text.splitlines()]
    else:
        table = list(csv.DictReader(text.splitlines(), delimiter="\t" if name.endswith(".tsv") else ","))
        assert list(table[0]) == ["key", "question", "expected", "base", "base contains", "tuned", "tuned contains"]
        assert [row["tuned contains"] for row in table] == ["1", "1", "1"]
        answers = [row["tuned"] for row in table]
    assert [answer.split()[0] for answer in answers] == ["2", "four", "七"]
    assert gemtune(*both, "--output", name).errors == [
        f"{name} exists: name another file, or replace it with --overwrite"
    ]


def test_a_folder_in_which_nothing_may_be_written_is_refused_before_anything_is_asked(app, gemtune, both, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    ran = gemtune(*both, "--output", "scored.csv")
    assert ran.code == 2
    assert ran.errors == ["scored.csv cannot be written: nothing may be written in this folder"]
    assert asked(app) == 0


def test_a_disk_that_is_full_in_the_end_takes_the_file_and_not_the_table(gemtune, both, monkeypatch):
    def full(*_):
        raise GemtuneError("scored.csv could not be written: No space left on device")

    monkeypatch.setattr("gemtune.cli.evaluate.session.write_rows", full)
    ran = gemtune(*both, "--output", "scored.csv")
    assert ran.code == 1
    assert "2 models on 3 held-out rows" in ran.out
    assert ran.errors == ["scored.csv could not be written: No space left on device"]


def test_where_no_answer_is_right_that_is_said_and_what_to_do(gemtune, both):
    ran = gemtune(*both, "--metric", "exact_match")  # the emulator's answers end with a label
    assert ran.code == 0
    assert ran.err.count("no answer is right by exact_match: look at some with gemtune evaluate --output FILE") == 1
    assert "by contains" not in ran.err


def test_with_a_journal_nothing_is_asked_twice(app, gemtune, both):
    assert gemtune(*both, "--journal", "asked", "--limit", 2).code == 0
    assert asked(app) == 4
    ran = gemtune(*both, "--journal", "asked", "--resume", "--model", "again=my-model")
    assert ran.code == 0, ran.err
    assert asked(app) == 4 + 2 + 3


def test_rows_without_an_answer_are_said_and_are_a_failure(app, gemtune, both):
    app.faults.add(Fault(method="models.generateContent", status=400, message="a bad day"))
    ran = gemtune(*both, "--journal", "asked")
    assert ran.code == 1
    assert "2 of 3" in ran.out
    assert ran.err.endswith("1 of 6 answers could not be had; the same command and --resume asks for them again\n")
    again = gemtune(*both, "--journal", "asked", "--resume", "--output", "scored.csv")
    assert again.code == 0


def test_time_that_runs_out_is_that_of_all_and_what_held_it_back_is_said(app, gemtune, both):
    app.faults.add(Fault(method="*", status=503, message="The service is down.", times=10_000))
    ran = gemtune(*both, "--timeout", "2s")
    assert ran.code == 124
    (error,) = ran.errors
    assert re.fullmatch(r"the evaluation was not done within 2 s \(the service .*\)", error)


def test_a_row_that_failed_has_its_error_in_the_table(app, gemtune, both, rows):
    app.faults.add(Fault(method="models.generateContent", status=400, message="a bad day"))
    gemtune(*both, "--output", "scored.csv", "--concurrency", 1)
    table = list(csv.DictReader((rows.parent / "scored.csv").read_text(encoding="utf-8").splitlines()))
    assert [bool(row["base error"]) for row in table].count(True) == 1
    assert any("a bad day" in row["base error"] and row["base contains"] == "" for row in table)


def test_a_function_of_a_file_in_this_folder_is_a_metric(gemtune, both, rows):
    name = f"scoring_{uuid.uuid4().hex}"  # a module is imported once a process
    (rows.parent / f"{name}.py").write_text("def short(answer, row):\n    return len(answer) < 20\n")
    ran = gemtune(*both, "--metric", f"{name}:short")
    assert ran.code == 0, ran.err
    assert "short" in ran.out.splitlines()[2]


def test_a_model_that_does_not_exist_ends_it(app, gemtune, rows, monkeypatch):
    monkeypatch.chdir(rows.parent)
    ran = gemtune("evaluate", "rows.csv", "--model", "no-such-model")
    assert ran.code == 4
    assert ran.out == ""
    assert "no-such-model" in ran.errors[0]
