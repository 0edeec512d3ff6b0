"""Ways to ask one model many things, set up as their documentation does: every one checks every answer.

Each is an async context manager that gives an async function: it asks so many prompts with so many in flight.
Imports are inside, because each measurement is a process of its own that loads only what it measures.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from clients import HEADERS, MODEL, PATH, TIMEOUT, text_of
from server import ANSWER

Run = Callable[[int], Awaitable[None]]
Runner = Callable[[str, int], AbstractAsyncContextManager[Run]]


def prompts(items: int) -> Iterator[str]:
    """Distinct prompts of about 300 bytes."""
    return (f"{n}: " + "What is the Roman numeral that follows LXIII? " * 6 for n in range(items))


def body(prompt: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}


def check(text: str) -> None:
    if text != ANSWER:
        raise AssertionError("the server's answer did not arrive")


@asynccontextmanager
async def aiohttp_workers(url: str, in_flight: int) -> AsyncIterator[Run]:
    """The least that can be done: so many workers over one iterator, JSON in and out."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def run(items: int) -> None:
            rows = prompts(items)

            async def worker() -> None:
                for prompt in rows:
                    async with session.post(url + PATH, json=body(prompt), headers=HEADERS) as reply:
                        check(text_of(json.loads(await reply.read())))

            await asyncio.gather(*(worker() for _ in range(in_flight)))

        yield run


@asynccontextmanager
async def genai_semaphore(url: str, in_flight: int) -> AsyncIterator[Run]:
    """google-genai (with its aiohttp extra), a task for each prompt, and a semaphore."""
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="k", http_options=types.HttpOptions(base_url=url, api_version="v1beta"))
    async with client.aio as aio:

        async def run(items: int) -> None:
            semaphore = asyncio.Semaphore(in_flight)

            async def one(prompt: str) -> None:
                async with semaphore:
                    reply = await aio.models.generate_content(model=MODEL, contents=prompt)
                check(reply.text or "")

            await asyncio.gather(*(one(prompt) for prompt in prompts(items)))

        yield run
    client.close()


@asynccontextmanager
async def httpx2_gather(url: str, in_flight: int) -> AsyncIterator[Run]:
    """As people write it with openai's SDK: gather over everything and a semaphore, on that SDK's transport."""
    import httpx2

    limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx2.AsyncClient(limits=limits, timeout=TIMEOUT) as client:

        async def run(items: int) -> None:
            semaphore = asyncio.Semaphore(in_flight)

            async def one(prompt: str) -> str:
                async with semaphore:
                    reply = await client.post(url + PATH, json=body(prompt), headers=HEADERS)
                return text_of(reply.json())

            for text in await asyncio.gather(*(one(prompt) for prompt in prompts(items))):
                check(text)

        yield run


@asynccontextmanager
async def aiometer_httpx(url: str, in_flight: int) -> AsyncIterator[Run]:
    """aiometer.amap over httpx."""
    import aiometer
    import httpx

    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits, timeout=TIMEOUT) as client:

        async def one(prompt: str) -> str:
            reply = await client.post(url + PATH, json=body(prompt), headers=HEADERS)
            return text_of(reply.json())

        async def run(items: int) -> None:
            async with aiometer.amap(one, list(prompts(items)), max_at_once=in_flight) as texts:
                async for text in texts:
                    check(text)

        yield run


@asynccontextmanager
async def async_batch_llm(url: str, in_flight: int) -> AsyncIterator[Run]:
    """async-batch-llm's stream, around the same bare aiohttp call as the first."""
    import logging

    import aiohttp
    from async_batch_llm import process_stream
    from async_batch_llm.llm_strategies import LLMCallStrategy

    logging.disable(logging.CRITICAL)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        class Bare(LLMCallStrategy):
            async def execute(self, prompt: str, *_: Any, **__: Any) -> Any:
                async with session.post(url + PATH, json=body(prompt), headers=HEADERS) as reply:
                    found = json.loads(await reply.read())
                usage = found["usageMetadata"]
                tokens = {"input_tokens": usage["promptTokenCount"], "output_tokens": usage["candidatesTokenCount"]}
                return text_of(found), tokens | {"total_tokens": usage["totalTokenCount"]}, None

        async def run(items: int) -> None:
            async for result in process_stream(Bare(), prompts(items), concurrency=in_flight):
                check(result.output)

        yield run


@asynccontextmanager
async def _gemtune(url: str, in_flight: int, journal: bool) -> AsyncIterator[Run]:
    import gemtune

    async with gemtune.Client(api_key="k", base_url=url) as client:

        async def run(items: int) -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "journal") if journal else None
                async with client.batch(MODEL, prompts(items), concurrency=in_flight, journal=path) as results:
                    async for result in results:
                        check(result.text)

        yield run


def ours(url: str, in_flight: int) -> AbstractAsyncContextManager[Run]:
    """gemtune without a journal."""
    return _gemtune(url, in_flight, journal=False)


def ours_with_journal(url: str, in_flight: int) -> AbstractAsyncContextManager[Run]:
    """gemtune with a journal, on the disk every 0.1 s."""
    return _gemtune(url, in_flight, journal=True)


RUNNERS: dict[str, Runner] = {
    "bare aiohttp workers": aiohttp_workers,
    "google-genai + semaphore": genai_semaphore,
    "httpx2 + gather": httpx2_gather,
    "aiometer + httpx": aiometer_httpx,
    "async-batch-llm + aiohttp": async_batch_llm,
    "gemtune": ours,
    "gemtune with journal": ours_with_journal,
}
