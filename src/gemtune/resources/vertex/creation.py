"""How a tuning job is created exactly once, though the service lets nobody choose a name and knows no idempotency key.

What is ours is a label (``labels``). It is made of the id that a caller chose, or of one made up here, so that all
attempts of a call, and all processes that run the same line with the same id, carry the same label.

1. If the caller chose the id, its label is looked for before anything is sent.
2. After a failure that leaves open whether the service acted, it is looked for again, and only if it is surely not
   there the creation is sent once more.
3. Two jobs can still come to be: a service may act on an attempt that it seemed to have lost, after everybody has
   looked; two processes may start at the same moment. So after a creation that was in doubt, or whose id was chosen,
   the label is looked for once more, and after a doubt again ``SETTLED`` seconds later. Of several jobs the oldest
   stays, and the others are cancelled. Every process decides so by the same rule, so that they agree.

A job cannot be deleted. One that was cancelled within seconds of its creation has cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
import attrs

from gemtune.config import ONCE, RetryPolicy
from gemtune.errors import AlreadyExists, AmbiguousOutcome, CallError
from gemtune.http.caller import Caller
from gemtune.protocol import vertex, vertex_names
from gemtune.protocol.call import Call
from gemtune.protocol.gemini import Page
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.attempts import Attempts, NotWanted, time_left
from gemtune.resources.vertex.cancelling import cancel
from gemtune.resources.vertex.labels import LABEL, LabelSearch, age, keep_oldest
from gemtune.types.vertex import VertexJobState, VertexTuningJob

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
        wanted: Says whether it is still to be created, if that can change; None if it cannot.
        adopted: Whether one was.
    """

    caller: Caller
    parent: str
    job: VertexTuningJob
    job_id: str
    chosen: bool
    adopt: bool
    doubted: bool = False
    wanted: Callable[[], bool] | None = None
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
            NotWanted: It surely does not exist, and is not to be created any more.
            CallError: What else went wrong.
        """
        begun, left, before = anyio.current_time(), timeout, self.doubted
        if self.chosen or self.doubted:
            found = await self._search.certain(timeout, retry)
            if found:
                return self._adopted(await self._keep_oldest(found) if self.adopt else min(found, key=age))
            left = time_left(timeout, begun)
        job = attrs.evolve(self.job, labels={**self.job.labels, LABEL: self.label})
        attempts: Attempts[VertexTuningJob] = Attempts(self.caller, self.find, self._remedies(), self.wanted)
        self.doubted = True  # until an answer is here: whoever waits for it may leave at any moment
        try:
            made = await attempts.run(vertex.create_tuning_job(self.parent, job), left, retry)
        except AmbiguousOutcome:
            raise
        except (CallError, NotWanted):
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
        return min(await self._search.certain(timeout, retry), key=age, default=None)

    @property
    def _search(self) -> LabelSearch[VertexTuningJob]:
        return _search_of(self.caller, self.parent, self.label)

    async def _only(self, made: VertexTuningJob, timeout: float | None, *, doubted: bool) -> VertexTuningJob:
        """Return the oldest job with the label, and cancel every other one.

        Args:
            made: The job that was created.
            timeout: Seconds to look for others.
            doubted: Whether an earlier attempt may have created one as well, so that an older one is taken for its
                deed, rather than for that of somebody else who has chosen the same id.
        """
        others = await self._search.beside(made, timeout, doubted=doubted)
        if others is None:
            return made
        first = await self._keep_oldest([*others, made])
        if first.name == made.name or (doubted and _source(first) == _source(self.job)):
            return first
        return self._adopted(first)

    async def _keep_oldest(self, jobs: list[VertexTuningJob]) -> VertexTuningJob:
        return await keep_oldest(jobs, _is_over, partial(cancel, self.caller))

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
    return await _search_of(caller, parent, label).met(retry)


def _search_of(caller: Caller, parent: str, label: str) -> LabelSearch[VertexTuningJob]:
    def page(token: str | None, filter: str | None) -> Call[Page[VertexTuningJob]]:
        return vertex.list_tuning_jobs(parent, page_size=_PAGE, page_token=token, filter=filter, fields=_FIELDS)

    return LabelSearch(caller, page, label)


def _is_over(job: VertexTuningJob) -> bool:
    return job.state.ended or job.state is _CANCELLING


def _source(job: VertexTuningJob) -> str:
    """Return what a job is tuned from; a project's id and number are not told apart."""
    if job.pre_tuned_model is not None:
        model, checkpoint = job.pre_tuned_model.tuned_model_name, job.pre_tuned_model.checkpoint_id
        return f"{model.partition('/locations/')[2]}#{checkpoint}"
    return vertex_names.base_model(job.base_model) if job.base_model else ""
