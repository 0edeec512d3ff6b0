"""Only what holds the answer may fail it: an odd side field of a reply is set aside, with one warning."""

import logging

import pytest

from gemtune import types
from gemtune.errors import MalformedResponse
from gemtune.protocol.codec import decode, encode, generate

ANSWER = {"content": {"parts": [{"text": "LXIV"}], "role": "model"}}
ODD = {
    "usageMetadata": ["none", 5, {"promptTokenCount": "many", "totalTokenCount": 7}],
    "modelVersion": [5, {}],
    "responseId": [5],
    "modelStatus": ["stable"],
}
ODD_OF_CANDIDATE = {
    "finishReason": [1, {}],
    "index": ["first", 1.5],
    "finishMessage": [{}],
    "safetyRatings": ["none", [{"category": 3}], {}],
    "citationMetadata": [[], {"citationSources": [{"startIndex": "a"}]}],
    "tokenCount": ["few", {}],
    "groundingMetadata": ["no"],
    "groundingAttributions": [{}, ["x"]],
    "avgLogprobs": ["low", [1]],
    "logprobsResult": [5],
    "urlContextMetadata": [[]],
}
ODD_OF_PART = {"thoughtSignature": ["not base64!", 5], "videoMetadata": ["all"], "partMetadata": [[1]]}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(generate, "_noted", set())


CASES = [
    *(({"candidates": [ANSWER], key: value}, key) for key, values in ODD.items() for value in values),
    *(({"candidates": [ANSWER | {key: value}]}, key) for key, values in ODD_OF_CANDIDATE.items() for value in values),
    *(
        ({"candidates": [{"content": {"parts": [{"text": "LXIV", key: value}]}}]}, key)
        for key, values in ODD_OF_PART.items()
        for value in values
    ),
]


@pytest.mark.parametrize(("reply", "key"), CASES, ids=str)
def test_an_odd_side_field_leaves_the_answer_and_is_kept_as_it_came(reply, key, caplog):
    read = decode(types.GenerateContentResponse, reply)
    assert read.text == "LXIV"
    if not isinstance(reply.get(key), dict):  # of an object, only the odd part of it is set aside
        assert encode(read) == reply
    decode(types.GenerateContentResponse, reply)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "is set aside in extra" in said


def test_of_counts_only_the_odd_one_is_set_aside():
    usage = decode(types.UsageMetadata, {"promptTokenCount": "many", "totalTokenCount": 7})
    assert (usage.prompt_token_count, usage.total_token_count) == (0, 7)
    assert usage.extra == {"promptTokenCount": "many"}


@pytest.mark.parametrize(
    "reply",
    [
        {"candidates": "none"},
        {"candidates": [{"content": "LXIV"}]},
        {"candidates": [{"content": {"parts": {"text": "LXIV"}}}]},
        {"candidates": [{"content": {"parts": [{"text": 64}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": 5}}]}}]},
        {"promptFeedback": {"blockReason": 5}},
    ],
)
def test_what_holds_the_answer_still_fails_it(reply):
    with pytest.raises(MalformedResponse):
        decode(types.GenerateContentResponse, reply)


@pytest.mark.parametrize(
    "stand_in",
    ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go", "any old stand-in", "x"],
)
def test_a_history_may_hold_a_stand_in_for_a_signature(stand_in):
    content = {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": stand_in}]}
    sent = encode(decode(types.Content, content))["parts"][0]["thoughtSignature"]
    assert sent.replace("/", "_").rstrip("=") == stand_in
