"""``gemtune batches``: batches that the service runs, and their results."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from gemtune.cli.batches import results
from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.cli.exits import DONE
from gemtune.cli.jobs import watch
from gemtune.cli.jobs.each import Each, for_each, with_quiet
from gemtune.cli.jobs.vertex import moment
from gemtune.cli.options import BATCH, Commands, add_parser
from gemtune.cli.running import open_client, run_async
from gemtune.errors import CallError
from gemtune.plain import plain
from gemtune.show.progress import progress_line
from gemtune.show.terminal import cells, clipped, fitted, one_line, width_of

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.types.batches import GenerateContentBatch

_LIST = """\
  gemtune batches list
  gemtune batches list --json | jq -r '[.name, .state] | @tsv'
"""
_GET = """\
  gemtune batches list -q | xargs -r gemtune batches get
"""
_CANCEL = """\
  gemtune batches cancel "$(gemtune batches list -q | head -n 1)"
"""
_DELETE = """\
  gemtune batches list -q | tail -n 1 | xargs -r gemtune batches delete --yes
"""
_SPARE = (3, 2, 5, 4)
"""The columns of the list that can be left out: MODEL, CREATED, DISPLAY NAME, REQUESTS."""
_WIDEST = 83
_ANY = 1 << 16
"""As wide as it takes."""


def add(commands: Commands) -> None:
    """Add the group."""
    what = "list, show, watch, cancel and delete batches that the service runs, and get their results"
    shown = (_LIST, _GET, watch.BATCHES.watch, watch.BATCHES.wait, results.EXAMPLES, _CANCEL, _DELETE)
    group = add_parser(commands, "batches", what, "".join(shown))
    actions = group.add_subparsers(metavar="ACTION", required=True)
    with_quiet(actions, "list", _list, "list the batches of your project", _LIST, "ls")
    for name, each, told, examples, alias in (
        ("get", _get, "show the state and the counts of batches", _GET, "retrieve"),
        ("cancel", _cancel, "ask the service to end batches; what is answered is kept", _CANCEL, ""),
        ("delete", _delete, "delete batches with their results for good; those that run are ended", _DELETE, "rm"),
    ):
        run = for_each(each, deed=each is not _get, asks=each is _delete)
        parser = with_quiet(actions, name, run, told, examples, alias)
        parser.add_argument("names", nargs="+", metavar="NAME", help=BATCH)
        if each is _delete:
            parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    watch.add(actions, watch.BATCHES)
    results.add(actions)


def _list(options: argparse.Namespace, console: Console) -> int:
    return run_async(_listed, options, console, limit=options.timeout)


async def _listed(options: argparse.Namespace, console: Console) -> int:
    found: list[GenerateContentBatch] = []
    async with open_client(options) as client:
        try:
            async for batch in client.batches.list(page_size=100):
                if options.quiet:
                    console.print(batch.name)
                console.record({"name": batch.name} if options.quiet else plain(batch))
                found.append(batch)
        finally:  # what was listed before a failure is still shown
            if found and not (options.quiet or console.json):
                _show(found, console)
    if not found and not options.quiet and not console.json:
        console.note("no batches")
    return DONE


def _show(found: list[GenerateContentBatch], console: Console) -> None:
    width = width_of(console.out, _ANY) - 1
    paint = paint_for(console, console.out)
    if paint is not None:
        from gemtune.cli.screen.listing import listed
        from gemtune.looks.pictured import picture_of_batch

        shown = [(picture_of_batch(batch), moment(batch.create_time)) for batch in found]
        print_painted(console, paint, listed(shown, width))
        return
    rows = [tuple(map(one_line, _row(batch))) for batch in found]
    lines = fitted([("NAME", "STATE", "CREATED", "MODEL", "REQUESTS", "DISPLAY NAME"), *rows], width, _SPARE)
    if any(cells(line) > width for line in lines):
        # A name that is cut could not be used: it has a line of its own, which the terminal wraps if it must.
        lines = [line for row in rows for line in (row[0], clipped(f"  {row[1]}  {row[2]}", width))]
    for line in lines:
        console.print(line)


def _row(batch: GenerateContentBatch) -> tuple[str, ...]:
    counts = batch.counts
    failed = f", {counts.failed} failed" if counts.failed else ""
    requests = f"{counts.finished}/{counts.total}{failed}" if counts.total else ""
    return batch.name, str(batch.state), moment(batch.create_time), batch.model, requests, batch.display_name


async def _get(client: Client, name: str, options: argparse.Namespace, console: Console) -> None:
    """Print a batch, as JSON, as its name, or as a card."""
    from gemtune.looks.pictured import picture_of_batch

    batch = await client.batches.get(name)
    console.record({"name": batch.name} if options.quiet else plain(batch))
    if options.quiet:
        console.print(batch.name)
    if options.quiet or console.json:
        return
    picture = picture_of_batch(batch)
    paint = paint_for(console, console.out)
    said = [(label, one_line(str(value))) for label, value in _facts(batch) if value]
    if paint is not None:
        from gemtune.cli.screen.job import card

        width = min(width_of(console.out, _ANY) - 1, _WIDEST)
        print_painted(console, paint, card(picture, said, width, 12, color=paint.color))
        return
    console.print(one_line(batch.name))
    console.print(f"  {progress_line(picture, width_of(console.out, _WIDEST) - 3, unicode=console.unicode)}")
    for label, value in (("reason", one_line(picture.reason)), *said):
        if value:
            console.print(f"  {label:<14}{value}")


def _facts(batch: GenerateContentBatch) -> tuple[tuple[str, object], ...]:
    return (
        ("display name", batch.display_name),
        ("model", batch.model),
        ("created", moment(batch.create_time)),
        ("ended", moment(batch.end_time)),
        ("input", batch.input),
        ("results", batch.output),
    )


async def _cancel(client: Client, name: str, options: argparse.Namespace, console: Console) -> None:
    job = client.batches.job(name)
    with suppress(CallError):  # asking is what counts, and says what is wrong
        await job.refresh()
    if job.done:
        console.record({"name": job.name, "cancelling": False, "state": str(job.state)})
        console.print(job.name if options.quiet else f"{job.name} has ended ({job.state}): there is nothing to cancel")
        return
    await job.cancel()
    console.record({"name": job.name, "cancelling": True})
    console.print(job.name if options.quiet else f"asked to cancel {job.name}")


async def _delete(client: Client, name: str, options: argparse.Namespace, console: Console) -> None:
    job = client.batches.job(name)
    await job.delete()
    console.record({"name": job.name, "deleted": True})
    console.print(job.name if options.quiet else f"deleted {job.name}")


EACH: dict[str, Each] = {"get": _get, "cancel": _cancel, "delete": _delete}
"""What ``gemtune jobs`` does to a batch that is named there."""
