"""Following a job in a terminal until it ends or you have seen enough."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

import anyio

from gemtune import events
from gemtune.cli.console import Console
from gemtune.cli.drawing import jobs_view
from gemtune.cli.options import place_options
from gemtune.cli.running import keep_drawing
from gemtune.cli.signals import until_stopped
from gemtune.errors import DeadlineExceeded, Failure
from gemtune.jobs import TuningJob
from gemtune.show.jobs import Pictures
from gemtune.show.live import Live, View

if TYPE_CHECKING:
    from anyio.abc import TaskGroup


def look_again(name: str, options: argparse.Namespace | None = None) -> str:
    """Return how to watch a job again once it is no longer followed, where the options of a command have led."""
    look = shlex.join(["gemtune", "jobs", "watch", name, *(place_options(options) if options is not None else ())])
    return f"the job continues; watch it with: {look}"


async def follow(
    job: TuningJob,
    console: Console,
    *,
    pictures: Pictures | None = None,
    timeout: float | None = None,
    indent: str = "",
    left: str | None = None,
    keep: bool = True,
) -> None:
    """Show a job's progress until its terminal event.

    Args:
        job: The job.
        console: Where to show it; with JSON every event is a line of standard output.
        pictures: Returns how the job is now; by default what its handle knows.
        timeout: Seconds to follow it.
        indent: What lines of progress begin with.
        left: What to say if the following ends before the job does; by default ``look_again``.
        keep: Whether the last picture stays on the terminal.

    Raises:
        DeadlineExceeded: The job has not ended after ``timeout`` seconds.
        KeyboardInterrupt: Ctrl-C was pressed, or SIGTERM came.
    """
    left = left or look_again(job.name)
    live, done = console.live(indent), False
    view = jobs_view(console, live, pictures or (lambda: [job.picture()]), named=False)

    async def show(tasks: TaskGroup) -> None:
        nonlocal done
        keep_drawing(tasks, live, view)
        with anyio.move_on_after(timeout):
            await _show(job, console, view, live, left)
            done = True

    try:
        stopped = await until_stopped(show)
    except anyio.get_cancelled_exc_class():
        console.note(left)
        raise
    finally:
        if live is not None:
            live.finish(keep=keep)
    if stopped and not done:
        console.note(left)
        raise KeyboardInterrupt
    if not done:
        raise _late(job, timeout or 0.0, left)


def _late(job: TuningJob, timeout: float, left: str) -> DeadlineExceeded:
    said = f"{job.name} is not done after {timeout:g} s ({job.picture().word}); {left}"
    return DeadlineExceeded(said, resource=job.name, failure=Failure.FATAL)


async def _show(job: TuningJob, console: Console, view: View, live: Live | None, left: str) -> None:
    async for event in job.events():
        console.record(event.to_dict(), passing=not isinstance(event, events.TERMINAL))
        match event:
            case events.Degraded(message=message):
                console.note(
                    f"note: no answer about {job.name} ({message}); still trying. Ctrl-C stops waiting: {left}"
                )
            case events.Restarted(attempt=attempt):
                console.note(f"note: the service started the training again (attempt {attempt})")
        # The events of a look end with its progress: drawing then means once per look, however many steps it brought.
        if live is not None and not isinstance(event, events.Snapshot):
            live.show(view)
