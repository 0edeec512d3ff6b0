"""Rows that are whole requests arrive at the service as they are."""

import json

import pytest

from batch.service import MODEL, Service, run
from gemtune import errors
from gemtune.batch.inputs import make_item
from gemtune.types import Content, GenerateContentRequest, GenerationConfig, Part
from world import make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")

CONTENTS = [{"parts": [{"text": "x"}], "role": "user"}]
WHOLE = {
    "a service tier": {"contents": CONTENTS, "serviceTier": "flex"},
    "a tier of tomorrow": {"contents": CONTENTS, "serviceTier": "tomorrow"},
    "not to be stored": {"contents": CONTENTS, "store": False},
    "all that there is": {
        "contents": CONTENTS,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"temperature": 0.0},
        "tools": [{"codeExecution": {}}],
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "serviceTier": "priority",
        "store": True,
    },
}
UNKNOWN = {"contents": CONTENTS, "serviceTier": "flex", "later": {"a_b": [1]}}


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_request_arrives_at_the_emulator_as_it_is(name, keyed):
    app, body = make_app(), WHOLE[name]
    async with make_client(app) as client:
        (result,) = await client.generate_many(MODEL, [("k", body) if keyed else body])
    assert result.ok
    (request,) = sent(app, "models.generateContent")
    assert json.loads(request.body) == body


async def test_a_field_that_nobody_knows_is_sent_and_the_service_names_it():
    app = make_app()
    async with make_client(app) as client:
        (result,) = await client.generate_many(MODEL, [UNKNOWN])
    (request,) = sent(app, "models.generateContent")
    assert json.loads(request.body) == UNKNOWN
    assert isinstance(result.error, errors.BadRequest)
    assert 'Unknown name "later"' in str(result.error)


async def test_a_request_takes_in_the_settings_of_the_batch_that_it_lacks_and_leaves_its_model_to_the_address():
    service = Service()
    shared = {"system_instruction": "be brief", "generation_config": GenerationConfig(top_k=7)}
    rows = [
        GenerateContentRequest(model=MODEL, contents="a", service_tier="flex", extra={"later": 1}),
        {"contents": "b", "store": False, "generation_config": {"topK": 1}},
    ]
    async with service.client() as client:
        assert all(result.ok for result in await run(client, rows, concurrency=1, **shared))
    first, second = service.bodies
    assert "model" not in first
    assert (first["serviceTier"], first["later"], first["generationConfig"]) == ("flex", 1, {"topK": 7})
    assert (second["store"], second["generationConfig"]) == (False, {"topK": 1})
    for body in (first, second):
        assert body["systemInstruction"]["parts"] == [{"text": "be brief"}]


async def test_a_request_that_cannot_be_sent_fails_alone_before_it_is():
    service = Service()
    bad = GenerateContentRequest(contents=[Content(parts=[Part(text="half of \ud83d")])], store=False)
    async with service.client() as client:
        found = await run(client, [bad, "p"], order="input", system_instruction="be brief")
    assert [(result.ok, result.attempts) for result in found] == [(False, 0), (True, 1)]
    assert str(found[0].error).startswith("row 1: ")


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_journal_knows_a_request_by_has_all_its_fields(name):
    digests = {make_item(body, 0, MODEL).content_digest() for body in (*WHOLE.values(), UNKNOWN, "x")}
    assert len(digests) == len(WHOLE) + 2
    named = make_item(WHOLE[name] | {"model": MODEL}, 0, MODEL)
    assert named.content_digest() == make_item(WHOLE[name], 0, MODEL).content_digest()
