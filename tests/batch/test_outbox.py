"""What waits for the consumer is bounded in bytes as well as in items."""

import anyio
import pytest

from batch.service import MODEL, Service, answer

REPLY = 4_000_000
LIMIT = 10


@pytest.mark.usefixtures("virtual_time")
async def test_large_replies_stop_the_reading_sooner():
    service = Service(0.01)
    service.keep_bodies = False
    service.always = lambda: answer("x" * REPLY)
    async with service.client() as client, client.batch(MODEL, map(str, range(60)), concurrency=LIMIT) as results:
        # Nobody takes anything, so the run comes to rest. However long its threads take to parse, it is waited for.
        while (now := results.statistics()).in_flight or now.limit != "waiting for the consumer":  # noqa: ASYNC110
            await anyio.sleep(1)
        # When the bound is met, so many are in flight, and one item has been pulled and waits for its permit.
        assert 64 * 2**20 <= now.waiting * REPLY <= 64 * 2**20 + (LIMIT + 1) * REPLY
        assert [len(one.text) async for one in results] == [len("re: ") + REPLY] * 60
