"""Client CPU per typed generate_content call, ours beside the peers; how to read it is in README.md here."""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence

import measuring
from clients import CLIENTS, Call
from measuring import Cell
from server import ANSWER

BASELINE = "bare aiohttp"
IMPORTS = ("import gemtune", "from gemtune import Client", "import google.genai")


async def make(call: Call, in_flight: int, items: int) -> None:
    """Make so many calls from a fixed number of workers, and check every answer."""
    remaining = iter(range(items))

    async def worker() -> None:
        for _ in remaining:
            if await call() != ANSWER:
                raise AssertionError("a client did not return the server's answer")

    await asyncio.gather(*(worker() for _ in range(in_flight)))


async def measure(client: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU and speed per call in this process, after a warm-up that opens every connection."""
    async with CLIENTS[client](url, in_flight) as call:
        for _ in range(2):  # some clients open no more than a few connections on their first calls
            await make(call, in_flight, max(100, in_flight))
        return await measuring.spend(lambda items: make(call, in_flight, items), items)


def table(cells: Sequence[Cell], in_flight: Sequence[int]) -> Iterator[str]:
    """The lines of the report: µs, in brackets times the baseline, then the cost at 1000 relative to that at 64."""
    medians = measuring.medians(cells, "cpu_us")
    base = medians.get(BASELINE, {})
    yield f"{'client CPU per call':24}" + "".join(f"{f'{n} in flight':>20}" for n in in_flight) + f"{'1000/64':>10}"
    for client in dict.fromkeys(one["subject"] for one in cells):
        row = medians.get(client, {})
        line = f"{client:24}"
        for n in in_flight:
            ratio = f"({row[n] / base[n]:.2f}x)" if n in row and n in base else ""
            line += f"{f'{row[n]:.0f} µs {ratio:>8}':>20}" if n in row else f"{'-':>20}"
        yield line + f"{measuring.growth(row):>10}"
    yield from measuring.errors(cells)


def imports(times: int = 7) -> dict[str, Cell]:
    """Best time and number of modules for each import, each in fresh processes, in turn."""
    found: dict[str, list[Cell]] = {statement: [] for statement in IMPORTS}
    for _ in range(times):
        for statement, runs in found.items():
            program = (
                f"import sys, time; n = len(sys.modules); t = time.perf_counter(); {statement}; "
                "print(time.perf_counter() - t, len(sys.modules) - n)"
            )
            run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
            if not run.returncode:
                seconds, modules = run.stdout.split()
                runs.append({"ms": float(seconds) * 1e3, "modules": int(modules)})
    return {statement: min(runs, key=lambda one: one["ms"]) for statement, runs in found.items() if runs}


def report(options: argparse.Namespace) -> int:
    cells = measuring.rounds(options)
    imported = imports()
    context = measuring.surroundings() | {"items": options.items, "rounds": options.rounds}
    print(*table(cells, options.in_flight), sep="\n")
    print()
    for statement, best in imported.items():
        print(f"{statement:28} {best['ms']:7.1f} ms {best['modules']:6} modules")
    print("\n" + measuring.origin(options, context))
    whole = {"context": context, "cells": cells, "medians": measuring.medians(cells, "cpu_us"), "imports": imported}
    measuring.save(options.json, whole)
    return 1 if any("error" in one for one in cells) else 0


if __name__ == "__main__":
    arguments = measuring.parser(__doc__, CLIENTS, [1, 64, 500, 1000]).parse_args()
    sys.exit(measuring.main(arguments, 3000, measure, report))
