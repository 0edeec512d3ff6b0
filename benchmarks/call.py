"""Client CPU per typed generate_content call, ours beside the peers; how to read it is in README.md here."""

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clients import CLIENTS, Call
from server import ANSWER

HERE = Path(__file__).resolve().parent
BASELINE = "bare aiohttp"
IMPORTS = ("import gemtune", "from gemtune import Client", "import google.genai")
PACKAGES = ("gemtune", "google-genai", "aiohttp", "httpx", "httpx2", "orjson", "pydantic")

Cell = dict[str, Any]


async def spend(call: Call, in_flight: int, items: int) -> None:
    """Make so many calls from a fixed number of workers, and check every answer."""
    remaining = iter(range(items))

    async def worker() -> None:
        for _ in remaining:
            if await call() != ANSWER:
                raise AssertionError("a client did not return the server's answer")

    await asyncio.gather(*(worker() for _ in range(in_flight)))


async def measure(client: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU and wall time per call in this process, after a warm-up that opens every connection."""
    async with CLIENTS[client](url, in_flight) as call:
        for _ in range(2):  # some clients open no more than a few connections on their first calls
            await spend(call, in_flight, max(100, in_flight))
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        await spend(call, in_flight, items)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / items * 1e6, "wall_us": wall / items * 1e6}


def cell(client: str, url: str, in_flight: int, items: int) -> Cell:
    """One measurement in a fresh process of its own."""
    arguments = ["--cell", client, "--url", url, "--in-flight", str(in_flight), "--items", str(items)]
    run = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or ["no message"])[-1]}
    result: Cell = json.loads(run.stdout)
    return result


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The canned server in a process of its own."""
    command = [sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def rounds(options: argparse.Namespace) -> list[Cell]:
    """Every cell once per round, so that a slow minute of the machine falls on all clients alike."""
    cells = []
    with serving() as url:
        for number in range(options.rounds):
            for in_flight in options.in_flight:
                for client in options.clients:
                    print(f"round {number + 1}: {client}, {in_flight} in flight", file=sys.stderr)
                    found = cell(client, url, in_flight, options.items)
                    cells.append({"client": client, "in_flight": in_flight, "round": number, **found})
    return cells


def summary(cells: Sequence[Cell]) -> dict[str, dict[int, float]]:
    """Median microseconds of CPU per call, by client and number in flight."""
    found: dict[str, dict[int, list[float]]] = {}
    for one in cells:
        if "cpu_us" in one:
            found.setdefault(one["client"], {}).setdefault(one["in_flight"], []).append(one["cpu_us"])
    return {client: {n: statistics.median(runs) for n, runs in row.items()} for client, row in found.items()}


def table(cells: Sequence[Cell], in_flight: Sequence[int]) -> Iterator[str]:
    """The lines of the report: µs, in brackets times the baseline, then how much is kept from 64 to 1000."""
    medians = summary(cells)
    base = medians.get(BASELINE, {})
    heads = "".join(f"{f'{n} in flight':>20}" for n in in_flight)
    yield f"{'client CPU per call':24}{heads}   kept 64→1000"
    for client in dict.fromkeys(one["client"] for one in cells):
        row = medians.get(client, {})
        line = f"{client:24}"
        for n in in_flight:
            ratio = f"({row[n] / base[n]:.1f}x)" if n in row and n in base else ""
            line += f"{f'{row[n]:.0f} µs {ratio:>8}':>20}" if n in row else f"{'-':>20}"
        yield line + (f"{row[64] / row[1000]:15.0%}" if 64 in row and 1000 in row else "")
    for error in dict.fromkeys(f"{one['client']}: {one['error']}" for one in cells if "error" in one):
        yield f"  not measured: {error}"


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


def surroundings() -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


def report(options: argparse.Namespace) -> int:
    cells = rounds(options)
    imported = imports()
    context = surroundings() | {"items": options.items, "rounds": options.rounds}
    print(*table(cells, options.in_flight), sep="\n")
    print()
    for statement, best in imported.items():
        print(f"{statement:28} {best['ms']:7.1f} ms {best['modules']:6} modules")
    versions = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    print(f"\nmedian of {options.rounds} round(s) of {options.items} calls; Python {context['python']}")
    print(versions)
    if options.json:
        whole = {"context": context, "cells": cells, "medians": summary(cells), "imports": imported}
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if any("error" in one for one in cells) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 1000 calls: a look, not a result")
    parser.add_argument("--items", type=int, help="calls per measurement (default 3000)")
    parser.add_argument("--rounds", type=int, help="measurements per cell (default 3)")
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 64, 500, 1000], metavar="N")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS), metavar="CLIENT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.items = options.items or (1000 if options.quick else 3000)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.cell:
        print(json.dumps(asyncio.run(measure(options.cell, options.url, *options.in_flight, options.items))))
        return 0
    return report(options)


if __name__ == "__main__":
    sys.exit(main())
