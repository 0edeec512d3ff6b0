"""Rows that are whole requests arrive at the service as they are."""

import json
import re
from datetime import date
from uuid import UUID

import pytest

from batch.service import MODEL, Service, run
from gemtune import errors
from gemtune.batch import make_batch
from gemtune.batch.inputs import make_item
from gemtune.protocol.names import model_name
from gemtune.types import Candidate, Content, GenerateContentRequest, GenerateContentResponse, GenerationConfig, Part
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


async def test_the_model_of_a_batch_and_of_its_rows_is_named_as_the_service_names_it():
    asked = []

    class Client:
        async def generate_content(self, model, contents, **_):
            asked.append(model)
            return GenerateContentResponse(candidates=(Candidate(content=Content(parts=(Part(text="yes"),))),))

    rows = [{"contents": "p", "model": name} for name in ("x", "y")]
    async with make_batch(Client(), lambda name: f"projects/p/models/{name}", "x", rows) as results:
        found = {result.key: result async for result in results}
    assert (asked, [found[0].ok, found[1].ok]) == (["projects/p/models/x"], [True, False])
    assert "the request is for y, but the batch is for projects/p/models/x" in str(found[1].error)


async def test_a_request_that_cannot_be_sent_fails_alone_before_it_is():
    service = Service()
    bad = GenerateContentRequest(contents=[Content(parts=[Part(text="half of \ud83d")])], store=False)
    async with service.client() as client:
        found = await run(client, [bad, "p"], order="input", system_instruction="be brief")
    assert [(result.ok, result.attempts) for result in found] == [(False, 0), (True, 1)]
    assert str(found[0].error).startswith("row 1: ")


CYCLE: list[object] = []
CYCLE.append(CYCLE)
ODD = {"a set": {1, 2}, "an object": object(), "a date": date(2026, 1, 1), "a cycle": CYCLE, "endless": 10**5000}
UNSAYABLE = "cannot be written as JSON: |at most 64 levels"


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_what_json_cannot_say_fails_alone_and_is_refused_in_what_all_share(odd, tmp_path):
    service, tenth = Service(), UUID(int=10)
    rows = [{"contents": "odd", "labels": odd}, {"contents": "fine", "labels": {"id": tenth, 1: "mixed keys"}}]
    async with service.client() as client:
        for journal in (None, tmp_path / "j"):
            found = await run(client, rows, order="input", journal=journal)
            assert [(one.ok, one.attempts) for one in found] == [(False, 0), (True, 1)]
            assert str(found[0].error).startswith("row 1: this ")
            assert re.search(UNSAYABLE, str(found[0].error))
        assert [one.ok for one in await run(client, rows[1:], journal=tmp_path / "other")] == [True]
        with pytest.raises(errors.InvalidInput, match=UNSAYABLE):
            client.batch(MODEL, ["p"], generation_config=GenerationConfig(extra={"labels": odd}))
    assert service.bodies[-1]["labels"] == {"id": str(tenth), "1": "mixed keys"}


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_journal_knows_a_request_by_has_all_its_fields(name):
    digests = {make_item(body, 0, MODEL, model_name).content_digest() for body in (*WHOLE.values(), UNKNOWN, "x")}
    assert len(digests) == len(WHOLE) + 2
    named = make_item(WHOLE[name] | {"model": MODEL}, 0, MODEL, model_name)
    assert named.content_digest() == make_item(WHOLE[name], 0, MODEL, model_name).content_digest()
