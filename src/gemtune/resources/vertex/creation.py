"""How a tuning job is created exactly once, though the service lets nobody choose a name and knows no idempotency key.

What is ours is a label, ``gemtune-id``. The service echoes it at once, and every list shows it. It is made of the id
that a caller chose, or of one made up here, so that all attempts of a call, and all processes that run the same line
with the same id, carry the same label.

1. If the caller chose the id, its label is looked for before anything is sent.
2. After a failure that leaves open whether the service acted, it is looked for again, and only if it is surely not
   there the creation is sent once more. The list is ordered by the last change, so that jobs move between its pages
   while it is read: one pass that did not meet a job proves nothing. Two passes in a row must agree, and the second
   must begin ``SETTLED`` seconds after the search, because lists may lag behind. Filters are a help and no proof.
3. Two jobs can still come to be: a service may act on an attempt that it seemed to have lost, after everybody has
   looked; two processes may start at the same moment. So after a creation that was in doubt, or whose id was chosen,
   the label is looked for once more, and after a doubt again ``SETTLED`` seconds later. Of several jobs the oldest
   stays, and the others are cancelled. Every process decides so by the same rule, so that they agree.

A job cannot be deleted. One that was cancelled within seconds of its creation has cost nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Final, TypeVar

import anyio
import attrs

from gemtune.config import ONCE, RetryPolicy
from gemtune.errors import AlreadyExists, AmbiguousOutcome, BadRequest, CallError, DeadlineExceeded, Failure
from gemtune.http.caller import Caller
from gemtune.pager import Pages
from gemtune.protocol import vertex, vertex_names
from gemtune.protocol.gemini import Page
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.attempts import Attempts, time_left
from gemtune.resources.vertex.cancelling import cancel
from gemtune.types.vertex import VertexJobState, VertexTuningJob

T = TypeVar("T")

_log = logging.getLogger("gemtune")

LABEL: Final = "gemtune-id"
SETTLED: Final = 10.0
"""Seconds after which a job that was created is in the list."""
_PAGE: Final = 100
_CANCELLING: Final = VertexJobState.JOB_STATE_CANCELLING
_FIELDS: Final = (
    "tuningJobs(name,state,createTime,startTime,endTime,updateTime,error,labels,baseModel,preTunedModel,"
    "tunedModelDisplayName,tunedModel,experiment),nextPageToken"
)
"""What an adopted job must show; the statistics with their examples are most of a job's bytes."""


@attrs.define(eq=False)
class VertexCreation:
    """One logical creation of a tuning job.

    Args:
        caller: Carries out the calls.
        parent: ``projects/P/locations/L``.
        job: What to create.
        job_id: The id, the same on every attempt.
        chosen: Whether the caller chose the id, so that it may be taken.
        adopt: Whether a job that exists under this id is taken over as it is.
        doubted: Whether an attempt may have created it unseen.
        adopted: Whether one was.
    """

    caller: Caller
    parent: str
    job: VertexTuningJob
    job_id: str
    chosen: bool
    adopt: bool
    doubted: bool = False
    adopted: bool = attrs.field(default=False, init=False)

    @property
    def label(self) -> str:
        """The value of the label."""
        return vertex_names.label_of(self.job_id)

    async def run(self, *, timeout: float | None, retry: RetryPolicy | None) -> VertexTuningJob:
        """Create the job, or adopt it.

        Raises:
            AlreadyExists: The id is taken, and not by this call.
            AmbiguousOutcome: Nobody could say whether the creation happened; the message says how to find out.
            CallError: What else went wrong.
        """
        begun, left, before = anyio.current_time(), timeout, self.doubted
        if self.chosen or self.doubted:
            found = await self._search(timeout, retry)
            if found:
                return self._adopted(await self._keep_oldest(found) if self.adopt else min(found, key=_age))
            left = time_left(timeout, begun)
        job = attrs.evolve(self.job, labels={**self.job.labels, LABEL: self.label})
        attempts: Attempts[VertexTuningJob] = Attempts(self.caller, self.find, self._remedies())
        self.doubted = True  # until an answer is here: whoever waits for it may leave at any moment
        try:
            made = await attempts.run(vertex.create_tuning_job(self.parent, job), left, retry)
        except AmbiguousOutcome:
            raise
        except CallError:
            self.doubted = before or attempts.doubted
            raise
        doubted = before or attempts.doubted
        if not (doubted or self.chosen):
            return made
        return await self._only(made, time_left(timeout, begun), doubted=doubted)

    async def find(self, timeout: float | None, retry: RetryPolicy | None = ONCE) -> VertexTuningJob | None:
        """Return the oldest job with the label; None only if there is surely none.

        Raises:
            CallError: It could not be found out.
        """
        return min(await self._search(timeout, retry), key=_age, default=None)

    async def _search(self, timeout: float | None, retry: RetryPolicy | None) -> list[VertexTuningJob]:
        """Return the jobs with the label; none only if there is surely none.

        Raises:
            CallError: It could not be found out.
        """
        return await _within(timeout, self._certain(retry), self.parent)

    async def _certain(self, retry: RetryPolicy | None) -> list[VertexTuningJob]:
        begun = anyio.current_time()
        found = await jobs_with_label(self.caller, self.parent, self.label, retry)
        if not found:
            await anyio.sleep(max(begun + SETTLED - anyio.current_time(), 0.0))
            found = await _pass(self.caller, self.parent, self.label, retry)
        return found

    async def _only(self, made: VertexTuningJob, timeout: float | None, *, doubted: bool) -> VertexTuningJob:
        """Return the oldest job with the label, and cancel every other one.

        Args:
            made: The job that was created.
            timeout: Seconds to look for others.
            doubted: Whether an earlier attempt may have created one as well, so that an older one is taken for its
                deed, rather than for that of somebody else who has chosen the same id.
        """
        try:
            found = await _within(timeout, self._beside(made, doubted=doubted), self.parent)
        except CallError as error:
            _log.warning("%s was created; whether it is the only one is not known: %s", made.name, error)
            return made
        first = await self._keep_oldest([*(job for job in found if job.name != made.name), made])
        if first.name == made.name or (doubted and _source(first) == _source(self.job)):
            return first
        return self._adopted(first)

    async def _beside(self, made: VertexTuningJob, *, doubted: bool) -> list[VertexTuningJob]:
        found = await _pass(self.caller, self.parent, self.label)
        if doubted and all(job.name == made.name for job in found):  # the list may lag behind
            await anyio.sleep(SETTLED)
            found = await _pass(self.caller, self.parent, self.label)
        return found

    async def _keep_oldest(self, jobs: list[VertexTuningJob]) -> VertexTuningJob:
        first = min(jobs, key=_age)
        for job in jobs:
            if job.name != first.name and not (job.state.ended or job.state is _CANCELLING):
                _log.warning("%s was created as well as %s, and is cancelled", job.name, first.name)
                try:
                    await cancel(self.caller, job.name)
                except CallError as error:
                    _log.warning("%s could not be cancelled: %s", job.name, error)
        return first

    def _adopted(self, found: VertexTuningJob) -> VertexTuningJob:
        if self.adopt and _source(found) == _source(self.job):
            self.adopted = True
            return found
        remedies = [Remedy("choose another ", Argument("tuned_model_id"))]
        why = ": it is tuned from another base, so it cannot be adopted" if self.adopt else ""
        if not self.adopt:
            remedies.append(Remedy("take it over with ", Argument("if_exists", "adopt")))
        raise AlreadyExists(
            f"{self.job_id} is taken by {found.name} ({found.state}, created {found.create_time}){why}",
            *remedies,
            status=409,
            reason="ALREADY_EXISTS",
            resource=found.name,
        )

    def _remedies(self) -> tuple[Remedy, ...]:
        again = Argument("tuned_model_id", self.job_id)
        return (
            Remedy("look with ", ClientCall("tuning_jobs.list"), f" for the label {LABEL}={self.label}"),
            Remedy("tune again with ", again, " and ", Argument("if_exists", "adopt")),
        )


async def jobs_with_label(
    caller: Caller, parent: str, label: str, retry: RetryPolicy | None = None
) -> list[VertexTuningJob]:
    """Return the jobs with a label that one search meets, the oldest first; none is no proof that there is none.

    Args:
        caller: Carries out the calls.
        parent: ``projects/P/locations/L``.
        label: The value of the label.
        retry: Another retry policy for each page.
    """
    try:
        # What is found by a filter is certain, what is not found says nothing: which fields it knows is not documented.
        found = await _pass(caller, parent, label, retry, filter=f'labels.{LABEL}="{label}"')
    except BadRequest:
        found = []
    return found or await _pass(caller, parent, label, retry)


async def _pass(
    caller: Caller, parent: str, label: str, retry: RetryPolicy | None = None, *, filter: str | None = None
) -> list[VertexTuningJob]:
    """Return the jobs with a label that one pass through the list meets, the oldest first."""

    async def fetch(token: str | None) -> Page[VertexTuningJob]:
        call = vertex.list_tuning_jobs(parent, page_size=_PAGE, page_token=token, filter=filter, fields=_FIELDS)
        return await caller.call(call, retry=retry)

    found: dict[str, VertexTuningJob] = {}  # one that has moved to a later page is met twice
    async for page in Pages(fetch):
        found |= {job.name: job for job in page if job.labels.get(LABEL) == label}
    return sorted(found.values(), key=_age)


def _age(job: VertexTuningJob) -> tuple[int, str]:
    """Order jobs by their creation: the rule by which everybody picks the same one of several."""
    return job.create_time.nanoseconds if job.create_time is not None else 0, job.name.rpartition("/")[2]


def _source(job: VertexTuningJob) -> str:
    """Return what a job is tuned from; a project's id and number are not told apart."""
    if job.pre_tuned_model is not None:
        model, checkpoint = job.pre_tuned_model.tuned_model_name, job.pre_tuned_model.checkpoint_id
        return f"{model.partition('/locations/')[2]}#{checkpoint}"
    return vertex_names.base_model(job.base_model) if job.base_model else ""


async def _within(timeout: float | None, work: Awaitable[T], resource: str) -> T:
    """Await something for so many seconds.

    Raises:
        DeadlineExceeded: It was not done in time.
    """
    with anyio.move_on_after(timeout):
        return await work
    raise DeadlineExceeded(
        f"tuningJobs.list: the list was not searched in {timeout:g} s", resource=resource, failure=Failure.AMBIGUOUS
    )
