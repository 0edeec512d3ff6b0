"""``gemtune demo --sweep``: from rows to the best hyperparameters, and whether they are better than the base model.

It runs on the emulator alone, whose losses and answers follow from formulas (``gemtune.emulator.world.surface``): what
is shown is real work of the SDK on jobs that learn nothing, and the demonstration says so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gemtune.cli.console import Console
from gemtune.cli.demo.dates import dates
from gemtune.cli.demo.steps import SWEEP_SPEED, DemoSteps, about
from gemtune.cli.demo.tutorial import BASE_MODEL, VERTEX_BASE_MODEL
from gemtune.cli.exits import USAGE
from gemtune.cli.running import run_async
from gemtune.cli.sweep.ending import report
from gemtune.cli.sweep.session import follow_sweep
from gemtune.errors import InvalidInput
from gemtune.show.terminal import wrapped

EPOCHS: Final = (2, 4, 8)
RATES: Final = (0.3, 1, 3, 10)
VALIDATION: Final = 0.2
AT_A_TIME: Final = 4
_BUCKET: Final = "gemtune-demo"
_EXAMPLES: Final = 3
_RPS: Final = 40
"""Requests a second: it is our own service, and a rule that sees a curve too late saves nothing."""
_FRESHNESS: Final = 20.0
"""How old a snapshot may be, in seconds of the emulator's time, in which a step takes 1.2."""


def run_sweep(options: argparse.Namespace, console: Console) -> int:
    """Run the demonstration, and return the exit code."""
    elsewhere = ("live", "base_url", "project", "location", "bucket")
    if any(getattr(options, name) for name in elsewhere):
        raise InvalidInput("the demonstration of a sweep runs on a service of its own: gemtune sweep is the real one")
    from gemtune.emulator import running_emulator

    speed = options.speed or SWEEP_SPEED
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_emulator(
                clock=f"scaled:{speed}",
                seed=options.seed,
                buckets=[_BUCKET],
                knows=dates(),
                vertex_concurrent_jobs=AT_A_TIME,
                max_concurrent_jobs=AT_A_TIME,
            ) as server,
        ):
            return run_async(_swept, options, console, server.url, speed, Path(folder))
    except ImportError as missing:
        console.error(str(missing))
        return USAGE


async def _swept(options: argparse.Namespace, console: Console, url: str, speed: float, folder: Path) -> int:
    from gemtune.client import Client
    from gemtune.config import WatchPolicy

    vertex = options.vertex is not False
    about(
        console,
        f"A sweep against the bundled emulator at {url}{' as Vertex AI' if vertex else ''}, {speed:g} times as fast as "
        "real time. No account, no network, and nothing is learned: the losses are a formula of the hyperparameters, "
        "and a model with a lower eval loss answers more of the rows right that were put aside, by another formula.",
    )
    pause = max(_FRESHNESS / speed, 0.1)
    policy = WatchPolicy(
        freshness=pause,
        terminal_freshness=pause,
        queued_interval=pause,
        min_interval=pause,
        max_rps=_RPS,
        burst=_RPS,
    )
    async with Client(
        base_url=url,
        token="emulator",  # noqa: S106 - it takes any
        vertexai=vertex,
        project="demo",
        bucket=_BUCKET if vertex else None,
        watch=policy,
    ) as client:
        return await _steps(client, options, console, folder, vertex=vertex)


async def _steps(client: Any, options: argparse.Namespace, console: Console, folder: Path, *, vertex: bool) -> int:
    from gemtune.datasets import split

    began = time.monotonic()
    steps, rows = DemoSteps(console), dates()
    steps.begin("The task: days as people write them, as ISO 8601 has them")
    for row in rows[:_EXAMPLES]:
        steps.result(f"{row['text_input']} -> {row['output']}")
    parts = split(rows, validation=VALIDATION, seed=str(options.seed))
    steps.result(str(parts))
    tried = f"{_listed(EPOCHS)} epochs, and {_listed(RATES)} times the default rate"
    steps.begin(f"Tune {len(EPOCHS) * len(RATES)} models: {tried}")
    sweep = client.sweep(
        options.base or (VERTEX_BASE_MODEL if vertex else BASE_MODEL),
        parts.train,
        space={"epoch_count": list(EPOCHS), "learning_rate_multiplier": list(RATES)},
        validation=parts.validation,
        metrics=["exact_match"],
        objective="eval_loss" if vertex else "exact_match",
        stop=["diverging", "forecast"],
        journal=folder / "dates.sweep",
        title="dates",
    )
    code = await follow_sweep(sweep, console, options, lambda *_: "the emulator and its jobs end with the demo")
    if code:
        raise KeyboardInterrupt
    steps.begin("Which hyperparameters, and is the best model better than the base model?")
    code = report(sweep.picture(), console, options, ask=False)
    elapsed = time.monotonic() - began
    console.record({"kind": "done", "seconds": round(elapsed, 3)})
    console.print()
    yours = "gemtune sweep rows.csv --base MODEL --epochs 2,4,8 --rate 0.3,1,3 --metric exact_match --stop forecast"
    console.print(wrapped(f"Done in {elapsed:.1f} s; the same on your rows: {yours}", console.out))
    return code


def _listed(values: Sequence[float]) -> str:
    *others, last = (f"{value:g}" for value in values)
    return f"{', '.join(others)} or {last}"
