"""An emulator and an HTTP client in one process."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial

import anyio
import httpx
import pytest

from emulator.emulated import Api
from emulator.vertex import PREFER, TRAIN, Vertex, preferences, put, supervised
from gemtune.emulator import create_app


@pytest.fixture
async def start(anyio_backend) -> AsyncIterator[Callable[..., Api]]:
    """A function that starts an emulator on a stepped clock; its arguments are those of ``create_app``."""
    async with AsyncExitStack() as stack:

        async def begin(**options) -> Api:
            # a state file is read, which blocks
            app = await anyio.to_thread.run_sync(partial(create_app, **{"clock": "stepped"} | options))
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
            return Api(app, await stack.enter_async_context(client))

        yield begin


@pytest.fixture
async def api(start) -> Api:
    """An emulator with every setting at its default, on a stepped clock."""
    return await start()


@pytest.fixture
async def start_vertex(start) -> Callable[..., Vertex]:
    """A function that starts an emulator as ``start`` does, to be asked as Vertex AI, with two datasets."""

    async def begin(**options) -> Vertex:
        api = await start(**options)
        for lines, uri in ((supervised(), TRAIN), (preferences(), PREFER)):
            await anyio.to_thread.run_sync(put, api.app, lines, uri)  # with a state file, onto the disk
        return Vertex(api.app, api.http)

    return begin


@pytest.fixture
async def vertex(start_vertex) -> Vertex:
    """An emulator with every setting at its default, to be asked as Vertex AI."""
    return await start_vertex()
