"""``gemtune batch --plan`` and the options that say who asks, until when, and for how much."""

import json

import pytest

PRICES = {"per_million": {"gemini-3.7-flash": [1.0, 10.0]}, "currency": "EUR", "date": "2026-11-28"}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"prompt {n}\n" for n in range(100)))
    (tmp_path / "prices.json").write_text(json.dumps(PRICES))
    return tmp_path


def test_a_plan_is_printed_and_nothing_is_sent_or_written(batch, files, app):
    ran = batch("in.txt", "--engine", "auto", "--plan", "--prices", files / "prices.json", "--answer-tokens", 10)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("engine: local: it takes about 6 s from here")
    assert "output: 1,000 tokens\n" in ran.out
    assert "cost: 0.01 EUR, by the prices you gave (2026-11-28)\n" in ran.out
    assert {path.name for path in files.iterdir()} == {"in.txt", "prices.json"}
    assert not len(app.requests)


def test_a_plan_is_one_object_with_json_and_the_service_counts_if_asked(batch, files, app):
    ran = batch("in.txt", "--plan", "--json", "--count", 3)
    found = json.loads(ran.out)
    assert (ran.code, found["engine"], found["requests"], found["counted"], found["cost"]) == (0, "local", 100, 3, None)
    assert len(app.requests.of("models.countTokens")) == len(app.requests) == 3


def test_with_resume_the_plan_is_of_the_rest(gemtune, files):
    argv = ["batch", files / "in.txt", files / "out.jsonl", "--model", "models/gemini-3.7-flash"]
    (files / "in.txt").write_text("one\ntwo\n")
    assert gemtune(*argv).code == 0
    (files / "in.txt").write_text("one\ntwo\nthree\n")
    ran = gemtune(*argv, "--resume", "--plan")
    assert "requests: 1 to models/gemini-3.7-flash; of 3 rows, 2 are in the journal\n" in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deadline", "20s", "--rpm", "10", "--plan"], "a deadline of 20 s cannot be kept: local takes 9 min 00 s"),
        (["--deadline", "20s", "--rpm", "10"], "give more with --deadline"),
        (["--budget", "5"], "no price is built in; give those of a million tokens with --prices"),
        (["--prices", "gone.json"], "prices: gone.json cannot be read"),
    ],
)
def test_what_cannot_be_kept_or_is_wrong_is_said_in_the_words_of_the_command_and_nothing_is_sent(
    batch, files, app, options, said
):
    ran = batch("in.txt", *options)
    assert ran.code == 2
    assert said in ran.err
    assert not len(app.requests)
    assert not (files / "out.jsonl").exists()


@pytest.mark.parametrize("wrong", [("--budget", "much"), ("--count", "-1"), ("--engine", "remote"), ("--budget", "0")])
def test_an_option_that_is_none_ends_with_the_usage(batch, files, app, wrong):
    ran = batch("in.txt", *wrong)
    assert ran.code == 2
    assert f"argument {wrong[0]}: " in ran.err
    assert not len(app.requests)


def test_a_budget_ends_the_command_which_continues_with_another(batch, files):
    options = ("--prices", files / "prices.json", "--concurrency", 1)
    ran = batch("in.txt", "--budget", "0.002", *options)
    assert ran.code != 0
    assert "its budget is used up" in ran.err
    assert "give a new --budget" in ran.err
    assert not (files / "out.jsonl").exists()
    ran = batch("in.txt", "--budget", "5", "--resume", *options)
    assert ran.code == 0
    lines = [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == [*range(100)]
    assert "from before" in ran.err


@pytest.mark.parametrize("order", ["input", "completed"])
def test_a_resumed_command_writes_each_row_once(batch, files, order):
    first = batch("in.txt", "--order", order, "--rpd", 40)
    assert first.code != 0
    again = batch("in.txt", "--order", order, "--resume")
    assert again.code == 0
    lines = [json.loads(line) for line in (files / "out.jsonl").read_text().splitlines()]
    assert sorted(line["key"] for line in lines) == [*range(100)]
