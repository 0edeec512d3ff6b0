"""Inference on Vertex AI: tuned endpoints, checkpoints of their own, publisher models."""

import json

import pytest

from emulator.emulated import prompt
from emulator.vertex import PARENT, job_body, preferences, supervised, turns
from gemtune.emulator import Answer, MinuteWindow


async def test_an_endpoint_answers_with_its_nearest_example_on_both_versions(vertex):
    vertex.put(supervised())
    endpoint = (await vertex.tuned_job())["tunedModel"]["endpoint"]
    for version in ("v1", "v1beta1"):
        reply = await vertex.call("POST", f"/{version}/{endpoint}:generateContent", prompt("seven"))
        assert reply.status_code == 200, reply.text
        body = reply.json()
        assert list(body) == ["candidates", "usageMetadata", "modelVersion", "createTime", "responseId"]
        (candidate,) = body["candidates"]
        assert candidate["content"] == {
            "role": "model", "parts": [{"text": "eight (emulator: nearest training example)"}],
        }  # fmt: skip
        assert candidate["finishReason"] == "STOP"
        assert candidate["avgLogprobs"] < 0
        assert body["usageMetadata"]["trafficType"] == "ON_DEMAND"
        assert body["modelVersion"] == "gemini-2.5-flash"


async def test_each_checkpoint_is_asked_by_its_own_endpoint_as_soon_as_it_is_there(vertex):
    vertex.put(supervised())
    vertex.app.answers = lambda asked: asked.model
    job = await vertex.tune()
    vertex.app.advance(35)
    look = await vertex.look(job)
    assert look["state"] == "JOB_STATE_RUNNING"
    (first, *_) = look["tunedModel"]["checkpoints"]
    reply = await vertex.call("POST", f"/v1/{first['endpoint']}:generateContent", prompt("x"))
    assert reply.json()["candidates"][0]["content"]["parts"][0]["text"] == first["endpoint"]
    vertex.app.advance(100_000)
    every = (await vertex.look(job))["tunedModel"]["checkpoints"]
    assert len({each["endpoint"] for each in every}) == 5


async def test_preference_tuning_answers_with_what_was_preferred(vertex):
    vertex.put(preferences())
    body = {
        "baseModel": "gemini-2.5-flash",
        "preferenceOptimizationSpec": {"trainingDatasetUri": "gs://my-bucket/train.jsonl"},
    }
    endpoint = (await vertex.tuned_job(body))["tunedModel"]["endpoint"]
    reply = await vertex.call("POST", f"/v1/{endpoint}:generateContent", prompt("seven"))
    assert reply.json()["candidates"][0]["content"]["parts"][0]["text"].startswith("eight ")


async def test_a_stream_is_events_or_an_array_without_a_byte_behind_it(vertex):
    vertex.put(supervised([("q", "one two three four five six seven eight")]))
    endpoint = (await vertex.tuned_job())["tunedModel"]["endpoint"]
    reply = await vertex.call("POST", f"/v1/{endpoint}:streamGenerateContent?alt=sse", prompt("q"))
    events = [json.loads(line.removeprefix("data: ")) for line in reply.text.split("\r\n\r\n") if line]
    assert len(events) > 2
    assert "usageMetadata" not in events[0]
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    array = await vertex.call("POST", f"/v1/{endpoint}:streamGenerateContent", prompt("q"))
    assert array.content.endswith(b"]")
    assert len(array.json()) == len(events)


async def test_tokens_and_billable_characters_are_counted(vertex):
    path = f"/v1beta1/{PARENT}/publishers/google/models/gemini-2.5-flash:countTokens"
    body = {"contents": turns("ab cd", "ef"), "systemInstruction": {"parts": [{"text": "ghij"}]}}
    reply = await vertex.call("POST", path, body)
    assert reply.json() == {
        "totalTokens": 4, "totalBillableCharacters": 10,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
    }  # fmt: skip


async def test_publisher_models_answer_with_and_without_a_project(vertex):
    vertex.app.answers = {"Hi": "Hello", "bad": Answer(block_reason="SAFETY")}
    for start in (f"{PARENT}/", "", "projects/my-project/locations/global/"):
        path = f"/v1beta1/{start}publishers/google/models/gemini-2.5-flash:generateContent"
        reply = await vertex.call("POST", path, prompt("Hi", labels={"a": "b"}))
        assert reply.json()["candidates"][0]["content"]["parts"][0]["text"] == "Hello"
    reply = await vertex.call("POST", path, prompt("bad"))
    assert reply.json()["promptFeedback"] == {"blockReason": "SAFETY"}


@pytest.mark.parametrize("name", ["publishers/google/models/gemini-1.0", "endpoints/55"])
async def test_what_does_not_exist_is_a_404(vertex, name):
    for verb in ("generateContent", "streamGenerateContent?alt=sse", "countTokens"):
        error = await vertex.refused(404, "POST", f"/v1/{PARENT}/{name}:{verb}", prompt("x"))
        assert error["status"] == "NOT_FOUND"


async def test_gemini_3_is_tuned_in_a_region_and_served_around_it(vertex):
    vertex.put(supervised())
    job = await vertex.tuned_job(job_body(base="gemini-3.1-flash-lite"))
    assert "/locations/us/endpoints/" in job["tunedModel"]["endpoint"]
    assert "/locations/us-central1/models/" in job["tunedModel"]["model"]
    reply = await vertex.call("POST", f"/v1/{job['tunedModel']['endpoint']}:generateContent", prompt("seven"))
    assert reply.status_code == 200


async def test_one_request_too_many_is_told_in_the_words_of_pay_as_you_go(start_vertex):
    vertex = await start_vertex(requests_per_minute=1)
    path = f"/v1/{PARENT}/publishers/google/models/gemini-2.5-flash:generateContent"
    assert (await vertex.call("POST", path, prompt("x"))).status_code == 200
    error = await vertex.refused(429, "POST", path, prompt("x"))
    assert error["message"] == "Resource exhausted, please try again later."


async def test_a_quota_of_the_load_is_told_in_the_same_words(start_vertex):
    vertex = await start_vertex(load=[MinuteWindow(limit=1)])
    path = f"/v1/{PARENT}/publishers/google/models/gemini-2.5-flash:generateContent"
    assert (await vertex.call("POST", path, prompt("x"))).status_code == 200
    error = await vertex.refused(429, "POST", path, prompt("x"))
    assert error["message"] == "Resource exhausted, please try again later."
    assert "details" not in error
    gemini = await vertex.refused(429, "POST", "/v1beta/models/gemini-3.7-flash:generateContent", prompt("x"))
    assert gemini["details"]


async def test_everything_that_googles_client_sends_in_a_request_is_read(vertex):
    body = {
        "contents": [{"parts": [{"text": "LXIII"}], "role": "user"}],
        "systemInstruction": {"parts": [{"text": "s"}], "role": "user"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}], "labels": {"a": "b"},
        "generationConfig": {
            "temperature": 0.1, "topP": 0.9, "topK": 20.0, "candidateCount": 1, "maxOutputTokens": 10,
            "stopSequences": ["x"], "seed": 1, "responseMimeType": "application/json",
            "responseSchema": {"properties": {"a": {"type": "STRING"}}, "type": "OBJECT"},
            "thinkingConfig": {"thinking_budget": 0},
        },
    }  # fmt: skip
    path = f"/v1beta1/{PARENT}/publishers/google/models/gemini-2.5-flash:generateContent"
    reply = await vertex.call("POST", path, body)
    assert reply.status_code == 200, reply.text
