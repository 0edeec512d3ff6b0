"""The models of an evaluation: what each is asked as, and what people call it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, TypeAlias

import attrs

from gemtune import checks
from gemtune.errors import GemtuneError, InvalidInput
from gemtune.evaluation.values import unique
from gemtune.jobs import TuningJob
from gemtune.loops import for_each
from gemtune.protocol.names import same_model
from gemtune.protocol.vertex_names import endpoint_of, is_job
from gemtune.resources.given import JobLike
from gemtune.show.picture import short
from gemtune.types import Checkpoint, TunedModel, TunedModelState

_LONGEST: Final = 60
_AT_ONCE: Final = 64


Labelled: TypeAlias = "list[tuple[str, object]]"
"""Models with their labels, which may be empty."""


class FindsJobs(Protocol):
    """The part of a client that knows jobs."""

    def job(self, name: JobLike) -> TuningJob: ...


@attrs.frozen
class AskedModel:
    """One model of an evaluation.

    Args:
        label: What the evaluation calls it, unlike all others.
        name: The name under which it is asked.
        turn: How many models of the same name stand before it.
    """

    label: str
    name: str
    turn: int = 0


async def find_models(
    given: Labelled, client: FindsJobs, model_name: Callable[[object], str], *, field: str = "models"
) -> tuple[AskedModel, ...]:
    """Return the models of an evaluation, once the jobs among them have ended.

    Args:
        given: The models with their labels.
        client: Finds jobs.
        model_name: Returns the name under which the service knows a model.
        field: The argument, for errors.

    Raises:
        InvalidInput: One of them names no model.
        JobError: A job has no model: it failed, was cancelled or cannot be seen any more.
        CallError: A job could not be looked at.
    """
    names = await for_each(lambda each: _asked_as(*each, client, model_name, field), given, _AT_ONCE)
    found: list[AskedModel] = []
    labels = unique([label or _label_of(model, name) for (label, model), name in zip(given, names, strict=True)])
    for label, name in zip(labels, names, strict=True):
        found.append(AskedModel(label, name, sum(same_model(name, each.name) for each in found)))
    return tuple(found)


def waits_for_jobs(given: Labelled, client: FindsJobs) -> bool:
    """Return whether there are jobs among some models that are not known to have ended."""
    jobs = (_job_of(model, client) for _, model in given)
    return any(job is not None and not job.done for job in jobs)


def labelled(given: object) -> Labelled:
    """Return models with their labels, which are empty if nobody has given any.

    Raises:
        InvalidInput: There is none, or a label is no string.
    """
    if isinstance(given, Mapping):
        for label in given:
            if not isinstance(label, str) or not label.strip():
                what = f"models: a label must be a string that is not empty, not {checks.shown(label)}"
                raise InvalidInput(what, field="models")
        models = [(label, model) for label, model in given.items()]
    elif isinstance(given, str) or hasattr(given, "name") or hasattr(given, "endpoint"):
        models = [("", given)]
    elif isinstance(given, Iterable):
        models = [("", model) for model in given]
    else:
        what = "a model, several, or a dict of labels and models"
        checks.refuse("models", what, given)
    if not models:
        raise InvalidInput("models is empty: give at least one model", field="models")
    return models


async def _asked_as(
    label: str, model: object, client: FindsJobs, model_name: Callable[[object], str], argument: str
) -> str:
    """Return the name under which a model is asked; of a job, once it has ended."""
    field = f"{argument}[{label!r}]" if label else argument
    try:
        job = _job_of(model, client)
        if job is not None:
            await job
        return model_name(model if job is None else job)
    except InvalidInput as error:
        message = error.message.removeprefix("model must").removeprefix("model:")
        said = f"{field} must{message}" if error.message.startswith("model must") else f"{field}:{message}"
        raise InvalidInput(
            said if message != error.message else f"{field}: {message}", *error.remedies, field="models"
        ) from None
    except GemtuneError as error:
        if label:
            error.message = f"{label}: {error.message}"
        raise


def _job_of(model: object, client: FindsJobs) -> TuningJob | None:
    """Return the job that has to end before a model can be asked; None if it can be asked as it is."""
    if isinstance(model, TuningJob):
        return model
    if isinstance(model, TunedModel):
        return client.job(model) if model.state == TunedModelState.CREATING else None
    name = model if isinstance(model, str) else getattr(model, "name", None)
    if isinstance(name, str) and is_job(name) and endpoint_of(model) is None:
        return client.job(name)
    return None


def _label_of(model: object, name: str) -> str:
    """Return what people call a model, if nobody has said so."""
    if isinstance(model, Checkpoint):
        return f"checkpoint {model.checkpoint_id}" if model.checkpoint_id else f"step {model.step}"
    title = getattr(model, "display_name", None)
    if "/endpoints/" in name and isinstance(title, str) and title.strip():
        return title.strip()[:_LONGEST]  # the number of an endpoint tells nobody anything
    return short(name)
