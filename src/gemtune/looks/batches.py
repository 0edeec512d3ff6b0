"""Batches as jobs: a look is the batch itself, which says everything. It has no work beside it, and no snapshots.

===============================================  ==========  ===================================================
the batch's state                                ours        why
===============================================  ==========  ===================================================
QUEUED PENDING RUNNING PAUSED UPDATING           CREATING    the service's own word is kept
CANCELLING, and any that this version not knows  CREATING    it may still end in another way
SUCCEEDED PARTIALLY_SUCCEEDED                    ACTIVE      there are results; single requests may have failed
FAILED EXPIRED                                   FAILED      an expired one may have results all the same
CANCELLED                                        CANCELLED   and so may a cancelled one
===============================================  ==========  ===================================================
"""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.events import JobState
from gemtune.looks.service import Ask, moment
from gemtune.pager import Pages
from gemtune.protocol.gemini import Page
from gemtune.resources.batches.service import BatchService
from gemtune.story.observation import About, Listed, Moment, Observation, Source, nanoseconds
from gemtune.types.batches import BatchState, GenerateContentBatch
from gemtune.types.operations import Status

_DEADLINE_EXCEEDED: Final = 4
_ENDS: Final = {
    BatchState.SUCCEEDED: JobState.ACTIVE,
    BatchState.PARTIALLY_SUCCEEDED: JobState.ACTIVE,
    BatchState.FAILED: JobState.FAILED,
    BatchState.EXPIRED: JobState.FAILED,
    BatchState.CANCELLED: JobState.CANCELLED,
}


@attrs.frozen(eq=False)
class BatchLooks:
    """Batches of one service, as whoever follows jobs sees them.

    Args:
        batches: The service.
    """

    batches: BatchService

    def job_names(self, given: object) -> tuple[str, str | None]:
        """Return the name of a batch."""
        return self.batches.batch_name(given), None

    async def look(self, job: str, work: str | None, source: Source, ask: Ask) -> Observation:  # noqa: ARG002 - there is no work
        """Look at the batch, whatever is to be looked at."""
        ask.requests["batches.get"] += 1
        batch = await self.batches.get(job, timeout=ask.timeout, retry=ask.retry)
        return observe_batch(batch, moment())

    def list_jobs(self, filter: str | None, ask: Ask, *, light: bool) -> Pages[Listed]:  # noqa: ARG002 - of the interface
        """Return the pages of the list of batches, which is light in any case and takes no filter."""
        pages = self.batches.list(page_size=ask.page_size, timeout=ask.timeout, retry=ask.retry)

        async def fetch(_: str | None) -> Page[Listed]:  # the pages below know their own tokens
            ask.requests["batches.list"] += 1
            page = await anext(pages)
            return Page(tuple(_listed(batch) for batch in page), page.next_page_token)

        return Pages(fetch)

    async def cancel(self, job: str, work: str | None) -> None:  # noqa: ARG002 - of the interface
        """Cancel the batch; one that has ended is left as it is."""
        await self.batches.cancel(job)


def state_of(batch: GenerateContentBatch) -> JobState | None:
    """Return a batch's state in the words of all jobs; None if the reply does not say."""
    if batch.state == BatchState.UNSPECIFIED:
        return None
    return _ENDS.get(batch.state, JobState.CREATING)


def observe_batch(batch: GenerateContentBatch, now: Moment) -> Observation:
    """Return what a batch says of itself. Its replies are left out: whoever follows a job does not want them."""
    state, counts = state_of(batch), batch.counts
    return Observation(
        source=Source.JOB,
        at=now,
        state=state,
        job=batch.name,
        sought=True,  # there is no work, and nobody needs to look for it
        created=nanoseconds(batch.create_time),
        snapshots=(),
        completed_steps=counts.finished or None,
        total_steps=counts.total or None,
        done=batch.done,
        error=_error(batch),
        about=about(batch),
        service_state=batch.service_state or (str(batch.state) if state is not None else None),
        counts=counts,
        batch=attrs.evolve(batch, replies=()) if batch.replies else batch,
    )


def about(batch: GenerateContentBatch) -> About:
    """Return what a batch is."""
    return About(
        display_name=batch.display_name or None,
        base_model=batch.model or None,
        completed=nanoseconds(batch.end_time),
    )


def _listed(batch: GenerateContentBatch) -> Listed:
    return Listed(
        batch.name,
        state_of(batch),
        nanoseconds(batch.create_time),
        service_state=batch.service_state or None,
        about=about(batch),
    )


def _error(batch: GenerateContentBatch) -> Status | None:
    """Return why a batch has ended without success; in our words if the service has none."""
    if _ENDS.get(batch.state) is not JobState.FAILED:
        return None
    if batch.error is None and batch.state == BatchState.EXPIRED:
        return Status(code=_DEADLINE_EXCEEDED, message="the batch expired before all of its requests were answered")
    return batch.error
