"""Answers, streams, tokens and base models."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.emulated import BASE, ERRORS, PAIRS, SAMPLES, model_body, prompt
from gemtune.emulator import Answer
from gemtune.emulator.world.answers import ExampleIndex, count_tokens, split_text, truncate

LABEL = " (emulator: nearest training example)"
ASK = "/v1beta/tunedModels/tuned:generateContent"
STREAM = "/v1beta/tunedModels/tuned:streamGenerateContent"


def text_of(reply):
    return "".join(part["text"] for part in reply["candidates"][0]["content"]["parts"])


async def ask(api, text, path=ASK, **fields):
    reply = await api.call("POST", path, prompt(text, **fields))
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_tuned_model_answers_with_its_nearest_example_and_says_so(api):
    await api.tuned()
    for text, output in PAIRS:
        assert text_of(await ask(api, text)) == output + LABEL
    assert text_of(await ask(api, "  TWENTY  two ")) == "twenty three" + LABEL
    assert text_of(await ask(api, "twenty three")) == "twenty three" + LABEL
    for strange in ("LXIII", "六", ""):
        assert text_of(await ask(api, strange)) in {output + LABEL for _, output in PAIRS}


async def test_the_answer_of_2024_has_the_observed_layout(start):
    api = await start(usage_metadata=False, answers={"LXIII": "LXIV"})
    await api.tuned()
    reply = await api.call("POST", ASK, prompt("LXIII"))
    assert reply.text == json.dumps(SAMPLES["generate_content_tuned_2024"], indent=2) + "\n"


async def test_both_versions_answer_for_tuned_and_base_models(api):
    await api.tuned()
    for version in ("v1", "v1beta"):
        assert text_of(await ask(api, "1", f"/{version}/tunedModels/tuned:generateContent")) == "2" + LABEL
        assert "hello" in text_of(await ask(api, "hello", f"/{version}/models/gemini-3.7-flash:generateContent"))


async def test_the_last_user_content_is_what_is_answered(api):
    await api.tuned()
    turns = [("user", "1"), ("model", "2"), ("user", "one"), ("model", "three")]
    body = {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]}
    assert text_of((await api.call("POST", ASK, body)).json()) == "two" + LABEL


async def test_a_test_can_script_the_answers(start):
    api = await start(
        answers={"hi": "hello", "bad": Answer(block_reason="SAFETY"), "cut": Answer("a", finish_reason="SAFETY")}
    )
    await api.tuned()
    assert text_of(await ask(api, "hi")) == "hello"
    assert text_of(await ask(api, "1")) == "2" + LABEL
    assert (await ask(api, "cut"))["candidates"][0]["finishReason"] == "SAFETY"
    blocked = await ask(api, "bad")
    assert "candidates" not in blocked
    assert blocked["promptFeedback"]["blockReason"] == "SAFETY"
    api.app.answers = lambda asked: f"{asked.model} was asked {asked.text} by {asked.email}"
    assert text_of(await ask(api, "x")) == "tunedModels/tuned was asked x by you@example.com"


async def test_an_answer_reports_its_tokens_its_model_and_an_id(api):
    await api.tuned()
    first, second = await ask(api, "1"), await ask(api, "1")
    usage = first["usageMetadata"]
    assert usage["promptTokenCount"] == 1
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]
    assert first["modelVersion"] == "tunedModels/tuned"
    assert first["responseId"] != second["responseId"]
    assert first["candidates"][0]["index"] == 0


async def test_an_answer_ends_at_a_stop_sequence_or_at_the_token_limit(start):
    api = await start(answers={"count": "one two three four"})
    await api.tuned()
    stopped = await ask(api, "count", generationConfig={"stopSequences": [" three"]})
    assert (text_of(stopped), stopped["candidates"][0]["finishReason"]) == ("one two", "STOP")
    limited = await ask(api, "count", generationConfig={"maxOutputTokens": 2})
    assert (text_of(limited), limited["candidates"][0]["finishReason"]) == ("one two ", "MAX_TOKENS")
    assert limited["usageMetadata"]["candidatesTokenCount"] == 2


async def test_a_stream_of_events_adds_up_to_the_answer(api):
    await api.tuned()
    reply = await api.call("POST", STREAM + "?alt=sse", prompt("twenty two"))
    assert reply.headers["content-type"] == "text/event-stream"
    events = reply.text.split("\r\n\r\n")
    assert events.pop() == ""
    replies = [json.loads(event.removeprefix("data: ")) for event in events]
    assert len(replies) > 1
    assert "".join(map(text_of, replies)) == "twenty three" + LABEL
    assert [r["candidates"][0].get("finishReason") for r in replies] == [None] * (len(replies) - 1) + ["STOP"]
    assert len({r["responseId"] for r in replies}) == 1


async def test_a_stream_without_sse_is_one_json_array(api):
    await api.tuned()
    for version in ("v1", "v1beta"):
        reply = await api.call("POST", STREAM.replace("v1beta", version), prompt("twenty two"))
        assert reply.headers["content-type"] == "application/json; charset=UTF-8"
        assert "".join(map(text_of, reply.json())) == "twenty three" + LABEL
        assert "\n}\n,\r\n{\n" in reply.text


async def test_an_error_before_the_first_byte_of_a_json_stream_is_in_an_array(api):
    reply = await api.call("POST", STREAM, prompt("1"))
    assert (reply.status_code, reply.json()[0]["error"]["status"]) == (404, "NOT_FOUND")
    reply = await api.call("POST", STREAM + "?alt=sse", prompt("1"))
    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_model_in_the_making_does_not_answer_and_how_is_a_setting(start):
    api = await start()
    await api.create(id="tuned")
    error = await api.refused(400, "POST", ASK, prompt("1"))
    assert error["status"] == "FAILED_PRECONDITION"
    api = await start(creating_error=("UNAVAILABLE", "wait for {name}"))
    await api.create(id="tuned")
    error = await api.refused(503, "POST", ASK, prompt("1"))
    assert error["message"] == "wait for tunedModels/tuned"


async def test_a_model_whose_base_was_retired_is_the_observed_404(api):
    base = "models/gemini-1.5-flash-001-tuning"
    await api.tuned(model_body(base=base))
    api.app.retire(base)
    reply = await api.call("POST", ASK, prompt("1"))
    assert reply.json() == ERRORS["base_model_retired"]["body"]
    assert (await api.get("/v1beta/tunedModels/tuned"))["state"] == "ACTIVE"
    await api.refused(404, "POST", "/v1beta/tunedModels", model_body(base=base))
    assert base not in [model["name"] for model in (await api.get("/v1beta/models"))["models"]]


async def test_a_model_that_cannot_generate_content_is_a_404(api):
    await api.tuned(model_body(base="models/text-bison-001"))
    for path in (ASK, "/v1beta/models/text-bison-001:generateContent", "/v1beta/models/unknown:generateContent"):
        error = await api.refused(404, "POST", path, prompt("1"))
        assert "is not supported for generateContent" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"contents": []}, {"contents": [{"role": "user"}]},
        {"contents": [{"role": "robot", "parts": [{"text": "1"}]}]},
        prompt("1", generationConfig={"temperature": 2.1}), prompt("1", generationConfig={"maxOutputTokens": 0}),
        prompt("1", generationConfig={"candidateCount": 2}),
        prompt("1", generationConfig={"stopSequences": list("abcdef")}),
        prompt("1", generationConfig={"responseMimeType": "application/json"}), prompt("x" * 40_001),
        prompt("1", systemInstruction={"parts": [{"text": "be brief"}]}),
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}]},
    ],
)  # fmt: skip
async def test_what_a_tuned_model_does_not_take_is_a_400(api, body):
    await api.tuned()
    error = await api.refused(400, "POST", ASK, body)
    assert error["status"] == "INVALID_ARGUMENT"


async def test_a_quota_per_minute_is_a_429_with_the_time_to_wait(start):
    api = await start(requests_per_minute=2)
    await api.tuned()
    for _ in range(2):
        await ask(api, "1")
        api.app.advance(10)
    error = await api.refused(429, "POST", ASK, prompt("1"))
    assert [detail["@type"].rpartition(".")[2] for detail in error["details"]] == ["Help", "QuotaFailure", "RetryInfo"]
    assert error["details"][2]["retryDelay"] == "40s"
    assert "Please retry in 40s." in error["message"]
    api.app.advance(40)
    await ask(api, "1")


async def test_tokens_are_counted_for_base_models_only(api):
    await api.tuned()
    path = f"/v1beta/{BASE}:countTokens"
    assert (await api.call("POST", path, prompt("hello world"))).json() == {
        "totalTokens": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}],
    }  # fmt: skip
    nested = {"generateContentRequest": prompt("六七", systemInstruction={"parts": [{"text": "abc"}]})}
    assert (await api.call("POST", path, nested)).json()["totalTokens"] == 3
    assert (await api.call("POST", "/v1beta/tunedModels/tuned:countTokens", prompt("1"))).status_code == 404


async def test_base_models_are_listed_and_shown(start):
    api = await start()
    models = (await api.get("/v1/models"))["models"]
    tunable = [model["name"] for model in models if "createTunedModel" in model["supportedGenerationMethods"]]
    assert tunable == ["models/gemini-1.0-pro-001", "models/gemini-1.5-flash-001-tuning"]
    assert await api.get(f"/v1beta/{models[0]['name']}") == models[0]
    await api.refused(404, "GET", "/v1beta/models/unknown")
    api = await start(models=[{"name": "models/mine", "supported_generation_methods": ["createTunedModel"]}])
    assert [model["name"] for model in (await api.get("/v1beta/models"))["models"]] == ["models/mine"]
    assert (await api.create(model_body(base="models/mine")))["metadata"]["totalSteps"] == 19


pairs = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=4)), min_size=1, max_size=8)


@given(pairs, st.text(max_size=8))
def test_the_nearest_example_is_one_of_the_examples_and_an_exact_one_comes_first(examples, text):
    index = ExampleIndex.build(examples)
    assert index.nearest(text) in [output for _, output in examples]
    outputs = dict(reversed(examples))
    for known in outputs:
        assert index.nearest(known) in [output for other, output in examples if same(other, known)]


def test_an_exact_example_comes_before_one_with_the_same_pairs_of_characters():
    index = ExampleIndex.build([("abcbdb", "first"), ("abdbcb", "second")])
    assert index.nearest("ABDBCB") == "second"


def same(one, other):
    return ExampleIndex.build([(one, "x")])._exact == ExampleIndex.build([(other, "x")])._exact


@given(st.text(), st.integers(1, 30))
def test_the_pieces_of_a_stream_add_up_to_the_text(text, size):
    pieces = split_text(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) >= size for piece in pieces[:-1])


@given(st.text(), st.integers(0, 30))
def test_a_truncated_text_is_the_longest_beginning_within_the_limit(text, limit):
    cut = truncate(text, limit)
    assert text.startswith(cut)
    assert count_tokens(cut) == min(limit, count_tokens(text))
