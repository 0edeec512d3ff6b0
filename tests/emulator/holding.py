"""For how long the event loop is held: what no other caller should have to wait for."""

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import attrs

LIMIT = 0.05  # seconds
PIECE = 64 << 10


@attrs.define
class Holding:
    longest: float = 0.0


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """A body as it comes from a socket: all of it at once would hold the loop in the test's own client."""
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


@asynccontextmanager
async def loop_watched() -> AsyncIterator[Holding]:
    """The longest time between two rounds of the loop; in its own processor time, however busy the machine is."""
    found = Holding()

    async def watch():
        while True:
            before = time.thread_time()
            await anyio.lowlevel.checkpoint()
            found.longest = max(found.longest, time.thread_time() - before)

    gc.disable()  # a collection of all that a run of many tests has made takes as long, and is nobody's fault here
    async with anyio.create_task_group() as watching:
        watching.start_soon(watch)
        await anyio.lowlevel.checkpoint()  # a program that never waits would be over before it watches
        try:
            yield found
        finally:
            gc.enable()
        await anyio.lowlevel.checkpoint()
        watching.cancel_scope.cancel()
