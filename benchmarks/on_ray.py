"""Cost per item on a Ray cluster of this machine, beside the local engine and beside Ray Data's own HTTP processor.

Not called ray.py, which every ``import ray`` next to it would find. How to read it is in README.md here.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import measuring
import psutil
from batchers import body, prompts
from server import ANSWER

SUBJECTS = ("gemtune, one process", "gemtune on Ray", "gemtune on Ray, journal", "Ray Data's HTTP processor")
MODEL = "models/gemini-3.7-flash"


class Spent:
    """CPU seconds of this process and of everything below it, including of what has ended meanwhile."""

    def __init__(self) -> None:
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}
        self.over = threading.Event()
        self.look(first=True)
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def look(self, first: bool = False) -> None:
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            try:
                times, server = process.cpu_times(), "server.py" in " ".join(process.cmdline())
            except psutil.Error:
                continue
            if server:
                continue
            if first:
                self.first[process.pid] = times.user + times.system
            self.last[process.pid] = times.user + times.system

    def watch(self) -> None:
        while not self.over.wait(0.1):
            self.look()

    def seconds(self) -> float:
        self.over.set()
        self.thread.join()
        self.look()
        return sum(last - self.first.get(pid, 0.0) for pid, last in self.last.items())


def local(url: str, items: int, in_flight: int) -> None:
    import gemtune

    async def run() -> None:
        async with gemtune.Client(api_key="k", base_url=url) as client:
            found = await client.generate_many(MODEL, prompts(items), concurrency=in_flight)
            assert all(result.text == ANSWER for result in found)

    asyncio.run(run())


def on_ray(url: str, items: int, in_flight: int, journal: str | None = None) -> None:
    from gemtune.batch.ray import ask

    client = {"api_key": "k", "base_url": url}
    found = ask(rows(items), MODEL, client=client, concurrency=in_flight, journal=journal, batch_size=1000).take_all()
    assert len(found) == items
    assert all(row["text"] == ANSWER for row in found)


def processor(url: str, items: int) -> None:
    from ray.data.llm import HttpRequestProcessorConfig, build_processor

    config = HttpRequestProcessorConfig(
        url=f"{url}/v1beta/{MODEL}:generateContent", headers={"x-goog-api-key": "k"}, concurrency=2, batch_size=1000
    )
    process = build_processor(
        config,
        preprocess=lambda row: {"payload": body(row["prompt"])},
        postprocess=lambda row: {"text": row["http_response"]["candidates"][0]["content"]["parts"][0]["text"]},
    )
    found = process(rows(items)).take_all()
    assert len(found) == items
    assert all(row["text"] == ANSWER for row in found)


def rows(items: int):
    import ray.data

    return ray.data.from_items([{"prompt": prompt} for prompt in prompts(items)], override_num_blocks=4)


def run(subject: str, url: str, items: int, in_flight: int) -> None:
    if subject == SUBJECTS[0]:
        local(url, items, in_flight)
    elif subject == SUBJECTS[1]:
        on_ray(url, items, in_flight)
    elif subject == SUBJECTS[2]:
        with tempfile.TemporaryDirectory() as folder:
            on_ray(url, items, in_flight, folder)
    else:
        processor(url, items)


@contextmanager
def cluster() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="gt", ignore_cleanup_errors=True) as folder:
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": folder}
        import ray.data

        import ray

        ray.init(
            num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20, logging_level="error",
            log_to_driver=False, _temp_dir=str(Path(folder, "ray")),
        )  # fmt: skip
        ray.data.DataContext.get_current().enable_progress_bars = False
        try:
            yield
        finally:
            ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds that the server takes for an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {subject: [] for subject in SUBJECTS}
    os.environ["GEMTUNE_BENCH_DELAY"] = str(options.delay)
    with measuring.serving() as url, cluster():
        for number in range(options.rounds):
            for subject in SUBJECTS:
                print(f"round {number + 1}: {subject}", file=sys.stderr)
                figures = []
                # What a run costs whatever its size (actors that start, plans) is what 1 item costs.
                for items in (1, 1, options.items):  # the first one imports
                    spent, began = Spent(), time.perf_counter()
                    run(subject, url, items, options.in_flight)
                    figures.append((spent.seconds(), time.perf_counter() - began))
                _, (fixed_cpu, fixed), (cpu, wall) = figures
                found[subject].append(((cpu - fixed_cpu) / options.items, (wall - fixed) / options.items, fixed))
    print(f"{options.items} items, {options.in_flight} in flight, {options.delay:g} s an answer")
    print("| way | CPU per item | wall per item | items/s | besides, per run |\n|---|---|---|---|---|")
    base = statistics.median(cpu for cpu, _, _ in found[SUBJECTS[0]])
    for subject, figures in found.items():
        cpu, wall, fixed = (statistics.median(column) for column in zip(*figures, strict=True))
        ways = f"{wall * 1e6:,.0f} µs | {1 / wall:,.0f} | {fixed:.1f} s"
        print(f"| {subject} | {cpu * 1e6:,.0f} µs ({cpu / base:.1f}x) | {ways} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
