"""``gemtune jobs get``: all that is known of a job."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.cli.jobs import vertex
from gemtune.cli.jobs.known import described
from gemtune.errors import CallError, InvalidInput
from gemtune.protocol.names import is_batch_name
from gemtune.remedy import ClientCall, Remedy
from gemtune.show.curve import loss_curve
from gemtune.show.picture import JobPicture
from gemtune.show.progress import progress_line
from gemtune.show.terminal import one_line, width_of

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.types import TunedModel
    from gemtune.types.vertex import VertexTuningJob

Facts = Iterable[tuple[str, object]]
_WIDEST: Final = 83
_HEIGHT: Final = 12
_ANY: Final = 1 << 16
"""As wide as it takes."""


async def get(client: Client, name: str, options: argparse.Namespace, console: Console) -> None:
    """Print a job, as JSON, as its name, or as a card."""
    from gemtune.protocol.codec import encode

    job, found = await look_up(client, name)
    if options.quiet:
        console.print(found.name)
        console.record({"name": found.name})
        return
    console.record(encode(found))
    if console.json:
        return
    picture, facts = await known(job, found)
    paint = paint_for(console, console.out)
    if paint is None:
        for row in _card(picture, facts, console):
            console.print(row)
        return
    from gemtune.cli.screen.job import card

    width = min(width_of(console.out, _ANY) - 1, _WIDEST)
    said = [(label, one_line(str(value))) for label, value in facts if value]
    print_painted(console, paint, card(picture, said, width, _HEIGHT, color=paint.color))


async def look_up(client: Client, name: str) -> tuple[TuningJob, TunedModel | VertexTuningJob]:
    """Return a job, and what the service says of it.

    Raises:
        CallError: There is none of that name, or it cannot be seen.
        InvalidInput: It is a batch.
    """
    if is_batch_name(name):
        what = f"{one_line(name)} is a batch, which has no steps and no losses"
        raise InvalidInput(what, Remedy("see it with ", ClientCall("batches.get", name)), field="name")
    if vertex.on_vertex(client):
        on_vertex = await client.tuning_jobs.get(name)
        return client.job(on_vertex), on_vertex
    job = client.job(name)
    if job.operation is not None:
        await client.operations.get(job.operation)
    return job, await client.tuned_models.get(job.name)


async def known(job: TuningJob, found: TunedModel | VertexTuningJob) -> tuple[JobPicture, Facts]:
    """Return what a person sees of a job, and what else is known."""
    from gemtune.looks.pictured import picture_of_model
    from gemtune.types import TunedModel

    if isinstance(found, TunedModel) and found.state == "ACTIVE":
        return picture_of_model(found), _facts(found)
    # Only the operation knows how many steps there are and whether it was cancelled; on Vertex AI it brings the curves.
    with suppress(CallError):
        await job.refresh()
    if not isinstance(found, TunedModel):
        return job.picture(), vertex.facts_of(found, job)
    seen, listed = job.picture(), picture_of_model(found)
    return described(seen, listed) if seen.looked_at is not None else listed, _facts(found)


def _facts(model: TunedModel) -> Iterator[tuple[str, object]]:
    task, source = model.tuning_task, model.tuned_model_source
    yield "display name", model.display_name
    yield "description", model.description
    yield "base", source.tuned_model if source is not None and source.tuned_model else model.base_model
    yield "created", vertex.moment(model.create_time)
    yield "completed", vertex.moment(task.complete_time) if task is not None else None


def _card(picture: JobPicture, facts: Facts, console: Console) -> Iterator[str]:
    width, unicode = width_of(console.out, _WIDEST) - 3, console.unicode
    yield picture.name
    yield f"  {progress_line(picture, width, unicode=unicode)}"
    for label, value in (("reason", picture.reason), *facts, ("training", picture.hyperparameters)):
        if value:
            yield from _fact(label, one_line(str(value)), width_of(console.out, _ANY) - 1)
    for row in loss_curve(picture.losses, width - 5, 8, last=picture.total or 0, unicode=unicode):
        yield f"  {row}"


def _fact(label: str, value: str, width: int) -> list[str]:
    """Return a fact as one line, or as several if it is longer than the terminal is wide."""
    first, *others = textwrap.wrap(value, max(width - 16, 8), break_on_hyphens=False)
    return [f"  {label:<14}{first}", *(" " * 16 + line for line in others)]
