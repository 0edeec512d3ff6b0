"""One run of ``gemtune sweep``: it follows the sweep, shows it, and says what came out."""

from __future__ import annotations

import argparse
import json
import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, INTERRUPTED
from gemtune.cli.jobs.vertex import on_vertex
from gemtune.cli.options import place_options
from gemtune.cli.running import keep_drawing, open_client, run_async, while_somebody_watches
from gemtune.cli.sweep.ending import report, running_jobs
from gemtune.cli.sweep.lines import sweep_view
from gemtune.cli.sweep.study import make_study
from gemtune.errors import DeadlineExceeded, Failure
from gemtune.show.live import Live, View

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.client import Client
    from gemtune.sweep.sweep import Sweep

_REDRAW = 0.2
"""Seconds between two drawings, however many events come."""
_WATCHED = 4
"""Points at a time that somebody watches closely, as far as nobody says how many there will be."""
_MOST_NAMED = 8
"""Jobs in a command that cancels them; a longer one would hide how to resume."""


@attrs.define(eq=False)
class SweepSession:
    """Tunes, follows, and reports.

    Args:
        options: Of the command line.
        console: Where to report.
        given: Arguments of ``client.sweep``.
    """

    options: argparse.Namespace
    console: Console
    given: Mapping[str, Any]

    def run(self) -> int:
        """Return the exit code."""
        code = run_async(self._run)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return code

    async def _run(self) -> int:
        watch = while_somebody_watches(self.options.concurrency or _WATCHED)
        async with open_client(self.options, watch=watch) as client:
            sweep = make_sweep(client, self.options, self.given)
            code = await follow_sweep(sweep, self.console, self.options, self._left)
            if code:
                return code
            return report(sweep.picture(), self.console, self.options)

    def _left(self, sweep: Sweep) -> str:
        """Say what continues, and how to resume it."""
        from gemtune.sweep.journal.leaving import remove_if_no_job

        # One that has come to its end removes its folder itself.
        if remove_if_no_job(self.given["journal"]) or not Path(self.given["journal"]).exists():
            return "nothing was created"
        how = "the same command" if self.options.resume else "the same command and --resume"
        jobs = running_jobs(sweep.picture())
        resume = f"resume with {how}"
        if not jobs:
            return f"no job is running; {resume}"
        many, them = ("1 job continues", "it") if len(jobs) == 1 else (f"{len(jobs)} jobs continue", "them")
        said = f"{many} on the service; {resume}"
        if len(jobs) > _MOST_NAMED:
            return said
        command = shlex.join(["gemtune", "jobs", "cancel", *jobs, *place_options(self.options)])
        return f"{said}, or cancel {them} with: {command}"


def make_sweep(client: Client, options: argparse.Namespace, given: Mapping[str, Any]) -> Sweep:
    """Return the sweep that the options want; nothing happens before it is entered."""
    study = make_study(options, vertex=on_vertex(client))
    return client.sweep(options.base, options.data, study=study, **given)


async def follow_sweep(
    sweep: Sweep, console: Console, options: argparse.Namespace, left: Callable[[Sweep], str]
) -> int:
    """Show a sweep to its end, and return whether it got there: 0, or the code of an interrupt.

    Args:
        sweep: The sweep.
        console: Where to show it; with JSON every event is a line of standard output.
        options: Of the command line.
        left: Returns what to say if the following ends before the sweep does; blocks.
    """
    import anyio.to_thread

    from gemtune.cli.signals import until_stopped

    live = console.live()
    view = sweep_view(console, live, sweep.picture)
    limit = anyio.CancelScope()
    entered = False

    async def follow(tasks: TaskGroup) -> None:
        nonlocal entered
        limit.deadline = anyio.current_time() + (options.timeout or math.inf)
        with limit:
            async with sweep:
                entered = True
                keep_drawing(tasks, live, view)
                tasks.start_soon(_report_quietly, live, view)
                await _shown(sweep, console, live, view)

    try:
        try:
            stopped = await until_stopped(follow)
        finally:
            if live is not None:
                live.finish(keep=entered)
    except Exception:
        if entered:
            console.note(await anyio.to_thread.run_sync(left, sweep))
        raise
    if stopped or limit.cancelled_caught:
        console.note(await anyio.to_thread.run_sync(left, sweep) if entered else "nothing was created")
    if stopped:
        return INTERRUPTED
    if limit.cancelled_caught:
        raise DeadlineExceeded(
            f"not done after {options.timeout:g} s; allow more with --timeout", failure=Failure.FATAL
        )
    return DONE


async def _report_quietly(live: Live | None, view: View) -> None:
    """Where nothing is drawn, say once a second what has changed without an event, such as an outage."""
    import anyio

    while live is not None and not live.in_place:
        await anyio.sleep(1)
        live.show(view)


async def _shown(sweep: Sweep, console: Console, live: Live | None, view: View) -> None:
    import anyio

    drawn = -math.inf
    async for event in sweep:
        console.record(event.to_dict(), passing=True)
        now = anyio.current_time()
        if live is not None and now - drawn >= _REDRAW:
            live.show(view)
            drawn = now
    if live is not None:
        live.show(view)


def show_plan(options: argparse.Namespace, console: Console, given: Mapping[str, Any]) -> int:
    """Print what a sweep would take, and return the exit code."""

    async def plan() -> int:
        async with open_client(options) as client:
            found = await make_sweep(client, options, given).plan()
        if console.json:
            console.json_line(json.dumps(found.to_dict()))
        else:
            console.print(str(found))
        return DONE

    return run_async(plan, limit=options.timeout)
