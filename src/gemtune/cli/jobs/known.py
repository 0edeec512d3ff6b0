"""What a person wants to know of jobs before and after they run: their names, and what to do next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs

from gemtune.cli.jobs.vertex import on_vertex
from gemtune.cli.options import place_options
from gemtune.config import RetryPolicy
from gemtune.errors import CallError
from gemtune.protocol.names import is_batch_name
from gemtune.show.picture import JobPicture, Tone
from gemtune.show.progress import duration

if TYPE_CHECKING:
    from gemtune.client import Client

_MANY: Final = 20
"""Jobs of which more are not asked for their names: that would cost more than it brings."""


@attrs.define(eq=False)
class JobsSeen:
    """What is shown of some jobs: what a watcher knows now, what people call them, and always in the same order.

    On the Gemini API a look at a running job does not say its name: one request for each does. A watcher that discovers
    jobs lets those go that have ended; here they keep their place, and so do the letters and colours of all.

    Args:
        names: The jobs that are known by name from the beginning.
    """

    names: Sequence[str]
    _known: dict[str, JobPicture] = attrs.field(factory=dict, init=False)
    _last: dict[str, JobPicture] = attrs.field(factory=dict, init=False)

    async def learn(self, client: Client) -> None:
        """Ask once for each job; what cannot be asked is shown by its id."""
        import anyio

        if on_vertex(client) or len(self.names) > _MANY:
            return
        async with anyio.create_task_group() as tasks:
            for name in (name for name in self.names if not is_batch_name(name)):
                tasks.start_soon(self._ask, client, name)

    async def _ask(self, client: Client, name: str) -> None:
        from gemtune.looks.pictured import picture_of_model

        with suppress(CallError):
            model = await client.tuned_models.get(name, timeout=5, retry=RetryPolicy(attempts=1))
            self._known[name] = picture_of_model(model)

    def of(self, pictures: Iterable[JobPicture]) -> list[JobPicture]:
        """Return the pictures of all jobs that were ever among them, with what is known of their names."""
        self._last |= {picture.name: picture for picture in pictures}
        return [
            described(picture, self._known[name]) if name in self._known else picture
            for name, picture in self._last.items()
        ]


def described(picture: JobPicture, known: JobPicture) -> JobPicture:
    """Return a picture with what another one knows of its names and hyperparameters, if it lacks them."""
    if picture.hyperparameters:
        return picture
    said = {name: getattr(known, name) for name in ("title", "base_model", "hyperparameters", "parameters")}
    return attrs.evolve(picture, **said)


def ranked(pictures: Iterable[JobPicture]) -> list[JobPicture]:
    """Return jobs with the best first: by what their models are worth, those measured on validation data first."""

    def rank(picture: JobPicture) -> tuple[bool, bool, float]:
        loss = _worth(picture)
        return picture.tone is Tone.BAD, not picture.eval_losses, float("inf") if loss is None else loss

    return sorted(pictures, key=rank)


def _worth(picture: JobPicture) -> float | None:
    """Return the loss of the model that can be asked.

    With validation data that is the lowest one, as a service that measures it keeps checkpoints. Otherwise it is the
    last one: a job that diverged may have had the lowest loss of all on its way, and that model is gone.
    """
    return picture.lowest[1] if picture.eval_losses and picture.lowest else picture.loss


def next_step(pictures: Sequence[JobPicture], options: argparse.Namespace) -> str:
    """Return what to do once jobs have ended, for a person: ask the best of them, or get the results of a batch.

    Empty if there is nothing to ask, and nothing to get.
    """
    good = ranked(picture for picture in pictures if picture.tone is Tone.GOOD)
    if not good:
        return ""
    best = good[0]
    if best.counts is not None:
        return (
            f"get the results with: {shlex.join(['gemtune', 'batches', 'results', best.name, *place_options(options)])}"
        )
    ask = shlex.join(["gemtune", "generate", "your prompt", "--model", best.name, *place_options(options)])
    if len(pictures) == 1:
        took = "" if best.elapsed is None else f"took {duration(best.elapsed)}; "
        return f"{took}ask it with: {ask}"
    loss = _worth(best)
    if loss is None:
        return f"ask {best.title} with: {ask}"
    at_the_end = "" if best.eval_losses else " at the end"
    return f"the lowest loss{at_the_end} is {loss:.4g}, of {best.title}; ask it with: {ask}"
