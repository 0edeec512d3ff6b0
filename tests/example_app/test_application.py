"""How an application built on gemtune is tested: with one fixture, and without credentials."""

import pytest
from starlette.testclient import TestClient

from example_app.application import app
from gemtune.emulator import Fault

pytestmark = pytest.mark.socket

NUMBERS = {"id": "next-number", "examples": [["1", "2"], ["3", "4"], ["seven", "eight"]]}


@pytest.fixture
def web(gemini_emulator_url):
    with TestClient(app) as web:
        yield web


def test_a_model_is_tuned_and_answers(web, gemini_emulator):
    gemini_emulator.answers = {"LXIII": "LXIV"}
    assert web.post("/models", json=NUMBERS).status_code == 202
    assert web.post("/models/next-number/answers", json={"prompt": "LXIII"}).json() == {"answer": "LXIV"}
    assert web.get("/models/next-number").json()["state"] == "ACTIVE"


@pytest.mark.gemini_emulator(step_seconds=60)
def test_progress_is_told_while_the_model_is_tuned(web, gemini_emulator):
    web.post("/models", json=NUMBERS)
    assert web.get("/models/next-number").json() == {"state": "CREATING", "steps": 0, "loss": None}
    gemini_emulator.advance(3 * 60)
    progress = web.get("/models/next-number").json()
    assert (progress["state"], progress["steps"]) == ("CREATING", 3)


def test_the_same_order_twice_tunes_one_model(web, gemini_emulator):
    for _ in range(2):
        assert web.post("/models", json=NUMBERS).status_code == 202
    assert gemini_emulator.app.statistics()["tuned_models"] == 1


def test_a_lost_reply_tunes_one_model(web, gemini_emulator):
    program = gemini_emulator.faults.add(Fault(method="tunedModels.create", cut="reply"))
    assert web.post("/models", json=NUMBERS).status_code == 202
    assert program.completed
    assert gemini_emulator.app.statistics()["tuned_models"] == 1


def test_a_passing_overload_is_not_noticed(web, gemini_emulator):
    gemini_emulator.faults.add(Fault(method="tunedModels.create", error="overloaded_new", times=2))
    assert web.post("/models", json=NUMBERS).status_code == 202
    assert [entry.status for entry in gemini_emulator.requests.of("tunedModels.create")] == [503, 503, 200]


def test_an_exhausted_quota_is_told(web, gemini_emulator):
    gemini_emulator.faults.add(Fault(method="tunedModels.create", error="rate_limit_free_tier"))
    assert web.post("/models", json=NUMBERS).status_code == 503


def test_a_failed_job_is_told_with_its_reason(web, gemini_emulator):
    gemini_emulator.faults.add(Fault(method="tunedModels.create", job={"fail_at_step": 2, "message": "bad data"}))
    web.post("/models", json=NUMBERS)
    reply = web.post("/models/next-number/answers", json={"prompt": "1"})
    assert reply.status_code == 409
    assert "bad data" in reply.text


def test_bad_examples_are_refused_before_anything_is_sent(web, gemini_emulator):
    reply = web.post("/models", json={"id": "x", "examples": [["1", ""]]})
    assert reply.status_code == 422
    assert len(gemini_emulator.requests) == 0


def test_a_missing_model_is_a_404(web):
    assert web.get("/models/none").status_code == 404
