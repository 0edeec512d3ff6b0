"""Client CPU, speed and memory per item of a batch, ours beside the peers; how to read it is in README.md here."""

import argparse
import asyncio
import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import measuring
from batchers import RUNNERS, prompts
from measuring import Cell
from server import ANSWER, REPLY

BASELINE = "bare aiohttp workers"


def peak_rss() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(runner: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU, speed and memory per item in this process, after a warm-up that opens every connection."""
    async with RUNNERS[runner](url, in_flight) as run:
        await run(max(200, 2 * in_flight))
        before = peak_rss()
        found = await measuring.spend(run, items)
    return found | {"peak_mib": peak_rss(), "growth_mib": peak_rss() - before}


class Instant:
    """A client whose replies are there at once: what is left is the batch itself."""

    def __init__(self) -> None:
        from gemtune.protocol.codec import decode
        from gemtune.types import GenerateContentResponse

        self.reply = decode(GenerateContentResponse, REPLY)

    async def generate_content(self, *_: object, **__: object) -> Any:
        await asyncio.sleep(0)
        return self.reply


async def orchestration(in_flight: int, items: int, journal: bool) -> Cell:
    """CPU per item of the batch alone: workers, limiter, order, journal, iterator, and no request at all."""
    from gemtune.batch import make_batch

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal") if journal else None
        cpu = time.process_time()
        async with make_batch(Instant(), str, "m", prompts(items), concurrency=in_flight, journal=path) as results:
            async for result in results:
                assert result.text == ANSWER
        cpu = time.process_time() - cpu
    return {"cpu_us": cpu / items * 1e6}


async def memory(items: int, in_flight: int) -> Cell:
    """Peak memory of a long input over an in-memory transport with a journal; then what resuming it takes."""
    import httpx

    import gemtune

    canned = json.dumps(REPLY).encode()

    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        return httpx.Response(200, content=canned)

    def keyed() -> Iterator[tuple[str, str]]:
        return ((f"key {n}", prompt) for n, prompt in enumerate(prompts(items)))

    found: Cell = {}
    transport = httpx.MockTransport(answer)
    async with gemtune.Client(api_key="k", base_url="http://127.0.0.1", transport=transport) as client:
        for name, rows in (("ordinals", prompts), ("keys", lambda _: keyed())):
            with tempfile.TemporaryDirectory() as folder:
                for step in ("run", "resume"):
                    gc.collect()
                    reset_peak()
                    before, began, count = rss(), time.perf_counter(), 0
                    journal = Path(folder, "journal")
                    async with client.batch("m", rows(items), concurrency=in_flight, journal=journal) as results:
                        async for _ in results:
                            count += 1
                    seconds = time.perf_counter() - began
                    assert count == (items if step == "run" else 0)
                    growth = current_peak() - before
                    found[f"{name}, {step}"] = {
                        "growth_mib": growth,
                        "seconds": seconds,
                        "items_per_s": items / seconds,
                    }
                    print(f"{name}, {step}: {growth:.1f} MiB, {seconds:.0f} s", file=sys.stderr)
    return found


def status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def rss() -> float:
    return status("VmRSS")


def current_peak() -> float:
    return status("VmHWM")


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def table(cells: Sequence[Cell], in_flight: Sequence[int]) -> Iterator[str]:
    """The lines of the report: µs, in brackets times the baseline; items a second; peak memory; the cost's growth."""
    cpu, speed, peak = (measuring.medians(cells, what) for what in ("cpu_us", "items_per_s", "peak_mib"))
    base = cpu.get(BASELINE, {})
    heads = "".join(f"{f'{n} in flight':>36}" for n in in_flight)
    yield f"{'per item: CPU, items/s, MiB':28}{heads}{'1000/64':>10}"
    for runner in dict.fromkeys(one["subject"] for one in cells):
        line = f"{runner:28}"
        for n in in_flight:
            if n not in cpu.get(runner, {}):
                line += f"{'-':>36}"
                continue
            ratio = f"({cpu[runner][n] / base[n]:.2f}x)" if n in base else ""
            text = f"{cpu[runner][n]:.0f} µs {ratio:>8} {speed[runner][n]:6.0f}/s {peak[runner][n]:5.0f} MiB"
            line += f"{text:>36}"
        yield line + f"{measuring.growth(cpu.get(runner, {})):>10}"
    yield from measuring.errors(cells)


def report(options: argparse.Namespace) -> int:
    cells = measuring.rounds(options)
    alone = {
        f"{'with' if journal else 'without'} journal, {n} in flight": asyncio.run(orchestration(n, 20_000, journal))
        for journal in (False, True)
        for n in (64, 1000)
    }
    context = measuring.surroundings() | {"items": options.items, "rounds": options.rounds}
    print(*table(cells, options.in_flight), sep="\n")
    print("\nthe batch alone, no requests:")
    for name, one in alone.items():
        print(f"  {name:32} {one['cpu_us']:6.1f} µs")
    print("\n" + measuring.origin(options, context))
    measuring.save(options.json, {"context": context, "cells": cells, "alone": alone})
    return 1 if any("error" in one for one in cells) else 0


def main() -> int:
    parser = measuring.parser(__doc__, RUNNERS, [64, 256, 1000])
    parser.add_argument("--memory", type=int, metavar="ITEMS", help="instead: peak memory of so many items")
    options = parser.parse_args()
    if options.memory:
        found = asyncio.run(memory(options.memory, options.in_flight[0]))
        print(json.dumps(found, indent=1))
        measuring.save(options.json, {"context": measuring.surroundings(), "memory": found})
        return 0
    return measuring.main(options, 6000, measure, report)


if __name__ == "__main__":
    sys.exit(main())
