"""What it costs to follow many tuning jobs, the watcher beside the peers; how to read it is in README.md here."""

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import measuring
from measuring import HERE, Cell
from watchers import RUNNERS, Run

BASELINE = "a task per job"
STEPS = 375
GAP = 1.0
"""Seconds from step to step of a job."""
TAIL = 12.0
"""Seconds at the end in which no job ends, so that every end can still be seen."""
FIGURES: dict[str, tuple[str, Callable[[Cell], float | None]]] = {
    "requests/s": ("{:.2f}", lambda cell: cell["requests_per_s"]),
    "of them lists": ("{:.2f}", lambda cell: cell["lists_per_s"]),
    "CPU %": ("{:.2f}", lambda cell: cell["cpu_percent"]),
    "RSS MB": ("{:.1f}", lambda cell: cell["rss_mb"]),
    "step p50 s": ("{:.1f}", lambda cell: cell["step_p50_s"]),
    "step p95 s": ("{:.1f}", lambda cell: cell["step_p95_s"]),
    "end p50 s": ("{:.1f}", lambda cell: cell["end_p50_s"]),
    "end p95 s": ("{:.1f}", lambda cell: cell["end_p95_s"]),
    "stall ms": ("{:.1f}", lambda cell: cell["stall_ms"]),
    "GC ms": ("{:.0f}", lambda cell: cell["gc_ms"]),
    "begin CPU s": ("{:.2f}", lambda cell: cell["begin_cpu_s"]),
}
COMPARED = ("requests/s", "CPU %", "RSS MB")


def warm_up(jobs: int) -> float:
    """Seconds in which a client that keeps up has looked at every job, and has dealt with all that it then learned."""
    return 10 + 30 * jobs / 10_000


def rss() -> float:
    """The memory that this process holds now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def percentile(values: Sequence[float], part: float) -> float | None:
    """The least value that this part of them does not exceed."""
    return sorted(values)[math.ceil(len(values) * part) - 1] if values else None


class Stalls:
    """The longest CPU time of a callback of the event loop; Python's own garbage collection is counted by itself."""

    def __init__(self) -> None:
        self.longest = self.longest_collection = self._collecting = self._began = 0.0
        gc.callbacks.append(self._collect)
        whole = asyncio.events.Handle._run

        def run(handle: asyncio.Handle) -> None:
            began, self._collecting = time.thread_time(), 0.0
            whole(handle)
            self.longest = max(self.longest, time.thread_time() - began - self._collecting)

        asyncio.events.Handle._run = run  # type: ignore[method-assign]

    def begin(self) -> None:
        self.longest = self.longest_collection = 0.0

    def _collect(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self._collecting += took
            self.longest_collection = max(self.longest_collection, took)


class Seen:
    """What a client has learned of what the server began to show after the warm-up, and how late."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.steps: list[float] = []
        self.ends: list[float] = []

    def step(self, computed: float) -> None:
        if computed > self.since:
            self.steps.append(time.time() - computed)

    def end(self, computed: float) -> None:
        if computed > self.since:
            self.ends.append(time.time() - computed)


async def asked(url: str) -> Cell:
    """The requests that the server has counted."""
    with await asyncio.to_thread(urlopen, f"{url}/stats") as reply:
        found: Cell = json.load(reply)
    return found


async def measure(loads: str, run: Run, url: str, jobs: int, seconds: float, warming: float) -> Cell:
    """Follow the jobs for so many seconds after a warm-up, in this process."""
    with warnings.catch_warnings(action="ignore"):  # one of them announces its own end
        importlib.import_module(loads)  # what is loaded once is no growth
    seen, stalls = Seen(time.time() + warming), Stalls()
    gc.collect()
    memory, cpu = rss(), time.process_time()
    following = asyncio.ensure_future(run(url, jobs, seen))
    try:
        await asyncio.wait([following], timeout=warming)
        begin, before, cpu, wall = time.process_time() - cpu, await asked(url), time.process_time(), time.monotonic()
        stalls.begin()
        await asyncio.wait([following], timeout=seconds)
        stall, collection = stalls.longest, stalls.longest_collection
        cpu, wall, after, grown = time.process_time() - cpu, time.monotonic() - wall, await asked(url), rss() - memory
        if following.done():
            following.result()  # it ends with an error only
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await following
    return {
        "requests_per_s": (sum(after.values()) - sum(before.values())) / wall,
        "lists_per_s": (after["list"] - before["list"]) / wall,
        "cpu_percent": 100 * cpu / wall,
        "begin_cpu_s": begin,
        "rss_mb": grown,
        "stall_ms": 1000 * stall,
        "gc_ms": 1000 * collection,
        **{f"step_p{part}_s": percentile(seen.steps, part / 100) for part in (50, 95)},
        **{f"end_p{part}_s": percentile(seen.ends, part / 100) for part in (50, 95)},
        "steps": len(seen.steps),
        "ends": len(seen.ends),
    }


@contextlib.contextmanager
def serving(jobs: int, gap: float, first: float, span: float) -> Iterator[str]:
    """The canned server in a process of its own."""
    command = [sys.executable, str(HERE / "watch_server.py"), *map(str, (jobs, STEPS, gap, first, span))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def apart(*arguments: str, timeout: float | None = None) -> Cell:
    """What this program finds in a fresh process."""
    try:
        run = subprocess.run(
            [sys.executable, __file__, *arguments], capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": "it did not come to its measurement in time"}
    if run.returncode:
        return {"error": (run.stderr.strip().splitlines() or [f"it ended with {run.returncode}"])[-1]}
    result: Cell = json.loads(run.stdout)
    return result


def rounds(options: argparse.Namespace) -> list[Cell]:
    """Every subject once in every row, each against a server of its own."""
    cells = []
    for jobs in options.jobs:
        warming = options.warm_up or warm_up(jobs)
        for subject in options.subjects:
            print(f"{jobs} jobs: {subject}", file=sys.stderr, flush=True)
            with serving(jobs, GAP, warming + 2, max(options.seconds - TAIL, 1.0)) as url:
                times = ("--seconds", str(options.seconds), "--warm-up", str(warming))
                arguments = ("--cell", subject, "--url", url, "--jobs", str(jobs), *times)
                found = apart(*arguments, timeout=40 + warming + options.seconds)
            cells.append({"subject": subject, "jobs": jobs, **found})
    return cells


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """The lines of a markdown table; in brackets, what it is times the baseline."""
    yield "| jobs | client | " + " | ".join(FIGURES) + " |"
    yield "|---:|---|" + "---:|" * len(FIGURES)
    for cell in cells:
        row = f"| {cell['jobs']:,} | {cell['subject']} | "
        base = next((one for one in cells if one["jobs"] == cell["jobs"] and one["subject"] == BASELINE), cell)
        if "error" in cell:
            yield row + f"cannot: {cell['error']} |" + " |" * (len(FIGURES) - 1)
        else:
            yield row + " | ".join(_figure(name, cell, base) for name in FIGURES) + " |"


def _figure(name: str, cell: Cell, base: Cell) -> str:
    form, of = FIGURES[name]
    value = of(cell)
    if value is None:
        return "-"
    other = of(base) if name in COMPARED and base is not cell and "error" not in base else None
    return form.format(value) + (f" ({value / other:.2f}x)" if other else "")


async def histories(url: str, jobs: int) -> Cell:
    """RSS of a watcher that holds 375 steps of every job."""
    import gemtune
    from gemtune import events  # noqa: F401

    names = [f"tunedModels/job-{number}" for number in range(jobs)]
    policy = gemtune.WatchPolicy(max_rps=5000, burst=50, freshness=3600, coalesce="never")
    async with gemtune.Client(base_url=url, token="benchmark") as client:
        await client.tuned_models.get(names[0])
        gc.collect()
        before, cpu = rss(), time.process_time()
        async with client.watch(names, policy=policy) as watcher:
            reader = watcher.subscribe()
            snapshots = 0
            while snapshots < STEPS * jobs:
                batch = await reader.next_batch(1024, max_wait=30)
                if not batch:
                    break
                snapshots += sum(event.kind == "snapshot" for event in batch)
            used = time.process_time() - cpu
            gc.collect()
            return {"jobs": jobs, "snapshots": snapshots, "rss_mb": round(rss() - before, 1), "cpu_s": round(used, 1)}


async def deliveries() -> dict[str, Cell]:
    """Events a second through subscriptions, with nothing else to do."""
    from datetime import UTC, datetime

    from gemtune.events import JobState
    from gemtune.story.history import History
    from gemtune.story.observation import Moment, Observation, Source
    from gemtune.types import TuningSnapshot
    from gemtune.types.timestamp import Timestamp
    from gemtune.watch.board import Board
    from gemtune.watch.position import Interest, Replay
    from gemtune.watch.reader import Reader
    from gemtune.watch.record import WatchedJob
    from gemtune.watch.subscription import Subscription

    now = Moment(0.0, datetime.now(UTC))
    times = (Timestamp.of(datetime(2026, 1, 1, step // 60, step % 60, tzinfo=UTC)) for step in range(STEPS))
    shown = tuple(TuningSnapshot(step, 0, 0.5, time) for step, time in enumerate(times, 1))
    found = {}
    for label, live in (("live", True), ("catching up", False)):
        board = Board()
        board.running = True

        def subscribed(board: Board = board) -> Subscription:
            return Subscription(board, Reader(Interest(), Replay(board.kept)), bookmarks=0.001)

        readers = [subscribed() for _ in range(10)] if live else []
        records = [WatchedJob(History(f"tunedModels/job-{number}")) for number in range(100)]
        for record in records:
            board.add(record, [record.history.added(now)])
        spent = count = 0
        for last in range(15, STEPS + 1, 15) if live else (STEPS,):
            for record in records:
                look = Observation(source=Source.JOB, at=now, state=JobState.CREATING, snapshots=shown[:last])
                board.report(record, record.history.observe(look))
            readers = readers or [subscribed() for _ in range(10)]
            began = time.process_time()
            for reader in readers:
                async for event in reader:
                    if event.kind == "bookmark":  # nothing is left
                        break
                    count += 1
            spent += time.process_time() - began
        found[label] = {"deliveries": count, "per_cpu_second": round(count / spent)}
    return found


def report(options: argparse.Namespace) -> int:
    cells, found = rounds(options), {}
    print(*table(cells), sep="\n")
    if not options.only_rows:
        many = 2000 if options.quick else 10_000
        print(f"the histories of {many} jobs", file=sys.stderr, flush=True)
        with serving(many, 0.001, 0.0, 0.0) as url:
            found["histories"] = apart("--histories", "--url", url, "--jobs", str(many))
        found["deliveries"] = apart("--deliveries")
        print(f"\n{STEPS}-step histories: {found['histories']}\n\ndeliveries: {found['deliveries']}")
    context = measuring.surroundings() | {"seconds": options.seconds}
    versions = ", ".join(f"{name} {version}" for name, version in context["versions"].items())
    print(f"\n{options.seconds:.0f} s each; {context['cores']} cores, Python {context['python']}\n{versions}")
    measuring.save(options.json, {"context": context, "cells": cells, **found})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 and 1000 jobs, fewer histories: a look, not a result")
    parser.add_argument("--jobs", type=int, nargs="+", metavar="N", help="rows (default 10 100 1000 10000)")
    parser.add_argument("--seconds", type=float, help="for each measurement after its warm-up (default 24)")
    parser.add_argument("--warm-up", type=float, metavar="SECONDS", help="before each (default 10, 40 for 10000 jobs)")
    parser.add_argument("--subjects", nargs="+", choices=RUNNERS, default=list(RUNNERS), metavar="NAME")
    parser.add_argument("--only-rows", action="store_true", help="neither memory of histories nor deliveries")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--histories", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--deliveries", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.jobs = options.jobs or ([10, 1000] if options.quick else [10, 100, 1000, 10_000])
    options.seconds = options.seconds or 24.0
    return options


async def alone(options: argparse.Namespace) -> Any:
    """What a process made by ``apart`` is there for."""
    if options.histories:
        return await histories(options.url, *options.jobs)
    if options.deliveries:
        return await deliveries()
    return await measure(*RUNNERS[options.cell], options.url, *options.jobs, options.seconds, options.warm_up)


def main() -> int:
    options = parse()
    if not (options.cell or options.histories or options.deliveries):
        return report(options)
    print(json.dumps(asyncio.run(alone(options))), flush=True)
    os._exit(0)  # threads that cannot be told to stop do not keep the process


if __name__ == "__main__":
    sys.exit(main())
