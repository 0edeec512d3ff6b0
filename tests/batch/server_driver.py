"""A program that runs a batch with the server engine and kills itself, without warning, at a stage that it is told.

``python server_driver.py STAGE NTH``: STAGE is ``before`` or ``after`` and a step, such as ``before:create``; or
``results``, after so many of them were printed; or ``never``. The batch of 25 rows takes three batches of the service.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

import gemtune
from gemtune.batch.engines.server import engine, post, sending, waiting
from gemtune.batch.engines.server.results import Results
from gemtune.resources.batches.gemini import GeminiBatches
from gemtune.resources.batches.service import BatchLimits
from gemtune.resources.batches.vertex import VertexBatches
from gemtune.resources.vertex import labels

LIMITS = BatchLimits(requests=10, bytes=1_000_000, jobs=3, inline_bytes=0, hours=48)
ROWS = [(f"k{n}", f"prompt {n}") for n in range(25)]
PATIENCE = 1.0
"""Seconds in which a creation that was sent before the kill arrives; here the service is near."""

stage, nth = sys.argv[1], int(sys.argv[2])
seen: Counter[str] = Counter()


def reached(here: str) -> None:
    seen[here] += 1
    if here == stage and seen[here] == nth:
        os.kill(os.getpid(), signal.SIGKILL)


def staged(name: str, step: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(*arguments: Any, **options: Any) -> Any:
        shown = f"{name} {arguments[2]}" if name == "note" else name
        reached(f"before:{shown}")
        result = await step(*arguments, **options)
        reached(f"after:{shown}")
        return result

    return run


for owner in (GeminiBatches, VertexBatches):
    owner.limits = LIMITS
    for step in ("place", "create", "get", "fetch", "discard"):
        setattr(owner, step, staged(step, getattr(owner, step)))
sending.note = engine.note = staged("note", sending.note)
waiting._SHORTEST = 0.2
post._UNDER_WAY = PATIENCE
labels.SETTLED = 0.05  # the emulator's list never lags behind
checked = Results.check


def check(self: Results, *arguments: Any) -> Any:
    reached("before:check")
    found = checked(self, *arguments)
    reached("after:check")
    return found


Results.check = check


async def main() -> None:
    model, options = sys.argv[3], json.loads(sys.argv[4])
    async with (
        gemtune.Client(**json.loads(os.environ.get("CLIENT", "{}"))) as client,
        client.batch(model, ROWS, engine="server", journal="journal", resume="rest", **options) as results,
    ):
        async for result in results:
            sys.stdout.write(f"{result.key} {result.text}\n")
            sys.stdout.flush()
            reached("results")


anyio.run(main)
