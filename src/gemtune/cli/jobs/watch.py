"""``gemtune jobs watch`` and ``gemtune jobs wait``: follow many jobs, or wait until they end; the same for batches."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final

import attrs

from gemtune import events
from gemtune.cli.console import Console
from gemtune.cli.drawing import jobs_view
from gemtune.cli.exits import DONE, FAILED, INTERRUPTED, REFUSED, TIMED_OUT, USAGE, together
from gemtune.cli.jobs.known import JobsSeen, next_step
from gemtune.cli.jobs.vertex import on_vertex
from gemtune.cli.options import BATCH, JOB, Commands, add_command, place_options
from gemtune.cli.remedies import worded
from gemtune.cli.running import keep_drawing, open_client, run_async, while_somebody_watches
from gemtune.errors import CallError, NotFound
from gemtune.protocol.names import is_batch_name
from gemtune.show.jobs import PlainJobs
from gemtune.show.live import Live, View
from gemtune.show.terminal import printable, wrapped

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.client import Client
    from gemtune.watch import Subscription, WaitResult, Watcher

_WATCH = """\
  gemtune jobs watch my-model another-model
  gemtune jobs watch --all
  gemtune jobs watch my-model --json | jq -r 'select(.kind == "snapshot") | "\\(.step) \\(.mean_loss)"'
"""
_WAIT = """\
  gemtune jobs wait my-model --timeout 30m && gemtune generate "LXIII" --model tunedModels/my-model
  gemtune jobs wait my-model another-model --until any
"""
_WATCH_BATCHES = """\
  gemtune batches list -q | xargs -r gemtune batches watch
"""
_WAIT_BATCHES = """\
  gemtune batches list -q | xargs -r gemtune batches wait --timeout 24h
"""
_WAIT_AGAIN = "only the waiting has ended; wait again with the same command"
_LOOKS = 20
"""How many jobs are looked at once more if they have not ended in time."""
_SHORT = 2000
"""The longest resume token that anybody would copy from a terminal, in characters."""


@attrs.frozen
class WatchGroup:
    """The group of commands that the two belong to.

    Args:
        name: Its name, and what its jobs are called.
        named: What help says of their names.
        watch: Examples of the one command.
        wait: Examples of the other.
    """

    name: str
    named: str
    watch: str
    wait: str


JOBS: Final = WatchGroup("jobs", JOB, _WATCH, _WAIT)
BATCHES: Final = WatchGroup("batches", BATCH, _WATCH_BATCHES, _WAIT_BATCHES)


def add(actions: Commands, group: WatchGroup) -> None:
    """Add both commands to a group."""
    what = group.name
    watch = add_command(actions, "watch", _watch, f"follow {what} until they end", group.watch)
    watch.add_argument("names", nargs="*", metavar="NAME", help=group.named)
    if group is JOBS:
        watch.add_argument("--all", action="store_true", help="all jobs of yours, including those that you start later")
    since = (
        "an event's cursor (for its job only) or a resume token: snapshots and ends before it are not repeated; added, "
        "state_changed, restarted and progress may be"
    )
    watch.add_argument("--since", metavar="CURSOR", help=since)
    watch.add_argument("-q", "--quiet", action="store_true", help=f"print the names of {what} as they end, no progress")
    watch.set_defaults(group=group.name, **({} if group is JOBS else {"all": False}))
    wait = add_command(actions, "wait", _wait, f"wait until {what} end", group.wait)
    wait.add_argument("names", nargs="+", metavar="NAME", help=group.named)
    wait.set_defaults(group=group.name)
    wait.add_argument("--until", choices=("all", "any", "first_failure"), default="all", help="when to stop waiting")
    wait.add_argument("-q", "--quiet", action="store_true", help=f"print the names of the {what} that have ended only")


def _watch(options: argparse.Namespace, console: Console) -> int:
    if not (options.names or options.all or options.since):
        batches = options.group == BATCHES.name
        console.error("name the batches to watch" if batches else "name the jobs to watch, or pass --all")
        return USAGE
    if options.names and options.all:
        console.error("--all watches all jobs; leave out the names or --all")
        return USAGE
    return _run(_watched, options, console)


def _run(command: Callable[..., Awaitable[int]], options: argparse.Namespace, console: Console) -> int:
    code = run_async(command, options, console)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


async def _watched(options: argparse.Namespace, console: Console) -> int:
    import anyio

    from gemtune.cli.signals import until_stopped

    ends = dict[str, events.Event]()
    live = console.live()
    limit = anyio.CancelScope()
    async with open_client(options, watch=while_somebody_watches(len(options.names))) as client:
        everything = "*" if on_vertex(client) else "owner:me"
        mine = everything if options.all else None
        async with client.watch(_named(client, options), filter=mine, resume=options.since) as watcher:
            jobs = JobsSeen(list(watcher.jobs))
            view = jobs_view(console, live, lambda: jobs.of(watcher.pictures()))

            async def follow(tasks: TaskGroup) -> None:
                keep_drawing(tasks, live, view)
                if console.draws:
                    tasks.start_soon(jobs.learn, client)
                limit.deadline = anyio.current_time() + (options.timeout or math.inf)
                with limit:
                    await _follow(aiter(watcher), view, ends, console, live)

            try:
                stopped = await until_stopped(follow)
            except anyio.get_cancelled_exc_class():
                console.note(_still_running(watcher, ends, options))
                raise
            finally:
                if live is not None:
                    live.finish()
            late = {*watcher.jobs} - {*ends} if limit.cancelled_caught and not stopped else set[str]()
            if await _unknown(client, late, options, console):
                return REFUSED
            if stopped or limit.cancelled_caught:
                console.note(_still_running(watcher, ends, options))
                return INTERRUPTED if stopped else TIMED_OUT
            if console.draws and (then := next_step(jobs.of(watcher.pictures()), options)):
                console.note(then)
    return exit_code_of(ends.values())


async def _follow(
    reader: Subscription[events.Event],
    view: View,
    ends: dict[str, events.Event],
    console: Console,
    live: Live | None,
) -> None:
    async for first in reader:
        event: events.Event | None = first
        while event is not None:
            console.record(event.to_dict())
            if isinstance(event, events.Degraded):
                console.note(f"note: no answer ({event.message.removesuffix('.')}); still trying")
            if isinstance(event, events.TERMINAL):
                ends[event.job] = event
                if isinstance(view, PlainJobs):  # elsewhere the job's row says it, and stays
                    _print_end(event, console)
            event = reader.next_nowait()
        # Everything that a look brought is read by now: one drawing for each look, however many steps it brought.
        if live is not None:
            live.show(view)


def _wait(options: argparse.Namespace, console: Console) -> int:
    console.deed = True
    return _run(_waited, options, console)


async def _waited(options: argparse.Namespace, console: Console) -> int:
    import anyio

    from gemtune.cli.signals import until_stopped

    result: WaitResult | None = None
    live = None if options.json else console.live(beside=True)
    async with open_client(options) as client, client.watch(names := _named(client, options)) as watcher:

        async def wait(tasks: TaskGroup) -> None:
            nonlocal result
            tasks.start_soon(_note_outages, watcher, console)
            keep_drawing(tasks, live, PlainJobs(watcher.pictures, hint="Ctrl-C stops waiting", brief=True))
            result = await watcher.wait(*names, until=options.until, timeout=options.timeout)

        try:
            stopped = await until_stopped(wait)
        except anyio.get_cancelled_exc_class():
            console.note(_WAIT_AGAIN)
            raise
        finally:
            if live is not None:
                live.finish(keep=False)
        unknown = not stopped and result is not None and await _unknown(client, result.pending, options, console)
    if stopped or result is None:
        console.note(_WAIT_AGAIN)
        return INTERRUPTED
    for event in result.done.values():
        console.record(event.to_dict())
        _print_end(event, console)
    enough = options.until == "any" and result.done
    failed = options.until == "first_failure" and exit_code_of(result.done.values()) != DONE
    if unknown:
        return REFUSED
    if result.pending and not enough and not failed:
        console.note(
            f"not done after {options.timeout:g} s: {', '.join(sorted(result.pending))}; only the waiting has ended"
        )
        return TIMED_OUT
    return exit_code_of(result.done.values())


def _named(client: Client, options: argparse.Namespace) -> list[str]:
    """Return the jobs that are named, in the group of batches by full names: a bare id is a tuned model's elsewhere."""
    if options.group == BATCHES.name:
        return [client.batches.job(name).name for name in options.names]
    return list(options.names)


async def _note_outages(watcher: Watcher, console: Console) -> None:
    """Say when the service stops answering, and when it answers again."""
    async for event in watcher.subscribe(kinds=[events.Degraded, events.Recovered]):
        if event.job:
            continue  # of one job; the end of the waiting says how it is
        if isinstance(event, events.Degraded):
            console.note(f"no answer ({event.message}); still trying. Ctrl-C stops waiting")
        else:
            console.note("the service answers again")


async def _unknown(client: Client, pending: Collection[str], options: argparse.Namespace, console: Console) -> bool:
    """Report the jobs, of those that have not ended in time, that the service does not know; return if all are such.

    A watcher reports them as lost only after a while, as a job may be younger than the service's copies of it. Here the
    time is up, and nothing is claimed of a job that nobody has seen.
    """
    from gemtune.config import RetryPolicy

    names = sorted(pending)[:_LOOKS]
    missing = 0
    for name in names:
        try:
            collection = client.tuning_jobs if on_vertex(client) else client.tuned_models
            get = client.batches.get if is_batch_name(name) else collection.get
            await get(name, timeout=2, retry=RetryPolicy(attempts=1))
        except NotFound as error:
            console.error(worded(error, options))
            missing += 1
        except CallError:
            continue
    return bool(names) and missing == len(pending)


def _print_end(event: events.Event, console: Console) -> None:
    if console.quiet:
        console.print(event.job)
        return
    match event:
        case events.Failed(reason=reason) if reason:
            said = f": {reason}"
        case events.Lost(reason=why, message=message):
            said = f": {why} {message}"
        case events.Completed(batch=batch):
            failed = f", {batch.counts.failed:,} failed" if batch.counts.failed else ""
            said = f": {batch.counts.successful:,} of {batch.counts.total:,} answered{failed}"
        case _:
            said = ""
    console.print(wrapped(printable(f"{event.job} {event.kind}{said}".rstrip()), console.out))


def _still_running(watcher: Watcher, ends: Collection[str], options: argparse.Namespace) -> str:
    names = [name for name in watcher.jobs if name not in ends]
    if not (names or options.all):
        return "no job is running any more"
    if names and all(watcher.jobs[name] == events.JobState.UNKNOWN for name in names):
        seen = "the job has not been seen; watch it" if len(names) == 1 else "the jobs have not been seen; watch them"
        return f"{seen} again with: {again(options, watcher.resume_token())}"
    said = {0: "no job is running now; watch for more", 1: "1 job is still running; watch it again"}
    many = f"{len(names)} jobs are still running; watch them again"
    return f"{said.get(len(names), many)} with: {again(options, watcher.resume_token())}"


def again(options: argparse.Namespace, token: str) -> str:
    """Return the command that watches again: for a program where this one stopped, for a person the whole curves.

    Args:
        options: The options of this one.
        token: The watcher's resume token, which names its jobs. One that is too long to copy is left out, and so is one
            that a person would have to copy although the names or ``--all`` say the same.
    """
    short = len(token) <= _SHORT and (options.json or not (options.names or options.all))
    words = ["gemtune", getattr(options, "group", JOBS.name), "watch", *([] if short else options.names)]
    words += [flag for flag, given in {"--all": options.all, "--json": options.json}.items() if given]
    values = {
        "--timeout": None if options.timeout is None else f"{options.timeout:g}",
    }
    words += [word for flag, value in values.items() if value is not None for word in (flag, value)]
    words += place_options(options)
    if options.no_color:
        words.append("--no-color")
    since = token if short else options.since
    return shlex.join([*words, *(["--since", since] if since else [])])


def exit_code_of(ends: Collection[events.Event]) -> int:
    """Return 0 if all jobs succeeded, 4 if all that did not are gone or out of sight, otherwise 1."""
    codes = {events.Succeeded: DONE, events.Completed: DONE, events.Deleted: REFUSED, events.Lost: REFUSED}
    return together([codes.get(type(event), FAILED) for event in ends])
