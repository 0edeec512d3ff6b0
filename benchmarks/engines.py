"""What an item costs this process with each engine of a batch, in one run; how to read it is in README.md here."""

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import measuring
from batchers import MODEL, prompts
from measuring import Cell

from batch import current_peak, reset_peak, rss

BASELINE = "local"
SUBJECTS = ("local", "local, journal", "server", "server, journal")
IN_FLIGHT = 256
"""Of the local engine; the server engine has none in flight."""


async def measure(subject: str, url: str, in_flight: int, items: int) -> Cell:
    """CPU, speed and growth of the memory per item in this process, after a warm-up that opens the connections."""
    import gemtune

    engine, _, journal = subject.partition(", ")
    canned, emulator = url.split()
    async with gemtune.Client(api_key="k", base_url=emulator if engine == "server" else canned) as client:

        async def run(count: int) -> None:
            with tempfile.TemporaryDirectory() as folder:
                options = {"concurrency": in_flight} if engine == "local" else {}
                path = Path(folder, "journal") if journal else None
                async with client.batch(MODEL, prompts(count), engine=engine, journal=path, **options) as results:
                    async for result in results:
                        assert result.ok, result.error

        await run(2 * in_flight)
        gc.collect()
        reset_peak()
        before = rss()
        found = await measuring.spend(run, items)
        return found | {"growth_mib": current_peak() - before}


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """The emulator in a process of its own, whose batches are done at once: its work is not measured."""
    knobs = ("batch_queue_seconds=0", "batch_seconds=0", "max_stored_bytes=68719476736")
    sets = [word for knob in knobs for word in ("--set", knob)]
    command = [sys.executable, "-m", "gemtune", "emulator", "--port", "0", "--json", *sets]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def table(cells: Sequence[Cell], items: Sequence[int]) -> Iterator[str]:
    """The lines of the report: µs, in brackets times the local engine; items a second; growth of the memory."""
    cpu, speed, growth = (measuring.medians(cells, what) for what in ("cpu_us", "items_per_s", "growth_mib"))
    heads = "".join(f"{f'{n:,} items':>40}" for n in items)
    yield f"{'per item: CPU, items/s, MiB':28}{heads}"
    for subject in dict.fromkeys(one["subject"] for one in cells):
        line = f"{subject:28}"
        for n in items:
            if n not in cpu.get(subject, {}):
                line += f"{'-':>40}"
                continue
            ratio = f"({cpu[subject][n] / cpu[BASELINE][n]:.2f}x)" if n in cpu.get(BASELINE, {}) else ""
            text = f"{cpu[subject][n]:.0f} µs {ratio:>8} {speed[subject][n]:6.0f}/s +{growth[subject][n]:.0f} MiB"
            line += f"{text:>40}"
        yield line
    yield from measuring.errors(cells)


def report(options: argparse.Namespace) -> int:
    """Measure everything and print it; the columns are numbers of items."""
    cells = []
    sizes = [options.items, 10 * options.items]
    with measuring.serving() as canned, emulator() as url:
        for number in range(options.rounds):
            for items in sizes:
                for subject in options.subjects:
                    print(f"round {number + 1}: {subject}, {items} items", file=sys.stderr)
                    found = measuring.cell(subject, f"{canned} {url}", IN_FLIGHT, items)
                    cells.append({"subject": subject, "in_flight": items, "round": number, **found})
    context = measuring.surroundings() | {"items": options.items, "rounds": options.rounds}
    print(*table(cells, sizes), sep="\n")
    print("\n" + measuring.origin(options, context))
    measuring.save(options.json, {"context": context, "cells": cells})
    return 1 if any("error" in one for one in cells) else 0


def main() -> int:
    parser = measuring.parser(__doc__, SUBJECTS, [IN_FLIGHT])
    return measuring.main(parser.parse_args(), 6000, measure, report)


if __name__ == "__main__":
    sys.exit(main())
