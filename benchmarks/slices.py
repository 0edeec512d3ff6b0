"""How long one reply may hold the event loop: the longest CPU slice of its thread, for replies of every kind.

A slice is one callback of the loop, from its beginning to its end, in CPU seconds of the loop's own thread: what no
other task can interrupt. The promise is at most 50 ms for any reply or error body of up to 1 MB, and what is large is
decoded in a worker thread. The transport answers at once, so that a slice holds all that is made of a body.
"""

import argparse
import asyncio
import gzip
import json
import time
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx

import gemtune

SIZES = {"64 kB": 1 << 16, "1 MB": 1 << 20}
PROMISE = 0.050
GENERATE, STREAM, LIST, OPERATION = "generate", "stream", "list", "operation"


def candidates(*parts: object) -> dict[str, object]:
    """A reply with these parts."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}]}


def many(item: object, size: int) -> list[object]:
    """As many of an item as make so many bytes of JSON."""
    return [item] * (size // (len(json.dumps(item)) + 2))


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def reply_json(make: Callable[[int], object]) -> Callable[[int], bytes]:
    """A body of JSON."""
    return lambda size: json.dumps(make(size)).encode()


SNAPSHOT = {"step": 7, "epoch": 1, "meanLoss": 0.25, "computeTime": "2026-03-14T09:26:56.123456789Z"}
MODEL = {"name": "models/gemini-3.7-flash", "displayName": "Flash", "supportedGenerationMethods": ["generateContent"]}
DETAIL = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}
KINDS: dict[str, tuple[str, int, Callable[[int], bytes]]] = {
    "a reply, one text": (GENERATE, 200, reply_json(lambda size: candidates({"text": "x" * size}))),
    "a reply, small parts": (GENERATE, 200, reply_json(lambda size: candidates(*many({"text": "a"}, size)))),
    "a reply, unknown fields": (GENERATE, 200, reply_json(lambda size: {f"k{n}": n for n in range(size // 12)})),
    "a reply of lists in lists": (GENERATE, 200, lambda size: b"[" * size),
    "a reply of gzip": (
        GENERATE, 200, lambda size: gzip.compress(json.dumps(candidates({"text": "x" * size})).encode())
    ),
    "an event, one text": (STREAM, 200, lambda size: event(candidates({"text": "x" * (size - 200)}))),
    "an event, small parts": (STREAM, 200, lambda size: event(candidates(*many({"text": "a"}, size - 200)))),
    "small events": (STREAM, 200, lambda size: event({"x": 1}) * (size // 20) + event(candidates({"text": "a"}))),
    "blank lines": (STREAM, 200, lambda size: b"\n" * size + event(candidates({"text": "a"}))),
    "a page of models": (LIST, 200, reply_json(lambda size: {"models": many(MODEL, size)})),
    "a job's snapshots": (
        OPERATION,
        200,
        reply_json(lambda size: {"name": "tunedModels/x/operations/y", "metadata": {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1beta.CreateTunedModelMetadata",
            "totalSteps": 9, "snapshots": many(SNAPSHOT, size)}}),
    ),
    "an error's message": (GENERATE, 400, reply_json(lambda size: {"error": {"message": "x" * size}})),
    "an error's details": (GENERATE, 429, reply_json(lambda size: {"error": {"details": many(DETAIL, size)}})),
    "another error's keys": (GENERATE, 400, reply_json(lambda size: {f"k{n}": n for n in range(size // 12)})),
    "an error page of <script": (GENERATE, 502, lambda size: b"<script" * (size // 7)),
    "an error page of <": (GENERATE, 502, lambda size: b"<" * size),
    "an error of control characters": (GENERATE, 502, lambda size: b"\x1b[0" * (size // 3)),
    "a stream's error page": (STREAM, 502, lambda size: b"<" * size),
}  # fmt: skip


@contextmanager
def slices() -> Iterator[list[float]]:
    """The CPU seconds of every callback of the loop while the block runs."""
    found: list[float] = []
    plain = events.Handle._run

    def timed(handle: events.Handle) -> None:
        begun = time.thread_time()
        plain(handle)
        found.append(time.thread_time() - begun)

    events.Handle._run = timed
    try:
        yield found
    finally:
        events.Handle._run = plain


async def ask(client: gemtune.Client, how: str) -> None:
    """Make the call, whatever comes of it."""
    with suppress(gemtune.GemtuneError):
        if how == STREAM:
            async with client.stream_generate_content("models/m", "hi") as stream:
                async for _ in stream:
                    pass
        elif how == LIST:
            async for _ in client.models.list().pages():
                break
        elif how == OPERATION:
            await client.operations.get("tunedModels/x/operations/y")
        else:
            await client.generate_content("models/m", "hi")


async def longest(how: str, status: int, body: bytes, times: int) -> float:
    """The longest slice of a call that is answered so, at best of some times: what else runs here only lengthens it."""
    headers = {"content-encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    best = float("inf")
    async with gemtune.Client(
        api_key="k" * 20, transport=httpx.MockTransport(answer), retry=gemtune.RetryPolicy(attempts=1)
    ) as client:
        for _ in range(times + 1):  # the first makes the codec's functions
            with slices() as found:
                await asyncio.create_task(ask(client, how))  # callbacks of its own
            best = min(best, max(found))
    return best


async def main(times: int) -> bool:
    """Print the table; return whether the promise holds."""
    print(f"{'longest slice of the loop':32}" + "".join(f"{size:>10}" for size in SIZES))
    kept = True
    for name, (how, status, make) in KINDS.items():
        row = [await longest(how, status, make(size), times) for size in SIZES.values()]
        kept = kept and max(row) <= PROMISE
        print(f"{name:32}" + "".join(f"{seconds * 1000:>7.1f} ms" for seconds in row), flush=True)
    print("every slice is within 50 ms" if kept else "some slice is longer than 50 ms")
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="measurements per cell, of which the best is shown")
    raise SystemExit(not asyncio.run(main(parser.parse_args().times)))
