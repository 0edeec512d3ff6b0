"""What the comparisons share: a process for each measurement, rounds over all of them, medians, how to tell them."""

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
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("gemtune", "google-genai", "aiohttp", "httpx", "httpx2", "orjson", "pydantic", "aiometer")

Cell = dict[str, Any]
Measure = Callable[[str, str, int, int], Awaitable[Cell]]
"""Measures a subject, on a server's URL, with so many in flight, over so many items."""


async def spend(run: Callable[[int], Awaitable[object]], items: int) -> Cell:
    """CPU and wall time per item of a run in this process, which has been warmed up."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await run(items)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / items * 1e6, "items_per_s": items / wall}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The canned server in a process of its own."""
    command = [sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def cell(subject: str, url: str, in_flight: int, items: int) -> Cell:
    """One measurement in a fresh process of its own."""
    arguments = ["--cell", subject, "--url", url, "--in-flight", str(in_flight), "--items", str(items)]
    run = subprocess.run([sys.executable, sys.argv[0], *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or ["no message"])[-1]}
    result: Cell = json.loads(run.stdout)
    return result


def rounds(options: argparse.Namespace) -> list[Cell]:
    """Every cell once per round, so that a slow minute of the machine falls on all subjects alike."""
    cells = []
    with serving() as url:
        for number in range(options.rounds):
            for in_flight in options.in_flight:
                for subject in options.subjects:
                    print(f"round {number + 1}: {subject}, {in_flight} in flight", file=sys.stderr)
                    found = cell(subject, url, in_flight, options.items)
                    cells.append({"subject": subject, "in_flight": in_flight, "round": number, **found})
    return cells


def medians(cells: Sequence[Cell], what: str) -> dict[str, dict[int, float]]:
    """The median of a figure over the rounds, by subject and number in flight."""
    found: dict[str, dict[int, list[float]]] = {}
    for one in cells:
        if what in one:
            found.setdefault(one["subject"], {}).setdefault(one["in_flight"], []).append(one[what])
    return {subject: {n: statistics.median(runs) for n, runs in row.items()} for subject, row in found.items()}


def growth(row: dict[int, float]) -> str:
    """How the cost at 1000 in flight stands to that at 64, where both were measured."""
    return f"{row[1000] / row[64]:.2f}x" if 64 in row and 1000 in row else ""


def errors(cells: Sequence[Cell]) -> Iterator[str]:
    """A line for everything that could not be measured."""
    for error in dict.fromkeys(f"{one['subject']}: {one['error']}" for one in cells if "error" in one):
        yield f"  not measured: {error}"


def surroundings() -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


def origin(options: argparse.Namespace, context: dict[str, Any]) -> str:
    """The lines that say how a table came about."""
    versions = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    return f"median of {options.rounds} round(s) of {options.items} items; Python {context['python']}\n{versions}"


def save(path: Path | None, whole: dict[str, Any]) -> None:
    """Write everything that was measured, if a file was named."""
    if path is not None:
        path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def parser(doc: str | None, subjects: Iterable[str], in_flight: list[int]) -> argparse.ArgumentParser:
    """The options that the comparisons share."""
    names = list(subjects)
    made = argparse.ArgumentParser(description=doc)
    made.add_argument("--quick", action="store_true", help="one round of few items: a look, not a result")
    made.add_argument("--items", type=int, help="items per measurement")
    made.add_argument("--rounds", type=int, help="measurements per cell (default 3)")
    made.add_argument("--in-flight", type=int, nargs="+", default=in_flight, metavar="N")
    made.add_argument("--subjects", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    made.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    made.add_argument("--cell", help=argparse.SUPPRESS)
    made.add_argument("--url", help=argparse.SUPPRESS)
    return made


def main(options: argparse.Namespace, items: int, measure: Measure, report: Callable[[argparse.Namespace], int]) -> int:
    """Report, or, in a process made by ``cell``, measure one subject.

    Args:
        options: What was given on the command line.
        items: Items per measurement, unless told; a quick look takes a third.
        measure: Measures in this process.
        report: Measures everything and prints it.
    """
    options.items = options.items or (items // 3 if options.quick else items)
    options.rounds = options.rounds or (1 if options.quick else 3)
    if options.cell:
        print(json.dumps(asyncio.run(measure(options.cell, options.url, *options.in_flight, options.items))))
        return 0
    return report(options)
