"""Two batches may be alike, in their file or in the name that somebody chose: each is the one that its call created."""

import json

import anyio
import httpx
import pytest

import gemtune
from gemtune import errors
from gemtune.resources.batches.gemini import GeminiBatches
from proofs.faulty import BY_NAME, Faulty
from world import TOKEN, make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
MODEL = "models/gemini-3.7-flash"
LINE = json.dumps({"key": "a", "request": {"contents": [{"parts": [{"text": "x"}]}]}}).encode() + b"\n"
DOUBTS = ["503 UNAVAILABLE", "reset, not acted", "reset, acted", "reset, acts late"]


@pytest.fixture
def app():
    return make_app(batch_queue_seconds=10_000.0, batch_seconds=10_000.0)


def failing(app, *faults):
    """A client whose creations meet faults."""
    way = Faulty(httpx.ASGITransport(app), [BY_NAME[name] for name in faults], part=":batchGenerateContent")
    return gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way)


async def running(client):
    return {each.name async for each in client.batches.list() if not each.done}


@pytest.mark.parametrize("options", [{}, {"display_name": "mine"}], ids=["unnamed", "named"])
@pytest.mark.parametrize("fault", DOUBTS)
async def test_a_file_may_be_asked_twice_and_each_batch_is_its_own(app, fault, options):
    async with make_client(app) as client, failing(app, fault) as unlucky:
        file = await client.files.upload(LINE, mime_type="application/jsonl")
        others = {(await client.batches.create(MODEL, file, display_name="theirs")).name for _ in range(2)}
        try:
            made = await unlucky.batches.create(MODEL, file, **options)
        except errors.AmbiguousOutcome:
            assert options
            assert fault == "reset, acts late"
        else:
            assert made.model == MODEL
            assert made.name not in others
            assert await running(client) == {*others, made.name}
        assert others <= await running(client)


class Busy(httpx.AsyncBaseTransport):
    """Loses the first creation, and lets somebody else create before two requests: that one, and the second look."""

    def __init__(self, app, other):
        self.inner, self.other, self.looks, self.lost = httpx.ASGITransport(app), other, 0, False

    async def handle_async_request(self, request):
        if request.url.path.endswith(":batchGenerateContent") and not self.lost:
            self.lost = True
            await self.other.batches.create(MODEL, ["x"], display_name="nightly")
            raise httpx.ReadError("Connection reset by peer")
        if request.url.path.endswith("/batches"):
            self.looks += 1
            if self.looks == 2:
                await self.other.batches.create(MODEL, ["x"], display_name="nightly")
        return await self.inner.handle_async_request(request)


async def test_a_batch_that_a_look_has_found_by_its_name_may_be_somebody_elses_and_is_not_cancelled(app):
    async with make_client(app) as other:
        way = Busy(app, other)
        async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way) as client:
            with pytest.raises(errors.AmbiguousOutcome) as caught:
                await client.batches.create(MODEL, ["y"], display_name="nightly")
        assert len(await running(other)) == 2
        assert all(name in str(caught.value) for name in await running(other))
        assert "cancelled" not in str(caught.value)


class Stubborn(Faulty):
    """Refuses to cancel anything."""

    async def handle_async_request(self, request):
        if request.url.path.endswith(":cancel"):
            return httpx.Response(403, json={"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "No."}})
        return await super().handle_async_request(request)


async def test_a_second_batch_that_cannot_be_cancelled_is_named_and_the_outcome_is_ambiguous(app):
    fault = BY_NAME["503 UNAVAILABLE, acted all the same"]
    way = Stubborn(httpx.ASGITransport(app), [fault], part=":batchGenerateContent")
    async with gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=way) as client:
        with pytest.raises(errors.AmbiguousOutcome, match="could not be cancelled .*No") as caught:
            await client.batches.create(MODEL, ["y"], display_name="nightly")
        assert len(await running(client)) == 2
        assert all(name in str(caught.value) for name in await running(client))


async def test_of_several_batches_with_one_mark_the_oldest_is_found_and_the_others_are_cancelled(app):
    async with make_client(app) as client:
        first = await client.batches.create(MODEL, ["x"], display_name="mark")
        for _ in range(2):
            await anyio.sleep(1)
            await client.batches.create(MODEL, ["x"], display_name="mark")
        found = await GeminiBatches(client._caller).find("mark")
        assert found.name == first.name
        assert await running(client) == {first.name}
