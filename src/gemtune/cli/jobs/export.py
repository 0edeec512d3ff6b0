"""``gemtune jobs export``: the steps of jobs for TensorBoard, or as a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, USAGE, exit_code, together
from gemtune.cli.options import JOB, Commands, add_command
from gemtune.cli.remedies import worded
from gemtune.cli.running import open_client, run_async
from gemtune.errors import GemtuneError, InvalidInput
from gemtune.protocol.names import is_batch_name
from gemtune.remedy import ClientCall, Remedy
from gemtune.show.terminal import one_line

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.types import Hyperparameters, TuningSnapshot

EXAMPLES = """\
  gemtune jobs export my-model another-model --tensorboard runs
  gemtune jobs export my-model --csv steps.csv
  gemtune jobs export my-model --tensorboard runs --follow
"""
_EVERY = 1.0
"""Seconds between two writes while jobs are followed."""


def add(actions: Commands) -> None:
    """Add the command to the group of jobs."""
    what = "write the steps of jobs for TensorBoard, or as CSV or JSONL"
    parser = add_command(actions, "export", _export, what, EXAMPLES)
    parser.add_argument("names", nargs="+", metavar="NAME", help=JOB)
    parser.add_argument(
        "--tensorboard", metavar="DIR", type=Path, help="a folder for TensorBoard: a run for each job, nothing twice"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="a CSV file with a line for each step; it is replaced")
    parser.add_argument("--jsonl", metavar="FILE", type=Path, help="the same as JSON objects, one a line")
    parser.add_argument("--follow", action="store_true", help="continue until the jobs end")
    parser.add_argument("-q", "--quiet", action="store_true", help="print names only")


def _export(options: argparse.Namespace, console: Console) -> int:
    if not (options.tensorboard or options.csv or options.jsonl):
        console.error("say where to: --tensorboard DIR, --csv FILE or --jsonl FILE")
        return USAGE
    return run_async(_exported, options, console, limit=options.timeout)


async def _exported(options: argparse.Namespace, console: Console) -> int:
    codes: list[int] = []
    async with open_client(options) as client:
        jobs: list[TuningJob] = []
        for name in dict.fromkeys(options.names):
            try:
                job = _tuning_job(client, name)
                await job.refresh()
            except GemtuneError as error:
                console.error(worded(error, options))
                codes.append(exit_code(error))
            else:
                jobs.append(job)
        stopped = False
        if jobs:
            await _write(jobs, options)
            running = [job for job in jobs if not job.done]
            if options.follow and running:
                if not (options.quiet or console.json):
                    console.note(
                        f"{_many(len(running))} still running; Ctrl-C stops following and keeps what was written"
                    )
                stopped = await _follow(client, jobs, running, options, console)
            _say(jobs, options, console)
    if stopped:
        raise KeyboardInterrupt
    return together([*codes, DONE])


def _tuning_job(client: Client, name: str) -> TuningJob:
    if is_batch_name(name):
        what = f"{one_line(name)} is a batch, which has no steps"
        raise InvalidInput(what, Remedy("get its results with ", ClientCall("batches.results", name)), field="name")
    return client.job(name)


async def _follow(
    client: Client,
    jobs: Sequence[TuningJob],
    running: Sequence[TuningJob],
    options: argparse.Namespace,
    console: Console,
) -> bool:
    """Write what is new every second until the jobs have ended, and return whether a signal came first."""
    import anyio

    from gemtune.cli.signals import until_stopped

    news = False

    async def write_news() -> None:
        nonlocal news
        said = ""
        while True:
            await anyio.sleep(_EVERY)
            if news:
                news = False
                try:
                    await _write(jobs, options)
                except GemtuneError as error:  # a full disk may have room again the next second
                    news = True
                    if said != (said := str(error)):
                        console.note(said, error=True)

    async def follow(tasks: TaskGroup) -> None:
        nonlocal news
        tasks.start_soon(write_news)
        async with client.watch(running) as watcher:
            async for _ in watcher:
                news = True

    try:
        return await until_stopped(follow)
    finally:
        with anyio.CancelScope(shield=True):
            await _write(jobs, options)


@attrs.frozen
class _Known:
    """What is known of a job now, for a thread that writes it while the job is looked at."""

    name: str
    display_name: str | None
    base_model: str | None
    hyperparameters: Hyperparameters | None
    snapshots: tuple[TuningSnapshot, ...]
    done: bool

    @classmethod
    def of(cls, job: TuningJob) -> _Known:
        return cls(job.name, job.display_name, job.base_model, job.hyperparameters, tuple(job.snapshots), job.done)


async def _write(jobs: Sequence[TuningJob], options: argparse.Namespace) -> None:
    import anyio.to_thread

    known = [_Known.of(job) for job in jobs]
    # Not given up halfway: what a signal stops is the following.
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(partial(_written, known, options))


def _written(jobs: Sequence[_Known], options: argparse.Namespace) -> None:
    from gemtune.telemetry.tracking import table
    from gemtune.telemetry.tracking.board import TensorBoard
    from gemtune.telemetry.tracking.measures import StepMeasures

    if options.tensorboard:
        with TensorBoard(options.tensorboard) as board:
            for job in jobs:
                board.write(job)
    rows = [StepMeasures.of(job.name, snapshot) for job in jobs for snapshot in job.snapshots]
    if options.csv:
        table.write(options.csv, table.as_csv(rows))
    if options.jsonl:
        table.write(options.jsonl, table.as_jsonl(rows))


def _many(count: int) -> str:
    return "1 job is" if count == 1 else f"{count} jobs are"


def _say(jobs: Sequence[TuningJob], options: argparse.Namespace, console: Console) -> None:
    for job in jobs:
        steps, word = len(job.snapshots), job.picture().word
        console.print(job.name if options.quiet else f"{one_line(job.name)}: {steps} steps, {word}")
        console.record({"name": job.name} if options.quiet else {"name": job.name, "steps": steps, "state": job.state})
    if options.tensorboard and not options.quiet and not console.json:
        console.note(f"look at them with: tensorboard --logdir {options.tensorboard}")
