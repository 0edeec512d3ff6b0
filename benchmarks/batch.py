"""Client CPU, speed and memory per item of a batch, ours beside the peers; how to read it is in README.md here."""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from batchers import RUNNERS, prompts
from call import serving, surroundings
from server import ANSWER, REPLY

BASELINE = "bare aiohttp workers"
MIB = 1 << 20

Cell = dict[str, Any]


def peak_rss() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measure(runner: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU and wall time per item in this process, after a warm-up that opens every connection."""
    async with RUNNERS[runner](url, in_flight) as run:
        await run(max(200, 2 * in_flight))
        gc.collect()
        before = peak_rss()
        cpu, wall = time.process_time(), time.perf_counter()
        await run(items)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "cpu_us": cpu / items * 1e6,
        "items_per_s": items / wall,
        "peak_mib": peak_rss(),
        "growth_mib": peak_rss() - before,
    }


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
        async with make_batch(Instant(), "m", prompts(items), concurrency=in_flight, journal=path) as results:
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


def cell(runner: str, url: str, in_flight: int, items: int) -> Cell:
    """One measurement in a fresh process of its own."""
    arguments = ["--cell", runner, "--url", url, "--in-flight", str(in_flight), "--items", str(items)]
    run = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or ["no message"])[-1]}
    result: Cell = json.loads(run.stdout)
    return result


def rounds(options: argparse.Namespace) -> list[Cell]:
    """Every cell once per round, so that a slow minute of the machine falls on all alike."""
    cells = []
    with serving() as url:
        for number in range(options.rounds):
            for in_flight in options.in_flight:
                for runner in options.runners:
                    print(f"round {number + 1}: {runner}, {in_flight} in flight", file=sys.stderr)
                    found = cell(runner, url, in_flight, options.items)
                    cells.append({"runner": runner, "in_flight": in_flight, "round": number, **found})
    return cells


def medians(cells: Sequence[Cell], what: str) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, list[float]]] = {}
    for one in cells:
        if what in one:
            found.setdefault(one["runner"], {}).setdefault(one["in_flight"], []).append(one[what])
    return {runner: {n: statistics.median(runs) for n, runs in row.items()} for runner, row in found.items()}


def table(cells: Sequence[Cell], in_flight: Sequence[int]) -> Iterator[str]:
    """The lines of the report: µs, in brackets times the baseline; items a second; peak memory."""
    cpu, speed, peak = (medians(cells, what) for what in ("cpu_us", "items_per_s", "peak_mib"))
    base = cpu.get(BASELINE, {})
    yield f"{'per item: CPU, items/s, MiB':28}" + "".join(f"{f'{n} in flight':>36}" for n in in_flight)
    for runner in dict.fromkeys(one["runner"] for one in cells):
        line = f"{runner:28}"
        for n in in_flight:
            if n not in cpu.get(runner, {}):
                line += f"{'-':>36}"
                continue
            ratio = f"({cpu[runner][n] / base[n]:.2f}x)" if n in base else ""
            text = f"{cpu[runner][n]:.0f} µs {ratio:>8} {speed[runner][n]:6.0f}/s {peak[runner][n]:5.0f} MiB"
            line += f"{text:>36}"
        yield line
    for error in dict.fromkeys(f"{one['runner']}: {one['error']}" for one in cells if "error" in one):
        yield f"  not measured: {error}"


def report(options: argparse.Namespace) -> int:
    cells = rounds(options)
    alone = {
        f"{'with' if journal else 'without'} journal, {n} in flight": asyncio.run(orchestration(n, 20_000, journal))
        for journal in (False, True)
        for n in (64, 1000)
    }
    context = surroundings() | {"items": options.items, "rounds": options.rounds}
    print(*table(cells, options.in_flight), sep="\n")
    print("\nthe batch alone, no requests:")
    for name, one in alone.items():
        print(f"  {name:32} {one['cpu_us']:6.1f} µs")
    versions = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    print(f"\nmedian of {options.rounds} round(s) of {options.items} items; Python {context['python']}\n{versions}")
    save(options, {"context": context, "cells": cells, "alone": alone})
    return 1 if any("error" in one for one in cells) else 0


def save(options: argparse.Namespace, whole: Cell) -> None:
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 2000 items: a look, not a result")
    parser.add_argument("--items", type=int, help="items per measurement (default 6000)")
    parser.add_argument("--rounds", type=int, help="measurements per cell (default 3)")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 256, 1000], metavar="N")
    parser.add_argument("--runners", nargs="+", choices=RUNNERS, default=list(RUNNERS), metavar="RUNNER")
    parser.add_argument("--memory", type=int, metavar="ITEMS", help="instead: peak memory of so many items")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        found = asyncio.run(memory(options.memory, options.in_flight[0]))
        print(json.dumps(found, indent=1))
        save(options, {"context": surroundings(), "memory": found})
        return 0
    options.items = options.items or (2000 if options.quick else 6000)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.cell:
        print(json.dumps(asyncio.run(measure(options.cell, options.url, *options.in_flight, options.items))))
        return 0
    return report(options)


if __name__ == "__main__":
    sys.exit(main())
