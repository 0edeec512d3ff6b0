"""JobService and TuningService: what a service must be able to do for handles, watchers and batches.

Everything that all jobs have in common (state, snapshots, end, cursor, schedule) knows none of this, and everything in
here knows nothing of that. A second service is a second file in this folder, and so is a second kind of job.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Literal, Protocol

import anyio
import attrs

from gemtune.config import ONCE, RetryPolicy
from gemtune.datasets.report import DataReport
from gemtune.pager import Pages
from gemtune.resources.drafts import TuningDraft
from gemtune.resources.inference import InferenceService
from gemtune.story.observation import Listed, Moment, Observation, Source


def moment() -> Moment:
    """Return now, by both clocks."""
    return Moment(anyio.current_time(), datetime.now(UTC))


@attrs.frozen(kw_only=True)
class Ask:
    """How looks ask.

    Args:
        timeout: Seconds for each request; None for the client's own.
        retry: How often each request is made; None for the client's own policy.
        page_size: Jobs on a page of a list; None for as many as the service gives.
        requests: The requests made so far, by method; a look counts each of its requests before it sends it.
    """

    timeout: float | None = None
    retry: RetryPolicy | None = ONCE  # the schedule is the retry of looks
    page_size: int | None = None
    requests: Counter[str] = attrs.field(factory=Counter)


@attrs.frozen
class Started:
    """A job that was created or adopted just now.

    Args:
        seen: What the reply shows of it.
        data: What was read of the training data; None if it was not read here.
        adopted: Whether it existed before under the caller's own id.
    """

    seen: Observation
    data: DataReport | None = None
    adopted: bool = False


class JobService(Protocol):
    """Jobs of one service, as everything that follows them sees it."""

    def job_names(self, given: object) -> tuple[str, str | None]:
        """Return the name of a job, and the name of its work if that is what was given.

        Args:
            given: A name, or an object that has one: a handle, a model, an operation.

        Raises:
            InvalidInput: It names no job of this service.
        """
        ...

    async def look(self, job: str, work: str | None, source: Source, ask: Ask) -> Observation:
        """Look at a job.

        Args:
            job: The job's name.
            work: The name of its work as an earlier look found it.
            source: The job itself, or its work. Without a name for the work, this look finds one, or finds out that
                there is none; it may do so instead of looking.
            ask: How to ask.

        Raises:
            CallError: The look failed.
            CredentialsError: There is no credential, or the service refuses it.
        """
        ...

    def list_jobs(self, filter: str | None, ask: Ask, *, light: bool) -> Pages[Listed]:
        """Return the pages of the list of jobs; nothing is asked before the first one is wanted.

        Args:
            filter: Which jobs, in the service's own words; None for all.
            ask: How to ask for each page.
            light: Whether to leave out of the replies what a list need not show. A service that does not know how
                answers BadRequest or NotFound, and is then asked without.
        """
        ...

    async def cancel(self, job: str, work: str | None) -> None:
        """Ask the service to cancel a job; nothing is ever deleted.

        Raises:
            NotSupported: The service does not cancel this job; the message says what to do instead.
            CallError: The service could not be asked.
        """
        ...


class TuningService(JobService, InferenceService, Protocol):
    """A service that tunes models; it also says how its models are asked."""

    async def create(
        self,
        draft: TuningDraft,
        job_id: str | None,
        if_exists: Literal["error", "adopt"],
        *,
        timeout: float | None,
        retry: RetryPolicy | None,
    ) -> Started:
        """Read and check what a draft holds, and create its job exactly once, or adopt the one that exists.

        Args:
            draft: What to create, as it was given.
            job_id: The caller's own id; None makes one up.
            if_exists: What to do if the id is taken.
            timeout: Seconds for all of it.
            retry: Another retry policy.

        Returns:
            What the reply shows of the job: its name always, the name of its work if it was created just now.

        Raises:
            InvalidInput: An argument or a row of the data is wrong, or the service has nothing like it; nothing was
                sent.
            AmbiguousOutcome: It could not be found out whether the job was created.
            CallError: It was not created.
        """
        ...
