"""The Gemini API: a job is a tuned model, and its work is the long-running operation that makes it.

Operation metadata and tuned model are two views of one cumulative list of snapshots. Only the operation knows the
number of steps and the reason of a failure, and it expires; only the model knows when it was created. Creation finds
both by one id, which is the caller's or made up by the client, so that a creation whose answer was lost can be found.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import attrs

from gemtune.config import RetryPolicy, WatchPolicy
from gemtune.errors import ApiError, CredentialsError, NotSupported, QuotaExhausted, Unavailable
from gemtune.events import JobState
from gemtune.http.caller import Caller
from gemtune.looks.service import Ask, Started, moment
from gemtune.pager import Pages
from gemtune.protocol import gemini, names
from gemtune.protocol.gemini import Page
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.creation import Creation
from gemtune.resources.drafts import TuningDraft, model_to_create
from gemtune.resources.operations import Operations
from gemtune.resources.tuned_models import TunedModels, check_display_name
from gemtune.story.observation import About, Listed, Moment, Observation, Source, nanoseconds
from gemtune.types import (
    CreateTunedModelMetadata,
    Operation,
    TunedModel,
    TunedModelState,
    TuningSnapshot,
)

_CANCELLED: Final = 1
_LIGHT: Final = (
    "tunedModels(name,state,createTime,displayName,baseModel,tunedModelSource,tuningTask/hyperparameters),nextPageToken"
)
"""The mask of a light list: some 300 bytes a model, and none of its snapshots."""
_LARGEST_PAGE: Final = 1000


@attrs.frozen(eq=False)
class GeminiTuning:
    """Tuning jobs of the Gemini API, through the client's public methods.

    Args:
        tuned_models: Reads models and lists of them.
        operations: Reads and cancels operations.
        caller: Carries out creations.
    """

    tuned_models: TunedModels
    operations: Operations
    caller: Caller

    @classmethod
    def through(cls, caller: Caller, policy: WatchPolicy) -> GeminiTuning:
        """Return the service as one client reaches it."""
        return cls(TunedModels(caller), Operations(caller, policy), caller)

    def job_names(self, given: object) -> tuple[str, str | None]:
        """Return ``tunedModels/{id}``, and ``tunedModels/{id}/operations/{id}`` if that was given."""
        return names.job_names(given)

    def model_name(self, given: object, *, field: str = "model") -> str:
        """Return ``models/{id}`` or ``tunedModels/{id}``."""
        return names.model_name(given, field=field)

    generate_content = staticmethod(gemini.generate_content)
    stream_generate_content = staticmethod(gemini.stream_generate_content)
    count_tokens = staticmethod(gemini.count_tokens)

    async def look(self, job: str, work: str | None, source: Source, ask: Ask) -> Observation:
        """Look at the operation, at the model, or for the operation in the list of the model's."""
        # Counted before they are sent: a request that fails has cost its share of the quota.
        if source is Source.JOB:
            ask.requests["tuned_models.get"] += 1
            model = await self.tuned_models.get(job, timeout=ask.timeout, retry=ask.retry)
            return observe_model(model, moment())
        if work is None:
            # Only the operation knows how many steps there are, and why a job failed.
            return await self._seek(job, ask)
        ask.requests["operations.get"] += 1
        operation = await self.operations.get(work, timeout=ask.timeout, retry=ask.retry)
        return observe_operation(operation, moment())

    async def _seek(self, job: str, ask: Ask) -> Observation:
        """Find the operation of a job of which only the model is known; its list is a look in itself."""
        found: Operation | None = None
        try:
            found = await self._operation_of(job, ask)
        except ApiError as error:
            if isinstance(error, QuotaExhausted | Unavailable | CredentialsError):
                raise  # the model is enough to follow a job, but this says nothing about the list
        now = moment()
        if found is None:
            return Observation(source=Source.WORK, at=now, state=None, job=job, sought=True)
        return attrs.evolve(observe_operation(found, now), sought=True)

    async def _operation_of(self, job: str, ask: Ask) -> Operation | None:
        ask.requests["operations.list"] += 1
        page = await anext(self.operations.list(job, timeout=ask.timeout, retry=ask.retry).pages())
        # One page: a model has the one operation that made it, and perhaps others that are not about tuning.
        tuning = (each for each in page if isinstance(each.metadata, CreateTunedModelMetadata))
        return next((each for each in tuning if names.operation_of(job, each.name) is not None), None)

    def list_jobs(self, filter: str | None, ask: Ask, *, light: bool) -> Pages[Listed]:
        """Return the pages of the list of tuned models."""
        models = self.tuned_models.list(
            page_size=_LARGEST_PAGE if ask.page_size is None else ask.page_size,
            filter=filter,
            fields=_LIGHT if light else None,
            timeout=ask.timeout,
            retry=ask.retry,
        )

        # Pages of our own around the client's, so that each request is counted and each entry means something.
        async def fetch(token: str | None) -> Page[Listed]:
            ask.requests["tuned_models.list"] += 1
            page = await anext(models.pages(token))
            return Page(tuple(_listed(page)), page.next_page_token)

        return Pages(fetch)

    async def create(
        self,
        draft: TuningDraft,
        job_id: str | None,
        if_exists: Literal["error", "adopt"],
        *,
        timeout: float | None,
        retry: RetryPolicy | None,
    ) -> Started:
        """Create a tuned model exactly once, by an id that every attempt and every look carries."""
        # Everything is checked before anything is sent, and the id, which is quickly said, before the data are read.
        check_display_name(draft.display_name)
        chosen = names.chosen_id(job_id, if_exists, draft.display_name, random.getrandbits(64))
        model, data = await model_to_create(draft)
        taken = job_id is not None and not draft.fresh  # whether it may be
        creation = Creation(self.caller, model, chosen, chosen=taken, adopt=if_exists == "adopt", wanted=draft.wanted)
        operation = await creation.run(timeout=timeout, retry=retry)
        seen = observe_creation(operation, creation.name, model, moment())
        return Started(seen, data.report, creation.adopted)

    async def cancel(self, job: str, work: str | None) -> None:
        """Cancel the operation, which is looked for first if its name is not known."""
        if work is None:
            found = await self._operation_of(job, Ask(retry=None))
            work = found.name if found is not None else None
        if work is None:
            raise NotSupported(
                f"{job} has no operation that could be cancelled",
                Remedy("to stop it for good, delete the model: ", ClientCall("tuned_models.delete", job)),
            )
        await self.operations.cancel(work)


def observe_creation(operation: Operation, job: str, asked: TunedModel, now: Moment) -> Observation:
    """Return what the reply to a creation says, or the look that found or adopted what exists."""
    # A model that was found, by a look or to be adopted, has an operation whose name is not known yet.
    if names.operation_of(job, operation.name) is not None:
        return attrs.evolve(observe_operation(operation, now), about=About.of(asked))
    if isinstance(operation.response, TunedModel):
        seen = observe_model(operation.response, now)
        # A model that is ready shows all of its steps; nobody needs to look for its operation to know how many.
        total = max((each.step for each in seen.snapshots or ()), default=0) if seen.state is JobState.ACTIVE else 0
        return attrs.evolve(seen, job=job, total_steps=total or None)
    return Observation(source=Source.WORK, at=now, state=None, job=job, about=About.of(asked))


def observe_operation(operation: Operation, now: Moment) -> Observation:
    """Return what an operation says; an error outweighs a response, and only code 1 is a cancellation."""
    meta = operation.metadata if isinstance(operation.metadata, CreateTunedModelMetadata) else None
    job = names.parent_of(operation.name)
    model = operation.response if operation.done and isinstance(operation.response, TunedModel) else None
    error = operation.error if operation.done else None  # the field may be filled before it counts (AIP-151)
    if not operation.done:
        state: JobState | None = JobState.CREATING
    elif error is not None:
        state = JobState.CANCELLED if error.code == _CANCELLED else JobState.FAILED
    elif model is not None:
        state = JobState.FAILED if model.state == TunedModelState.FAILED else JobState.ACTIVE
    else:
        state = None  # done, with neither error nor model: the model itself has to be asked
    return Observation(
        source=Source.WORK,
        at=now,
        state=state,
        job=job,
        work=names.operation_of(job, operation.name),
        created=nanoseconds(model.create_time) if model is not None else 0,
        snapshots=(*(meta.snapshots if meta is not None else ()), *_snapshots(model)),
        completed_steps=meta.completed_steps if meta is not None else None,
        total_steps=(meta.total_steps or None) if meta is not None else None,
        percent=meta.completed_percent if meta is not None and meta.total_steps else None,
        done=operation.done,
        error=error,
        model=model,
        about=About.of(model) if model is not None else None,
    )


def observe_model(model: TunedModel, now: Moment) -> Observation:
    """Return what a whole tuned model says."""
    return Observation(
        source=Source.JOB,
        at=now,
        state=_state(model),
        created=nanoseconds(model.create_time),
        snapshots=_snapshots(model),
        model=model,
        about=About.of(model),
    )


def _listed(models: Iterable[TunedModel]) -> Iterator[Listed]:
    return (
        Listed(model.name, _state(model), nanoseconds(model.create_time), about=About.of(model)) for model in models
    )


def _state(model: TunedModel) -> JobState | None:
    if model.state == TunedModelState.STATE_UNSPECIFIED:
        return None
    state = JobState(str(model.state))
    # A word that is new to this version is never an end, even if we happen to use the same word for one.
    return JobState.UNKNOWN if state.terminal and not model.state.known else state


def _snapshots(model: TunedModel | None) -> tuple[TuningSnapshot, ...]:
    return model.tuning_task.snapshots if model is not None and model.tuning_task is not None else ()
