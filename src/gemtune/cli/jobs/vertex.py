"""Tuning jobs of Vertex AI in the terminal: what ``gemtune jobs`` shows of them, in the same form as of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from gemtune.errors import InvalidInput
from gemtune.events import JobState
from gemtune.show.picture import JobPicture, short, toned

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.resources.given import ModelLike
    from gemtune.types.vertex import VertexTuningJob

_PREFIX = "JOB_STATE_"
_PHASE = "TUNING_JOB_STATE_"


class Row(NamedTuple):
    """What the list says of one job or model."""

    name: str
    state: str
    created: str
    base: str
    display_name: str


def on_vertex(client: Client) -> bool:
    """Return whether a client talks to Vertex AI."""
    return client.settings.service == "vertex"


def row_of(job: VertexTuningJob) -> Row:
    """Return a job's line in the list."""
    state = str(job.state).removeprefix(_PREFIX)
    return Row(job.name, state, moment(job.create_time), base_of(job), job.tuned_model_display_name)


def picture_of(job: VertexTuningJob) -> JobPicture:
    """Return what a person sees of a job that a list has brought, which says nothing of its steps."""
    from gemtune.looks.vertex_words import state_of

    state = state_of(job) or JobState.UNKNOWN
    word, tone = toned(state, None, steps=0, reason=str(job.tuning_job_state))
    title = job.tuned_model_display_name or short(job.name)
    return JobPicture(name=job.name, title=title, base_model=base_of(job), state=state, word=word, tone=tone)


def moment(time: object) -> str:
    """Return a moment to the second, in UTC as the service says it."""
    return str(time or "")[:19].replace("T", " ")


def base_of(job: VertexTuningJob) -> str:
    """Return what a job tunes: a base model, or the tuned model that it continues from."""
    source = job.pre_tuned_model
    return job.base_model or (source.tuned_model_name if source is not None else "")


def facts_of(job: VertexTuningJob, handle: TuningJob) -> Iterator[tuple[str, str | None]]:
    """Return what is known about a job: labels and values."""
    yield (
        "service says",
        f"{job.state}" + (f", {str(job.tuning_job_state).removeprefix(_PHASE)}" if _phase(job) else ""),
    )
    yield "display name", job.tuned_model_display_name
    yield "description", job.description
    yield "base", base_of(job)
    yield "created", moment(job.create_time)
    yield "ended", moment(job.end_time)
    yield "labels", ", ".join(f"{key}={value}" for key, value in job.labels.items())
    stats = handle.data_stats
    if stats is not None:
        tokens = f", {stats.billable_tokens:,} tokens in one pass" if stats.billable_tokens else ""
        dropped = f", {stats.dropped} dropped" if stats.dropped else ""
        yield "data", f"{stats.examples or 0:,} examples{tokens}{dropped}"
    made = job.tuned_model
    if made is not None:
        yield "model", made.model
        yield "endpoint", made.endpoint
        for each in made.checkpoints:
            yield (
                f"checkpoint {each.checkpoint_id}",
                f"epoch {each.epoch}, step {each.step}: {each.endpoint or 'not served'}",
            )


def _phase(job: VertexTuningJob) -> str:
    phase = str(job.tuning_job_state).removeprefix(_PHASE)
    return "" if job.state.ended or phase == "UNSPECIFIED" else phase


async def model_of(client: Client, name: str) -> str:
    """Return the model to delete: the one that is named, or the one that a job has made.

    Raises:
        InvalidInput: The job has made none.
    """
    if "/models/" in name or not (name.isdigit() or "/tuningJobs/" in name or name.startswith("tuningJobs/")):
        return name
    job = await client.tuning_jobs.get(name)
    if job.tuned_model is None or not job.tuned_model.model:
        raise InvalidInput(f"{job.name} has no model to delete; the job itself stays on Vertex AI", field="NAME")
    return job.tuned_model.model


async def askable(client: Client, name: str) -> ModelLike:
    """Return what to ask for a name: on Vertex AI a job or a model of the registry is asked through its endpoint.

    Raises:
        InvalidInput: There is no endpoint (yet).
    """
    if not on_vertex(client) or ("/tuningJobs/" not in name and "/models/" not in name) or "/publishers/" in name:
        return name
    found: ModelLike
    if "/tuningJobs/" in name:
        job = await client.tuning_jobs.get(name)
        endpoint, found = job.tuned_model.endpoint if job.tuned_model is not None else "", job
        how = f"its state is {str(job.state).removeprefix(_PREFIX)}"
    else:
        model = await client.tuned_models.get(name)
        endpoint, found, how = getattr(model, "endpoint", ""), model, "it is not deployed"
    if not endpoint:
        raise InvalidInput(f"model {name} cannot be asked: {how}, and no endpoint serves it", field="model")
    return found
