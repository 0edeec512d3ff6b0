"""What a call keeps alive while it waits: at a thousand calls, the garbage collector walks it again and again."""

import asyncio
import contextlib
import gc
import json
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from gemtune import Client

CALLS = 50
MORE_THAN_AIOHTTP = 10
"""Tracked objects that a typed call may keep beyond those of the request it makes."""

BODY = json.dumps({"candidates": [{"content": {"parts": [{"text": "LXIV"}], "role": "model"}}]}).encode()
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Holding(asyncio.Protocol):
    """A server in this loop that hands over whoever waits for a reply."""

    waiting: asyncio.Queue[asyncio.Transport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            self.waiting.put_nowait(self.transport)


@contextlib.asynccontextmanager
async def holding() -> AsyncIterator[tuple[str, asyncio.Queue[asyncio.Transport]]]:
    waiting: asyncio.Queue[asyncio.Transport] = asyncio.Queue()
    cls = type("Server", (Holding,), {"waiting": waiting})
    server = await asyncio.get_running_loop().create_server(cls, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", waiting


def tracked() -> int:
    gc.collect()
    return len(gc.get_objects())


async def kept_per_call(call: Callable[[], Awaitable[object]], waiting: asyncio.Queue[asyncio.Transport]) -> float:
    """The objects that each of many calls under way keeps alive, its task included.

    The median of three rounds, because what earlier tests of the process have left may go in any of them.
    """
    kept = []
    for _ in range(4):  # the first time opens the connections
        tasks = [asyncio.ensure_future(call()) for _ in range(CALLS)]
        held = [await waiting.get() for _ in range(CALLS)]
        for _ in range(10):  # until everything that sends a request has ended
            await asyncio.sleep(0)
        during = tracked()
        for transport in held:
            transport.write(REPLY)
        await asyncio.gather(*tasks)
        del tasks
        kept.append((during - tracked()) / CALLS)
    return statistics.median(kept[1:])


@pytest.mark.socket
async def test_a_call_in_flight_keeps_hardly_more_alive_than_the_bare_request():
    async with holding() as (url, waiting), aiohttp.ClientSession() as session:

        async def bare() -> None:
            reply = await session.post(f"{url}/v1beta/models/m:generateContent", data=b'{"contents":[]}')
            await reply.read()

        least = await kept_per_call(bare, waiting)
        async with Client(api_key="k", base_url=url) as client:

            async def typed() -> None:
                reply = await client.generate_content("models/m", "LXIII")
                assert reply.text == "LXIV"

            kept = await kept_per_call(typed, waiting)
    assert kept <= least + MORE_THAN_AIOHTTP
