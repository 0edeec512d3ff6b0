"""``gemtune jobs``: tuning jobs and the tuned models they make."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.cli.exits import DONE
from gemtune.cli.jobs import card, compare, export, vertex, watch
from gemtune.cli.jobs.each import Each, for_each, with_quiet
from gemtune.cli.options import JOB, Commands, add_parser, text
from gemtune.cli.running import open_client, run_async
from gemtune.errors import CallError
from gemtune.protocol.names import is_batch_name
from gemtune.show.picture import JobPicture
from gemtune.show.terminal import cells, clipped, fitted, one_line, width_of

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.pager import Pager
    from gemtune.types import TunedModel
    from gemtune.types.vertex import VertexTuningJob

_LIST = """\
  gemtune jobs list
  gemtune jobs list --filter owner:me --json | jq -r .state
  gemtune jobs list -q | xargs -r gemtune jobs get
"""
_GET = """\
  gemtune jobs get tunedModels/my-model
  gemtune jobs get my-model --json | jq '.tuningTask.snapshots[-1].meanLoss'
"""
_SPARE = (3, 2, 4)
"""The columns of the list that can be left out: BASE, CREATED, DISPLAY NAME."""
_CARD = 83
_ANY = 1 << 16
"""As wide as it takes."""
_CANCEL = """\
  gemtune jobs cancel my-model
  gemtune jobs cancel tunedModels/my-model/operations/abc123
"""
_DELETE = """\
  gemtune jobs delete my-model
  gemtune jobs delete my-model another-model --yes
"""


def add(commands: Commands) -> None:
    """Add the group."""
    what = "list, show, watch, compare, export, cancel and delete tuning jobs and their models"
    shown = (_LIST, _GET, watch.JOBS.watch, watch.JOBS.wait, compare.EXAMPLES, export.EXAMPLES, _CANCEL, _DELETE)
    group = add_parser(commands, "jobs", what, "".join(shown))
    actions = group.add_subparsers(metavar="ACTION", required=True)
    found = with_quiet(actions, "list", _list, "list the tuned models, including those still in training", _LIST, "ls")
    found.add_argument(
        "--filter",
        type=text,
        metavar="TEXT",
        help="words, or owner:me, writers:me, readers:me, readers:everyone; on Vertex AI such as 'labels.team=\"a\"'",
    )
    for name, each, what, examples, alias in (
        ("get", card.get, "show the state, progress and loss curve of jobs", _GET, "retrieve"),
        ("cancel", _cancel, "ask the service to cancel jobs; nothing is deleted", _CANCEL, ""),
        ("delete", _delete, "delete tuned models for good", _DELETE, "rm"),
    ):
        run = for_each(_of_either(name, each), deed=each is not card.get, asks=each is _delete)
        parser = with_quiet(actions, name, run, what, examples, alias)
        parser.add_argument("names", nargs="+", metavar="NAME", help=JOB)
        if each is _delete:
            parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    watch.add(actions, watch.JOBS)
    compare.add(actions)
    export.add(actions)


def _list(options: argparse.Namespace, console: Console) -> int:
    return run_async(_listed, options, console, limit=options.timeout)


async def _listed(options: argparse.Namespace, console: Console) -> int:
    from gemtune.protocol.codec import encode

    rows, pictures = list[tuple[str, ...]](), list[JobPicture]()
    async with open_client(options) as client:
        # On Vertex AI jobs are things of their own, and most of what is in the registry of models was never tuned.
        listed = client.tuning_jobs.list if vertex.on_vertex(client) else client.tuned_models.list
        pager: Pager[TunedModel] | Pager[VertexTuningJob] = listed(filter=options.filter, page_size=100)
        try:
            async for found in pager:
                if options.quiet:
                    console.print(found.name)
                else:
                    rows.append(tuple(map(one_line, _row(found))))
                    pictures.append(_pictured(found))
                console.record({"name": found.name} if options.quiet else encode(found))
        finally:  # what was listed before a failure is still shown
            _show(rows, pictures, console)
    if not rows and not options.quiet and not console.json:
        console.note("no tuning jobs" if vertex.on_vertex(client) else "no tuned models")
    return DONE


def _show(rows: list[tuple[str, ...]], pictures: list[JobPicture], console: Console) -> None:
    paint = paint_for(console, console.out) if rows and not console.json else None
    width = width_of(console.out, _ANY) - 1
    if paint is None:
        for line in _table(rows, width) if rows else ():
            console.print(line)
        return
    from gemtune.cli.screen.listing import listed

    found = [(picture, row[2]) for picture, row in zip(pictures, rows, strict=True)]
    print_painted(console, paint, listed(sorted(found, key=lambda each: each[1], reverse=True), width))


def _pictured(found: TunedModel | VertexTuningJob) -> JobPicture:
    from gemtune.looks.pictured import picture_of_model
    from gemtune.types import TunedModel

    return picture_of_model(found) if isinstance(found, TunedModel) else vertex.picture_of(found)


def _table(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Return the table in as many columns as a terminal has; a pipe gets all of it."""
    lines = fitted([("NAME", "STATE", "CREATED", "BASE", "DISPLAY NAME"), *rows], width, _SPARE)
    if all(cells(line) <= width for line in lines):
        return lines
    # A name that is cut could not be used: it has a line of its own, which the terminal wraps if it must.
    return [line for name, state, created, *_ in rows for line in (name, clipped(f"  {state}  {created}", width))]


def _row(found: TunedModel | VertexTuningJob) -> vertex.Row:
    from gemtune.types import TunedModel

    if not isinstance(found, TunedModel):
        return vertex.row_of(found)
    created = vertex.moment(found.create_time)
    return vertex.Row(found.name, found.state, created, _base(found), found.display_name)


def _base(model: TunedModel) -> str:
    source = model.tuned_model_source
    return source.tuned_model if source is not None and source.tuned_model else model.base_model


def _of_either(name: str, each: Each) -> Each:
    """Return what does the same to a batch that is named here."""

    async def run(client: Client, job: str, options: argparse.Namespace, console: Console) -> None:
        if is_batch_name(job):
            from gemtune.cli.batches.command import EACH

            await EACH[name](client, job, options, console)
        else:
            await each(client, job, options, console)

    return run


async def _cancel(client: Client, name: str, options: argparse.Namespace, console: Console) -> None:
    job = client.job(name)
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
    model = await vertex.model_of(client, name) if vertex.on_vertex(client) else client.job(name).name
    await client.tuned_models.delete(model)
    console.record({"name": model, "deleted": True})
    console.print(model if options.quiet else f"deleted {model}")
