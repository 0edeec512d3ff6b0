"""A batch of many lines: in constant memory, and while it is answered nobody else waits."""

import tracemalloc

import anyio.to_thread
import pytest

from emulator.batching import batch_of, create, download, requests, upload
from emulator.holding import LIMIT, loop_watched
from gemtune.emulator.gemini.batches.results import settle
from gemtune.emulator.gemini.shelf import shelf_of

pytestmark = pytest.mark.slow

KIB = 1 << 10


def texts(count: int) -> list[str]:
    return [f"{number} " + "x" * 500 for number in range(count)]


async def peak(start, count: int) -> int:
    """The most bytes that the results of so many requests need at a time, beside what is stored."""
    api = await start(object_memory_bytes=64 * KIB)
    name = await batch_of(api, *texts(count))
    batch = shelf_of(api.app.store).batches.batches[name]
    api.app.advance(100)
    return await anyio.to_thread.run_sync(peak_of, api.app.store, batch)


def peak_of(store, batch) -> int:
    tracemalloc.start()
    try:
        made = settle(store, batch)
        assert made.content.size > 500 * batch.plan.requests
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_the_results_of_four_times_as_many_requests_need_no_more_memory(start):
    few, many = await peak(start, 1_000), await peak(start, 4_000)
    assert few < 2 * KIB * KIB
    assert many < few + 200 * KIB  # a few bytes for each line: where it begins, and when it is answered


async def test_nobody_waits_while_ten_thousand_requests_are_answered(start):
    api = await start()
    file = await upload(api, requests(*texts(10_000)))
    async with loop_watched() as held:
        name = (await create(api, {"fileName": file["name"]}))["name"]
        api.app.advance(100)
        operation = await api.get(f"/v1beta/{name}")
        reply = await download(api, operation["response"]["responsesFile"])
    assert operation["metadata"]["batchStats"] == {"requestCount": "10000", "successfulRequestCount": "10000"}
    assert held.longest < LIMIT
    lines = reply.text.splitlines()
    assert len({line[line.rindex('"key":') :] for line in lines}) == len(lines) == 10_000
