"""What waits for the consumer is bounded in bytes, too."""

import anyio
import anyio.lowlevel

from batch.service import MODEL, Service, answer

REPLY = 4_000_000


async def test_large_replies_stop_the_reading_sooner():
    service = Service(0.01)
    service.keep_bodies = False
    service.always = lambda: answer("x" * REPLY)
    async with service.client() as client, client.batch(MODEL, map(str, range(60)), concurrency=10) as results:
        with anyio.fail_after(20):
            while (now := results.statistics()).in_flight or now.limit != "waiting for the consumer":
                await anyio.lowlevel.checkpoint()
        assert 64 * 2**20 <= now.waiting * REPLY <= 64 * 2**20 + 10 * REPLY
        assert [len(one.text) async for one in results] == [len("re: ") + REPLY] * 60
