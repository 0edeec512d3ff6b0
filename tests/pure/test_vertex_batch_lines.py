"""Lines of Vertex AI's batches and its jobs, in every form in which they may come: keys travel in labels."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol.batches.vertex import input_line, read_job, read_line
from gemtune.types import GenerateContentRequest, GenerationConfig
from gemtune.types.batches import BatchCounts, BatchState

REPLY = {"candidates": [{"content": {"role": "model", "parts": [{"text": "two"}]}, "finishReason": "STOP"}]}


def request(**fields):
    return GenerateContentRequest(contents="one", **fields)


def echoed(line, **changes):
    """The line of the results for a line of the input, as the service writes it."""
    asked = json.loads(line)["request"]
    shown = {"contents": asked["contents"], "labels": asked["labels"], "system_instruction": None, "tools": None}
    return json.dumps({"status": "", "processed_time": "x", "request": shown, "response": REPLY} | changes).encode()


def test_a_line_holds_the_request_with_the_key_as_a_label():
    line = input_line("17-00ff", request(model="ignored", generation_config=GenerationConfig(temperature=0.5)))
    assert line.endswith(b"}\n")
    asked = json.loads(line)["request"]
    assert asked.keys() == {"contents", "generationConfig", "labels"}
    assert asked["labels"] == {"gemtune-key": "17-00ff"}


@given(st.text(min_size=0, max_size=200))
@example("")
@example("Ä/ b")
@example("a" * 63)
@example("a" * 64)
@example("\ud800")
@example("gemtune-key")
def test_any_key_comes_back_and_every_label_is_one_that_the_service_takes(key):
    line = input_line(key, request())
    labels = json.loads(line)["request"]["labels"]
    for name, value in labels.items():
        assert max(len(name), len(value)) <= 63
        assert set(name + value) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert read_line(echoed(line)).key == key


def test_a_key_that_is_too_long_is_refused():
    with pytest.raises(InvalidInput, match="too long"):
        input_line("x" * 2000, request())


def test_labels_of_the_requests_own_stay_and_ours_is_not_for_others():
    line = input_line("k", request(extra={"labels": {"team": "a"}}))
    assert json.loads(line)["request"]["labels"] == {"team": "a", "gemtune-key": "k"}
    with pytest.raises(InvalidInput, match="set automatically"):
        input_line("k", request(extra={"labels": {"gemtune-key": "mine"}}))


def test_what_only_the_gemini_api_knows_is_refused():
    with pytest.raises(InvalidInput, match="store"):
        input_line("k", request(store=True))


def test_a_reply_is_read_in_either_spelling():
    line = input_line("k", request())
    snake = {"candidates": REPLY["candidates"], "usage_metadata": {"prompt_token_count": 3}, "model_version": "m"}
    camel = {**REPLY, "usageMetadata": {"promptTokenCount": 3}, "modelVersion": "m"}
    for response in (snake, camel):
        reply = read_line(echoed(line, response=response))
        assert (reply.key, reply.error, reply.response.text) == ("k", None, "two")
        assert reply.response.usage_metadata.prompt_token_count == 3


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ('Bad Request: {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}', 3, "no"),
        ('{"error": {"code": 429, "message": "wait", "status": "RESOURCE_EXHAUSTED"}}', 8, "wait"),
        ('{"code": 13, "message": "oh"}', 13, "oh"),
        ({"code": 13, "message": "oh"}, 13, "oh"),
        ('Error: {"error": {"code": 500, "message": "oh"}}', 2, "oh"),
        ("Something {odd", 2, "Something {odd"),
        ("Deadline", 2, "Deadline"),
        ({"error": 5}, 2, '{"error":5}'),
    ],
)
def test_a_status_is_an_error_and_is_taken_apart_where_it_can_be(status, code, message):
    reply = read_line(echoed(input_line("k", request()), status=status, response={}))
    assert (reply.key, reply.response) == ("k", None)
    assert (reply.error.code, reply.error.message) == (code, message)


def test_a_failed_line_of_the_documentation_is_read():
    # Vertex AI's page on batches from Cloud Storage: such a line has no response at all.
    error = {"error": {"code": 400, "message": "Please use a valid role: user, model.", "status": "INVALID_ARGUMENT"}}
    request = {"contents": [{"parts": [{"text": "x"}], "role": "tester"}], "labels": {"gemtune-key": "k"}}
    said = {"status": f"Bad Request: {json.dumps(error)}", "processed_time": "2025-07-09T19:57:43.558+00:00"}
    reply = read_line(json.dumps(said | {"request": request}).encode())
    assert (reply.key, reply.error.code) == ("k", 3)
    assert reply.error.message == "Please use a valid role: user, model."


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"7", b"{}", b'{"request": null}', b'{"request": {"labels": []}, "response": {}}', b"\xff"],
)
def test_a_line_that_cannot_be_read_is_a_reply_with_an_error_and_without_a_key(line):
    reply = read_line(line)
    assert (reply.key, reply.response) == (None, None)
    assert reply.error.message


def test_a_reply_that_does_not_fit_is_the_error_of_its_key():
    reply = read_line(echoed(input_line("k", request()), response={"candidates": 7}))
    assert (reply.key, reply.response) == ("k", None)
    assert "candidates" in reply.error.message


JOB = {
    "name": "projects/1/locations/us-central1/batchPredictionJobs/2", "displayName": "d",
    "model": "publishers/google/models/gemini-2.5-flash",
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://b/in.jsonl"]}},
    "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://b/out"}},
    "outputInfo": {"gcsOutputDirectory": "gs://b/out/prediction-model-1"}, "state": "JOB_STATE_SUCCEEDED",
    "completionStats": {"successfulCount": "5", "failedCount": "1", "incompleteCount": "2"},
    "createTime": "2026-10-01T19:44:53.091540Z", "labels": {"a": "b"}, "modelVersionId": "1",
}  # fmt: skip


def test_a_job_is_the_batch_that_both_services_have():
    batch = read_job(JOB)
    assert (batch.state, batch.service_state, batch.done) == (BatchState.SUCCEEDED, "JOB_STATE_SUCCEEDED", True)
    assert batch.counts == BatchCounts(total=8, successful=5, failed=1, pending=2)
    assert (batch.input, batch.output) == ("gs://b/in.jsonl", "gs://b/out/prediction-model-1")
    assert dict(batch.labels) == {"a": "b"}
    assert batch.extra["modelVersionId"] == "1"


def test_a_job_is_read_from_what_little_there_is_and_in_snake_case():
    name = JOB["name"]
    assert read_job({"name": name}).state is BatchState.UNSPECIFIED
    snake = {
        "name": name,
        "display_name": "d",
        "output_info": {"gcs_output_directory": "gs://b/x"},
        "state": "JOB_STATE_NEW",
    }
    batch = read_job(snake)
    assert (batch.display_name, batch.output, batch.state.terminal) == ("d", "gs://b/x", False)
    assert str(batch.state) == "NEW"


def test_counts_that_the_service_does_not_know_count_as_none():
    stats = {"successfulCount": "-1", "failedCount": "-1", "incompleteCount": "-1"}
    assert read_job(JOB | {"completionStats": stats}).counts == BatchCounts()


@pytest.mark.parametrize("field", ["inputConfig", "outputInfo", "error", "completionStats", "createTime", "labels"])
@pytest.mark.parametrize("odd", [7, "x", [], {"uris": 7}])
def test_what_does_not_fit_makes_no_job_unreadable(field, odd):
    assert read_job(JOB | {field: odd}).name == JOB["name"]


@pytest.mark.parametrize(
    "value", [None, [], "x", {}, {"name": ""}, {"name": 7}, {"name": "../x"}, {"name": f"{JOB['name']}?x"}]
)
def test_what_is_no_job_is_refused(value):
    with pytest.raises(MalformedResponse):
        read_job(value)
