"""What it costs to watch many jobs: the watcher, and a polling task per job, written by hand as the tutorial does it.

    python benchmarks/watch.py            # about twenty minutes
    python benchmarks/watch.py --quick    # about six: a look, not a result

Every measurement is a process of its own against a server of its own (watch_server.py).  CPU is that of the client's
process (of the second half of the time, too, when the beginning is over), RSS its growth over the idle client, stall
the longest CPU time that any single callback kept the loop once everything had begun, and latencies are measured by
the wall clock from the time at which the server began to show a step or an end.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).parent


def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def percentile(values, part):
    ordered = sorted(values)
    return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 2) if ordered else None


class Stalls:
    """The longest CPU time of a callback of the event loop; Python's own garbage collection is counted by itself."""

    def __init__(self):
        self.longest = self.longest_collection = self.collecting = 0.0
        gc.callbacks.append(self.collect)
        whole = asyncio.events.Handle._run

        def run(handle):
            began, self.collecting = time.thread_time(), 0.0
            whole(handle)
            self.longest = max(self.longest, time.thread_time() - began - self.collecting)

        asyncio.events.Handle._run = run

    def collect(self, phase, _):
        if phase == "start":
            self.began = time.thread_time()
        else:
            took = time.thread_time() - self.began
            self.collecting += took
            self.longest_collection = max(self.longest_collection, took)


class Seen:
    """What a client learned, and how late."""

    def __init__(self):
        self.steps, self.ends = [], []
        self.stalls = Stalls()
        self.steady = 0.0

    async def through(self, seconds):
        """Let the time pass; what it costs to begin is no part of the stalls and of the second half's CPU."""
        await asyncio.sleep(3)
        self.stalls.longest = self.stalls.longest_collection = 0.0
        await asyncio.sleep(seconds / 2 - 3)
        used = time.process_time()
        await asyncio.sleep(seconds / 2)
        self.steady = (time.process_time() - used) / (seconds / 2)

    def step(self, computed):
        self.steps.append(time.time() - computed)

    def end(self, computed):
        self.ends.append(time.time() - computed)


async def by_watcher(url, jobs, seconds, seen, *, kinds, rate):
    import gemtune
    from gemtune import events

    names = [f"tunedModels/job-{number}" for number in range(jobs)]
    policy = gemtune.WatchPolicy(max_rps=rate)
    begun = time.time()

    async def read(subscription):
        async for event in subscription:
            match event:
                case events.Snapshot(compute_time=computed) if computed.timestamp() > begun:
                    seen.step(computed.timestamp())
                case events.Succeeded(model=model):
                    ended = model.tuning_task.snapshots[-1].compute_time.timestamp()
                    if ended > begun:
                        seen.end(ended)

    client = gemtune.Client(base_url=url, token="benchmark")
    async with client, client.watch(names, policy=policy) as watcher:
        reading = asyncio.create_task(read(watcher.subscribe(kinds=kinds)))
        await seen.through(seconds)
        reading.cancel()
        return watcher.statistics().effective_freshness


async def by_hand(url, jobs, seconds, seen, *, interval=10.0):
    """One task per job, each with its own loop and its own notion of what is new."""
    import aiohttp

    begun = time.time()

    async def poll(session, number):
        await asyncio.sleep(interval * number / jobs)  # kinder than the tutorial: not all at once
        told = 0
        while True:
            async with session.get(f"{url}/v1beta/tunedModels/job-{number}") as reply:
                model = await reply.json()
            snapshots = model.get("tuningTask", {}).get("snapshots", [])
            for snapshot in snapshots[told:]:
                computed = parse(snapshot["computeTime"])
                if computed > begun:
                    seen.step(computed)
            told = len(snapshots)
            if model["state"] != "CREATING":
                ended = parse(snapshots[-1]["computeTime"])
                if ended > begun:
                    seen.end(ended)
                return
            await asyncio.sleep(interval)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        tasks = [asyncio.create_task(poll(session, number)) for number in range(jobs)]
        await seen.through(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return interval


def parse(text):
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


ENDS = ["succeeded", "failed", "cancelled", "deleted", "lost"]
CLIENTS = {
    "gemtune, states": lambda *args: by_watcher(*args, kinds=ENDS, rate=4),
    "gemtune, steps": lambda *args: by_watcher(*args, kinds=None, rate=4),
    "gemtune, steps, 100/s": lambda *args: by_watcher(*args, kinds=None, rate=100),
    "a task per job, 10 s": by_hand,
}


async def measure(client, url, jobs, seconds):
    import aiohttp  # noqa: F401

    import gemtune
    import gemtune.watch

    async with gemtune.Client(base_url=url, token="benchmark") as client_to_warm_up:
        await client_to_warm_up.tuned_models.get("tunedModels/job-0")
    seen = Seen()
    gc.collect()
    memory, cpu, began = rss(), time.process_time(), time.monotonic()
    freshness = await CLIENTS[client](url, jobs, seconds, seen)
    passed, used = time.monotonic() - began, time.process_time() - cpu
    return {
        "client": client,
        "jobs": jobs,
        "cpu_percent": round(100 * used / passed, 2),
        "later_cpu_percent": round(100 * seen.steady, 2),
        "rss_mb": round(rss() - memory, 1),
        "stall_ms": round(1000 * seen.stalls.longest, 1),
        "gc_ms": round(1000 * seen.stalls.longest_collection, 1),
        "freshness_s": round(freshness, 1),
        "steps": len(seen.steps),
        "step_p50_s": percentile(seen.steps, 0.5),
        "step_p95_s": percentile(seen.steps, 0.95),
        "ends": len(seen.ends),
        "end_p50_s": percentile(seen.ends, 0.5),
        "end_p95_s": percentile(seen.ends, 0.95),
    }


def serve(jobs, steps, gap, span):
    arguments = [str(value) for value in (jobs, steps, gap, span)]
    server = subprocess.Popen(
        [sys.executable, str(HERE / "watch_server.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return server, server.stdout.readline().strip()


def one(client, jobs, seconds, *, steps, gap, span):
    server, url = serve(jobs, steps, gap, span)
    try:
        arguments = [sys.executable, __file__, "--one", json.dumps([client, url, jobs, seconds])]
        result = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
        with urlopen(f"{url}/stats") as reply:
            requests = json.load(reply)
        result["requests_per_s"] = round(sum(requests.values()) / seconds, 2)
        return result
    finally:
        server.stdin.close()
        server.wait()


async def histories(url, jobs):
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
            while snapshots < 375 * jobs - 5 * jobs:
                batch = await reader.next_batch(1024, max_wait=30)
                if not batch:
                    break
                snapshots += sum(event.kind == "snapshot" for event in batch)
            used = time.process_time() - cpu
            gc.collect()
            return {"jobs": jobs, "snapshots": snapshots, "rss_mb": round(rss() - before, 1), "cpu_s": round(used, 1)}


async def deliveries():
    """Events a second through subscriptions, with nothing else to do."""
    from datetime import UTC, datetime

    from gemtune.events import JobState
    from gemtune.protocol.observation import Moment, Observation, Source
    from gemtune.protocol.reconciler import History
    from gemtune.types import TuningSnapshot
    from gemtune.types.timestamp import Timestamp
    from gemtune.watch.board import Board
    from gemtune.watch.record import Record
    from gemtune.watch.subscription import Subscription

    now = Moment(0.0, datetime.now(UTC))
    shown = tuple(TuningSnapshot(step, 0, 0.5, Timestamp(2026, 1, 1, step // 60, step % 60)) for step in range(1, 376))
    found = {}
    for label, live in (("live", True), ("catching up", False)):
        board = Board()
        board.running = True
        readers = [Subscription(board, bookmarks=0.001) for _ in range(10)] if live else []
        records = [Record(History(f"tunedModels/job-{number}")) for number in range(100)]
        for record in records:
            board.add(record, [record.history.added(now)])
        spent = count = 0
        for last in range(15, 376, 15) if live else (375,):
            for record in records:
                look = Observation(source=Source.MODEL, at=now, state=JobState.CREATING, snapshots=shown[:last])
                board.tell(record, record.history.observe(look))
            readers = readers or [Subscription(board, bookmarks=0.001) for _ in range(10)]
            began = time.process_time()
            for reader in readers:
                async for event in reader:
                    if event.kind == "bookmark":  # nothing is left
                        break
                    count += 1
            spent += time.process_time() - began
        found[label] = {"deliveries": count, "per_cpu_second": round(count / spent)}
    return found


def show(results):
    columns = list(results[0])
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for result in results:
        print("| " + " | ".join(str(result[column]) for column in columns) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--histories", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--json", help="write all figures to this file, too")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asyncio.run(measure(*json.loads(options.one)))))
        return
    if options.histories:
        print(json.dumps(asyncio.run(histories(options.histories[0], int(options.histories[1])))))
        return
    seconds = 25 if options.quick else 60
    counts = (10, 1000, 10_000) if options.quick else (10, 100, 1000, 10_000)
    results = []
    for jobs in counts:
        for client in CLIENTS:
            results.append(one(client, jobs, seconds, steps=375, gap=seconds / 120, span=seconds))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    show(results)
    many = 2000 if options.quick else 10_000
    server, url = serve(many, 375, 0.001, 0.1)
    time.sleep(2)
    held = subprocess.run(
        [sys.executable, __file__, "--histories", url, str(many)], check=True, capture_output=True, text=True
    )
    server.stdin.close()
    server.wait()
    memory, speed = json.loads(held.stdout), asyncio.run(deliveries())
    print(
        f"\n375-step histories: {memory}\n\ndeliveries: {speed}\n\n"
        f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}"
    )
    if options.json:
        Path(options.json).write_text(json.dumps({"runs": results, "histories": memory, "deliveries": speed}, indent=1))


if __name__ == "__main__":
    main()
