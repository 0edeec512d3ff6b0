"""``gemtune jobs watch`` and ``gemtune jobs wait``: follow many jobs, or wait for their end."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import TYPE_CHECKING

from gemtune import events
from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED, REFUSED, TIMED_OUT, USAGE, together
from gemtune.cli.options import Commands, add_command, open_client, run_async
from gemtune.show.jobs import JobsView
from gemtune.show.terminal import Live, printable

if TYPE_CHECKING:
    from gemtune.watch import Subscription, Watcher

__all__ = ["EXAMPLES", "add", "exit_code_of"]

_WATCH = """\
  gemtune jobs watch my-model another-model
  gemtune jobs watch --all
  gemtune jobs watch my-model --json | jq -r 'select(.kind == "snapshot") | "\\(.step) \\(.mean_loss)"'
"""
_WAIT = """\
  gemtune jobs wait my-model --timeout 30m && gemtune generate "LXIII" --model my-model
  gemtune jobs wait my-model another-model --until any
"""
EXAMPLES = _WATCH + _WAIT
_NAME = "a tuned model's name, its id, or an operation's"
_SHORT = 2000
"""Most characters of a checkpoint that anybody would copy from a terminal."""


def add(actions: Commands) -> None:
    """Add both commands to the group of jobs."""
    watch = add_command(actions, "watch", _watch, "show jobs as they go on, until they end", _WATCH)
    watch.add_argument("names", nargs="*", metavar="NAME", help=_NAME)
    watch.add_argument("--all", action="store_true", help="all jobs of yours, also those that come later")
    watch.add_argument("--since", metavar="CURSOR", help="an event's cursor or a checkpoint: only what came after it")
    wait = add_command(actions, "wait", _wait, "wait until jobs have ended", _WAIT)
    wait.add_argument("names", nargs="+", metavar="NAME", help=_NAME)
    wait.add_argument("--until", choices=("all", "any", "first_failure"), default="all", help="when to stop waiting")


def _watch(options: argparse.Namespace, console: Console) -> int:
    if not (options.names or options.all or options.since):
        console.error("say which jobs to watch: give their names, or --all")
        return USAGE
    return run_async(_watched, options, console)


async def _watched(options: argparse.Namespace, console: Console) -> int:
    import anyio

    view, ends, live = JobsView(), dict[str, events.Event](), console.live()
    async with open_client(options) as client:
        mine = "owner:me" if options.all else None
        async with client.watch(options.names, filter=mine, resume=options.since) as watcher:
            try:
                with anyio.move_on_after(options.timeout) as limit:
                    await _follow(aiter(watcher), view, ends, console, live)
            except anyio.get_cancelled_exc_class():
                console.note(_goes_on(watcher, ends))
                raise
            finally:
                if live is not None:
                    live.erase()
            if limit.cancelled_caught:
                console.note(_goes_on(watcher, ends))
                return TIMED_OUT
    return exit_code_of(ends.values())


async def _follow(
    reader: Subscription[events.Event],
    view: JobsView,
    ends: dict[str, events.Event],
    console: Console,
    live: Live | None,
) -> None:
    async for event in reader:
        view.feed(event)
        console.record(event.to_dict())
        if events.is_terminal(event):
            ends[event.job] = event
            _print_end(event, console)
        # What a look brought is drawn once, however many steps it brought.
        if live is not None and not reader.backlog:
            live.show(view)
    if live is not None:
        live.show(view)


def _wait(options: argparse.Namespace, console: Console) -> int:
    return run_async(_waited, options, console)


async def _waited(options: argparse.Namespace, console: Console) -> int:
    import anyio

    async with open_client(options) as client, client.watch(options.names) as watcher:
        try:
            result = await watcher.wait(*options.names, until=options.until, timeout=options.timeout)
        except anyio.get_cancelled_exc_class():
            console.note("the jobs go on; wait for them again with the same command")
            raise
    for event in result.done.values():
        console.record(event.to_dict())
        _print_end(event, console)
    enough = options.until == "any" and result.done
    failed = options.until == "first_failure" and exit_code_of(result.done.values()) != DONE
    if result.pending and not enough and not failed:
        console.note(f"not done after {options.timeout:g} s: {', '.join(sorted(result.pending))}; the jobs go on")
        return TIMED_OUT
    return exit_code_of(result.done.values())


def _print_end(event: events.Event, console: Console) -> None:
    match event:
        case events.Failed(reason=reason) if reason:
            said = f": {reason}"
        case events.Lost(reason=why, message=message):
            said = f": {why} {message}"
        case _:
            said = ""
    console.print(printable(f"{event.job} {event.kind}{said}".rstrip()))


def _goes_on(watcher: Watcher, ends: Collection[str]) -> str:
    names = [name for name in watcher.jobs if name not in ends]
    if not names:
        return "no job goes on"
    checkpoint = watcher.checkpoint()
    again = f"--since {checkpoint}" if len(checkpoint) <= _SHORT else "--all"
    return f"{len(names)} jobs go on; watch them again with: gemtune jobs watch {again}"


def exit_code_of(ends: Collection[events.Event]) -> int:
    """Return 0 if all jobs have their model, 4 if all others are gone or out of sight, else 1."""
    codes = {events.Succeeded: DONE, events.Deleted: REFUSED, events.Lost: REFUSED}
    return together([codes.get(type(event), FAILED) for event in ends])
