"""What a creation refuses, and what it leaves behind if the service refuses it."""

from contextlib import suppress

import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.resources.batches import collection
from proofs.faulty import BY_NAME, Faulty
from vertex.service import BASE, make_vertex
from world import TOKEN, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")
MODEL = "models/gemini-3.7-flash"


@pytest.fixture
def app():
    return make_app(batch_queue_seconds=10_000.0, batch_seconds=10_000.0)


@pytest.mark.parametrize("count", [0, 10], ids=["file", "inline"])
async def test_a_bucket_is_refused_on_the_gemini_api_whichever_form_the_batch_has(app, monkeypatch, count):
    monkeypatch.setattr(collection, "_INLINE_COUNT", count)
    async with make_client(app) as client:
        with pytest.raises(errors.InvalidInput, match="bucket is an argument of Vertex AI"):
            await client.batches.create(MODEL, ["x"], bucket="my-bucket")
    assert sent(app) == []


async def test_a_bucket_for_lines_that_lie_in_one_is_refused():
    app = make_app(buckets=["my-bucket", "other"])
    async with make_vertex(app, bucket="my-bucket")[1] as client:
        with pytest.raises(errors.InvalidInput, match="bucket is where requests are uploaded, and gs://my-bucket/x"):
            await client.batches.create(BASE, "gs://my-bucket/x.jsonl", bucket="other")
    assert sent(app) == []


async def test_a_batch_that_was_surely_not_created_leaves_no_input_behind(app, monkeypatch):
    monkeypatch.setattr(collection, "_INLINE_COUNT", 0)
    async with make_client(app) as client:
        with pytest.raises(errors.InvalidInput, match="labels is an argument of Vertex AI"):
            await client.batches.create(MODEL, ["x"], labels={"a": "b"})
        assert await client.files.list().all() == []
        with pytest.raises(errors.NotFound):
            await client.batches.create("tunedModels/none-such", ["x"])
        assert await client.files.list().all() == []


@pytest.mark.parametrize(
    ("fault", "left"), [("429 for the day", 0), ("reset, not acted", 1), ("503 UNAVAILABLE, acted all the same", 1)]
)
async def test_the_input_of_a_batch_that_may_exist_is_kept(app, monkeypatch, fault, left):
    monkeypatch.setattr(collection, "_INLINE_COUNT", 0)
    way = Faulty(httpx.ASGITransport(app), [], BY_NAME[fault], part=":batchGenerateContent")
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way) as client:
        with suppress(errors.QuotaExhausted, errors.AmbiguousOutcome):
            await client.batches.create(MODEL, ["x"])
        assert len(await client.files.list().all()) == left
