"""The clients under comparison, set up as their documentation does, with room for all calls in flight.

Every one is an async context manager that gives an async function: it asks "hi" and returns the reply's text.
Imports are inside, because each measurement is a process of its own that loads only its client.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

Call = Callable[[], Awaitable[str]]
Calls = AbstractAsyncContextManager[Call]

MODEL = "gemini-3.7-flash"
PATH = f"/v1beta/models/{MODEL}:generateContent"
BODY = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
HEADERS = {"x-goog-api-key": "k"}
TIMEOUT = 60.0  # seconds; the five of httpx's default are too few for 1000 calls in flight


def text_of(reply: Any) -> str:
    text: str = reply["candidates"][0]["content"]["parts"][0]["text"]
    return text


@asynccontextmanager
async def bare_aiohttp(url: str, in_flight: int) -> AsyncIterator[Call]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def call() -> str:
            async with session.post(url + PATH, json=BODY, headers=HEADERS) as reply:
                return text_of(json.loads(await reply.read()))

        yield call


@asynccontextmanager
async def _httpx_like(library: Any, url: str, in_flight: int) -> AsyncIterator[Call]:
    limits = library.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with library.AsyncClient(limits=limits, timeout=TIMEOUT) as client:

        async def call() -> str:
            reply = await client.post(url + PATH, json=BODY, headers=HEADERS)
            return text_of(reply.json())

        yield call


def bare_httpx(url: str, in_flight: int) -> Calls:
    import httpx

    return _httpx_like(httpx, url, in_flight)


def bare_httpx2(url: str, in_flight: int) -> Calls:
    import httpx2

    return _httpx_like(httpx2, url, in_flight)


@asynccontextmanager
async def _genai(url: str, **http_options: Any) -> AsyncIterator[Call]:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=url, api_version="v1beta", **http_options)
    client = genai.Client(api_key="k", http_options=options)
    async with client.aio as aio:

        async def call() -> str:
            reply = await aio.models.generate_content(model=MODEL, contents="hi")
            return reply.text or ""

        yield call
    client.close()


def genai_aiohttp(url: str, _in_flight: int) -> Calls:
    """google-genai as installed with its aiohttp extra; its pool has no limit of its own."""
    return _genai(url)


def genai_httpx2(url: str, in_flight: int) -> Calls:
    """google-genai as installed without its aiohttp extra."""
    sys.modules["aiohttp"] = None  # type: ignore[assignment]
    os.environ["GOOGLE_GENAI_HTTP_CLIENT"] = "httpx2"
    import httpx2

    limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    return _genai(url, async_client_args={"limits": limits})


@asynccontextmanager
async def _gemtune(url: str) -> AsyncIterator[Call]:
    import gemtune

    async with gemtune.Client(api_key="k", base_url=url) as client:

        async def call() -> str:
            reply = await client.generate_content(f"models/{MODEL}", "hi")
            return reply.text

        yield call


def ours(url: str, _in_flight: int) -> Calls:
    """gemtune as installed without extras."""
    sys.modules["orjson"] = None  # type: ignore[assignment]
    return _gemtune(url)


def ours_speed(url: str, _in_flight: int) -> Calls:
    """gemtune as installed with its speed extra, which brings orjson."""
    import orjson  # noqa: F401 - missing means: not installed, and not: measured without it

    return _gemtune(url)


CLIENTS: dict[str, Callable[[str, int], Calls]] = {
    "bare aiohttp": bare_aiohttp,
    "bare httpx": bare_httpx,
    "bare httpx2": bare_httpx2,
    "google-genai (aiohttp)": genai_aiohttp,
    "google-genai (httpx2)": genai_httpx2,
    "gemtune": ours,
    "gemtune[speed]": ours_speed,
}
