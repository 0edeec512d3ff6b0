"""``gemtune batch`` counts replies without an answer, asks for others, and knows when to give up."""

import json
from contextlib import suppress

import pytest

from gemtune.emulator import Fault

METHOD = "models.generateContent"
CUT = {"candidates": [{"content": {"parts": [{"text": '{"a'}], "role": "model"}, "finishReason": "MAX_TOKENS"}]}
EMPTY = {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]}
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}}
JSON = ("--generation-config", '{"responseMimeType": "application/json"}')


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    return "in.txt"


@pytest.mark.parametrize(("body", "arguments"), [(CUT, JSON), (BLOCKED, ())], ids=["JSON cut short", "blocked"])
def test_a_reply_without_an_answer_is_noted_and_shows_in_the_exit_code(app, batch, rows, body, arguments):
    app.faults.add(Fault(method=METHOD, status=200, body=body))
    ran = batch(rows, *arguments)
    assert ran.code == 1
    assert "2 answered, 0 failed" in ran.err
    assert "1 reply is without an answer" in ran.err
    assert "--accept" in ran.err


def test_the_summary_counts_how_replies_ended(app, batch, rows):
    app.faults.add(Fault(method=METHOD, status=200, body=BLOCKED))
    found = json.loads(batch(rows, "--json").out)
    assert (found["answered"], found["without_answer"], found["finish_reasons"]) == (2, 1, {"SAFETY": 1, "STOP": 1})


def test_what_is_accepted_is_an_answer(app, batch, rows):
    app.faults.add(Fault(method=METHOD, status=200, body=CUT))
    assert batch(rows, *JSON, "--accept", "stop,max_tokens").code == 0


def test_what_is_not_accepted_is_asked_again_when_the_run_is_resumed(app, batch, rows, tmp_path):
    app.faults.add(Fault(method=METHOD, status=200, body=CUT))
    batch(rows, *JSON)
    ran = batch(rows, *JSON, "--resume", "--accept", "STOP")
    assert (ran.code, len(app.requests)) == (0, 3)
    assert "1 answered, 0 failed, 1 from before: 2 lines" in ran.err
    assert '"MAX_TOKENS"' not in (tmp_path / "out.jsonl").read_text()


def test_too_many_failures_end_the_run_and_its_journal_is_kept(app, batch, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"{n}\n" for n in range(40)))
    refused = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
    app.faults.add(Fault(method=METHOD, status=400, body=refused, times=40))
    ran = batch("in.txt", "--max-failures", 3, "--concurrency", 1)
    assert ran.code == 4
    assert "4 items failed, and no more than 3 may" in ran.err
    assert "--max-failures" in ran.err
    assert len(app.requests) == 4


@pytest.mark.parametrize(
    "wrong", [("--accept", "STOPP"), ("--accept", ","), ("--max-failures", "-1"), ("--max-failures", "150%")]
)
def test_what_cannot_be_meant_is_refused(app, batch, rows, wrong):
    with suppress(SystemExit):  # of the parser
        assert batch(rows, *wrong).code == 2
    assert len(app.requests) == 0
