"""Results of a batch on Vertex AI over a real connection that breaks: resumed, checked, in constant memory."""

import tracemalloc

import pytest

import gemtune
from gemtune.config import RetryPolicy
from gemtune.emulator import Fault, running_emulator
from gemtune.errors import MalformedResponse
from vertex.service import BASE
from world import TOKEN

pytestmark = pytest.mark.socket
QUICK = RetryPolicy(initial=0.01, maximum=0.02)
LONG = "word " * 400  # with its echo and its answer, a line of the results is as long as ten of the usual ones
ROWS = 600


@pytest.fixture(scope="module")
def server():
    with running_emulator(clock="stepped", buckets=["my-bucket"], answers=lambda prompt: prompt.text) as running:
        yield running


@pytest.fixture
async def client(server):
    options = {"token": TOKEN, "project": "my-project", "bucket": "my-bucket", "retry": QUICK}
    async with gemtune.Client(vertexai=True, location="us-central1", base_url=server.url, **options) as client:
        yield client


async def finished(server, client, rows=ROWS):
    batch = await client.batches.create(BASE, ((f"k{number}", f"{LONG}{number}") for number in range(rows)))
    server.app.advance(100)
    return batch.name


async def check(client, name, rows=ROWS):
    keys = set()
    async for reply in client.batches.results(name):
        assert reply.response.text == f"{LONG}{reply.key[1:]}"
        keys.add(reply.key)
    assert keys == {f"k{number}" for number in range(rows)}


@pytest.mark.parametrize("cut", ["reply", "headers", "body", "end"])
async def test_a_download_that_breaks_is_continued(server, client, cut):
    name = await finished(server, client)
    before = server.app.requests.statistics()["requests"]
    server.app.faults.add(Fault(method="objects.get", cut=cut))
    await check(client, name)
    asked = [entry for entry in server.app.requests.of("objects.get") if entry.number > before]
    assert len(asked) == 2
    assert {dict(entry.query)["alt"] for entry in asked} == {"media"}
    if cut == "body":
        begun = dict(asked[1].headers)["range"]
        assert int(begun.removeprefix("bytes=").removesuffix("-")) > 0


async def test_a_content_that_is_not_what_the_service_has_is_said(server, client):
    name = await finished(server, client, 3)
    found = await client.batches.get(name)
    bucket = server.app.store.objects.buckets["my-bucket"]
    place = found.output.removeprefix("gs://my-bucket/") + "/predictions.jsonl"
    whole = bucket.objects[place]
    object.__setattr__(whole.content, "crc32c", whole.content.crc32c ^ 1)
    with pytest.raises(MalformedResponse, match="CRC-32C"):
        await check(client, name, 3)


async def test_memory_is_a_part_of_what_is_sent_and_of_what_comes(server, client):
    name = await finished(server, client, 200)
    await check(client, name, 200)  # what is imported and compiled once
    tracemalloc.start()
    try:
        name = await finished(server, client, 3_000)
        tracemalloc.reset_peak()
        await check(client, name, 3_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = await client.batches.get(name)
    place = found.output.removeprefix("gs://my-bucket/") + "/predictions.jsonl"
    size = server.app.store.objects.buckets["my-bucket"].objects[place].content.size
    assert size > 12_000_000
    assert peak < size / 2
