"""What evaluating a row costs beside a plain batch over the same rows, and the memory of a row; see README.md here.

Both ask three models within one limit, on the canned server in a process of its own, and every way is measured in a
fresh process. A batch only checks each answer; an evaluation keeps them all, scores them and compares the models.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import measuring
from batchers import Run, check
from measuring import Cell
from server import ANSWER

MODELS = ("models/gemini-3.7-flash", "tunedModels/one", "tunedModels/two")
BASELINE = "three plain batches"


def rows(count: int) -> list[tuple[str, str]]:
    """Distinct questions of about 300 bytes with what is expected: half of the answers are right."""
    asked = "What is the Roman numeral that follows LXIII? " * 6
    return [(f"{n}: {asked}", ANSWER if n % 2 else "LXV") for n in range(count)]


def rss() -> float:
    """The memory of this process, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024.0


@asynccontextmanager
async def plain(url: str, in_flight: int, journal: bool) -> AsyncIterator[Run]:
    """A batch for each model over the same rows, all within one limiter, each answer checked and dropped."""
    import gemtune

    async with gemtune.Client(api_key="k", base_url=url) as client:

        async def run(items: int) -> None:
            limiter, data = gemtune.Limiter(concurrency=in_flight), rows(items)

            async def one(model: str, folder: str) -> None:
                path = Path(folder, f"{model.rpartition('/')[2]}.journal") if journal else None
                questions = ((n, question) for n, (question, _) in enumerate(data))
                async with client.batch(model, questions, limiter=limiter, journal=path) as results:
                    async for result in results:
                        check(result.text)

            with tempfile.TemporaryDirectory() as folder:
                await asyncio.gather(*(one(model, folder) for model in MODELS))

        yield run


@asynccontextmanager
async def evaluated(url: str, in_flight: int, journal: bool, metrics: Any) -> AsyncIterator[Run]:
    """client.evaluate over the same rows."""
    import gemtune

    async with gemtune.Client(api_key="k", base_url=url) as client:

        async def run(items: int) -> None:
            with tempfile.TemporaryDirectory() as folder:
                options: dict[str, Any] = {"journal": Path(folder, "run")} if journal else {}
                found = await client.evaluate(MODELS, rows(items), metrics=metrics, concurrency=in_flight, **options)
                assert found.models[0].scores["exact_match"].value == 0.5
                assert len(found.rows) == items

        yield run


SUBJECTS = {
    BASELINE: lambda url, n: plain(url, n, False),
    "evaluate, exact_match": lambda url, n: evaluated(url, n, False, "exact_match"),
    "evaluate, three metrics": lambda url, n: evaluated(url, n, False, ["exact_match", "contains", "json_equal"]),
    f"{BASELINE}, journal": lambda url, n: plain(url, n, True),
    "evaluate, exact_match, journal": lambda url, n: evaluated(url, n, True, "exact_match"),
}


async def measure(subject: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU and speed per answer in this process, after a warm-up that opens every connection."""
    async with SUBJECTS[subject](url, in_flight) as run:
        await run(max(200, 2 * in_flight))
        return await measuring.spend(lambda count: run(count // len(MODELS)), items * len(MODELS))


async def memory(items: int) -> Cell:
    """What an evaluation in hand takes, and how long it takes to score, compare and write it."""
    import httpx
    from server import REPLY

    import gemtune

    canned = json.dumps(REPLY).encode()

    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return httpx.Response(200, content=canned)

    async with gemtune.Client(
        api_key="k", base_url="http://127.0.0.1", transport=httpx.MockTransport(answer)
    ) as client:
        await client.evaluate(MODELS, rows(500))
        data = rows(items)
        gc.collect()
        before = rss()
        found = await client.evaluate(MODELS, data)
        gc.collect()
        held = rss() - before
        began = time.process_time()
        found.picture()
        compared = time.process_time() - began
    texts = len(ANSWER) * len(MODELS)
    return {"bytes_per_row": held / items, "bytes_of_texts": texts, "compare_ms": compared * 1000}


def report(options: argparse.Namespace) -> int:
    cells = measuring.rounds(options)
    cpu, speed = measuring.medians(cells, "cpu_us"), measuring.medians(cells, "items_per_s")
    for n in options.in_flight:
        print(f"per answer, {n} in flight")
        for subject in options.subjects:
            if n not in cpu.get(subject, {}):
                continue
            base = f"{BASELINE}, journal" if subject.endswith("journal") else BASELINE
            ratio = f"{cpu[subject][n] / cpu[base][n]:.2f}x" if n in cpu.get(base, {}) else ""
            print(f"  {subject:32} {cpu[subject][n]:6.0f} µs {ratio:>6} {speed[subject][n]:7.0f}/s")
    print(*measuring.errors(cells), sep="\n")
    held = asyncio.run(memory(options.items))
    print(f"memory: {held['bytes_per_row']:,.0f} bytes a row of {len(MODELS)} models,", end=" ")
    print(f"{held['bytes_of_texts']:,} of which are the texts of its answers")
    print(f"all comparisons and changed rows: {held['compare_ms']:.0f} ms of CPU")
    context = measuring.surroundings() | {"items": options.items, "rounds": options.rounds}
    print("\n" + measuring.origin(options, context))
    measuring.save(options.json, {"context": context, "cells": cells, "memory": held})
    return 1 if any("error" in one for one in cells) else 0


def main() -> int:
    parser = measuring.parser(__doc__, SUBJECTS, [64])
    return measuring.main(parser.parse_args(), 10_000, measure, report)


if __name__ == "__main__":
    sys.exit(main())
