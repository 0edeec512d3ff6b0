"""What every handle has, whichever kind of job it is of: what is known of the job, and ways to wait for it.

A handle owns no task and no connection. Whoever waits for it, with ``await job`` or ``async for event in
job.events()``, makes the looks at the service while waiting (``looks/follower.py``); several who wait at once share
them. Leaving a wait, in whatever way, never touches the job on the service.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs

from gemtune import events
from gemtune.errors import DeadlineExceeded, Failure
from gemtune.events import Event, TerminalEvent
from gemtune.looks.follower import Follower
from gemtune.looks.pictured import elapsed, picture_of
from gemtune.notebook.handles import ShownJobs
from gemtune.notebook.live import EVERY, said_if_left, show_live
from gemtune.protocol.said import unended
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.operations import checked_wait
from gemtune.show.picture import JobPicture
from gemtune.story.history import History, eta
from gemtune.story.observation import Moment
from gemtune.types import Status

_LEFT: Final = "left; the job continues: await job"

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")


@attrs.frozen(kw_only=True)
class JobStatistics:
    """What following a job has cost so far.

    Args:
        looks: Looks at the service, failed ones included.
        events: Events seen so far.
        snapshots: Snapshots kept.
        ignored: Snapshots that came again or came from an older run, and were left out.
    """

    looks: int
    events: int
    snapshots: int
    ignored: int


@attrs.frozen(eq=False, repr=False)
class SeenJob(ShownJobs):
    """How a job is as of the last look, whichever handle or watcher of the client made it; nothing waits."""

    _follower: Follower

    @property
    def name(self) -> str:
        """The job's name: the tuned model's, or the batch's."""
        return self._follower.history.name

    @property
    def begun(self) -> Moment | None:
        """When this client created the job, or None if it did not; for a moment after that, reads may lag behind."""
        return self._follower.history.born

    @property
    def display_name(self) -> str | None:
        """What people call it; None while unknown, or if it has no such name."""
        return self._follower.known.about.display_name

    @property
    def service_state(self) -> str | None:
        """The service's own word for the state, such as ``JOB_STATE_PENDING``; None if it has none but ``state``."""
        return self._follower.known.standing.service_state

    @property
    def reason(self) -> str | None:
        """What the job waits for or does in its state, such as waiting for quota; None if the service does not say."""
        return self._follower.known.standing.reason

    @property
    def done(self) -> bool:
        """Whether the job is known to have ended, or cannot be seen any more."""
        return self._follower.history.finished or self._seen.finished

    @property
    def error(self) -> Status | None:
        """Why the job failed; None if it did not, or as long as that is unknown."""
        outcome = self._seen.outcome
        return outcome.error if isinstance(outcome, events.Failed) else None

    @property
    def elapsed(self) -> float | None:
        """Seconds since the job was created, or from then to its end; None while unknown."""
        return elapsed(self._follower.known, self._follower.history, datetime.now(UTC))

    @property
    def eta(self) -> float | None:
        """Seconds from the last look to the end of its steps or requests, by their pace so far; None while unknown."""
        return eta(self._seen)

    def picture(self) -> JobPicture:
        """Return what a person sees of the job now: what terminal, notebook and dashboard draw. Nothing is asked."""
        follower = self._follower
        trouble = str(follower.trouble) if follower.trouble is not None else ""
        return picture_of(follower.known, follower.history, datetime.now(UTC), trouble=trouble)

    @property
    def _seen(self) -> History:
        return self._follower.known.history

    def _pictures(self) -> tuple[JobPicture]:
        return (self.picture(),)


@attrs.frozen(eq=False, repr=False)
class JobHandle(SeenJob, Generic[StateT, ResultT]):
    """A handle on one job: await it, iterate over its events, cancel it."""

    @property
    @abstractmethod
    def state(self) -> StateT:
        """The state."""

    def statistics(self) -> JobStatistics:
        """Return what following the job has cost so far."""
        history = self._follower.history
        return JobStatistics(
            looks=history.rhythm.looks,
            events=len(self._follower.log),
            snapshots=len(history.log.rows(0, len(history.log))),
            ignored=history.log.ignored,
        )

    def events(self, *, since: str | None = None) -> JobEvents:
        """Return an iterator over the job's events from its beginning, which ends with the job.

        Args:
            since: The ``cursor`` of the last event that you have dealt with, perhaps in another process. Snapshots and
                terminal events before it are not repeated; other events (Added, StateChanged, Restarted, Progress and
                trouble) may be. A snapshot that may have been delivered before is marked ``replayed``.

        Raises:
            InvalidInput: ``since`` is no cursor, or that of another job.
        """
        return JobEvents(self._follower if since is None else self._follower.since(since))

    def __await__(self) -> Generator[Any, Any, ResultT]:
        """Wait for the end and return what the job has made: the tuned model, or the batch."""
        return self._result().__await__()  # a coroutine of its own each time, so that a handle can be awaited again

    async def wait(self, *, timeout: float | None = None) -> ResultT:
        """Wait for the end and return what the job has made: the tuned model, or the batch.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            JobError: It failed, was cancelled, or cannot be seen any more; the subclass says which, such as
                TuningFailed or BatchJobExpired, and the message has the service's reason.
            DeadlineExceeded: The job has not ended within ``timeout`` seconds; it is not touched.
            CredentialsError: There is no credential, or the service refuses it.
        """
        # Time that runs out here cancels this wait alone; others who wait for the job make its looks from then on.
        with anyio.move_on_after(checked_wait(timeout)):
            return await self._result()
        trouble = self._follower.trouble
        seen = f"; the last look failed: {unended(str(trouble))}" if trouble is not None else ""
        raise DeadlineExceeded(
            f"{self.name} is not done after {timeout:g} s ({self.state}){seen}; only the waiting has ended",
            Remedy("continue with ", ClientCall("job", self.name)),
            resource=self.name,
            failure=Failure.FATAL,
        )

    async def show(self, *, every: float = EVERY) -> ResultT:
        """Show the job live in the cell of a notebook until it ends, or as lines of text elsewhere; return its result.

        The last picture stays, including the reason if the job failed. An interrupt leaves it as well, and the job
        continues. While somebody watches, the job is looked at every 2 to 3 s.

        Args:
            every: Seconds between two pictures, at least 0.2. Times move with each; losses and counts with the looks.

        Raises:
            JobError: As ``await job``. A notebook shows the error in one line, because the picture says the rest.
            CredentialsError: There is no credential, or the service refuses it.

        Example:
            >>> model = await job.show()
        """
        return await show_live(self._view, self._shown_result, left=lambda: _LEFT, every=every)

    async def refresh(self) -> StateT:
        """Look at the service now and return the state.

        Raises:
            CallError: The look failed.
        """
        await self._follower.refresh()
        return self.state

    async def cancel(self) -> None:
        """Ask the service to cancel the job; best effort, and it never deletes anything.

        Raises:
            NotSupported: The service does not cancel this job; the message names ``delete``.
            CallError: The service could not be asked.
        """
        await self._follower.cancel()

    @abstractmethod
    def _result_of(self, outcome: TerminalEvent) -> ResultT:
        """Return what a job that has ended has made, or raise why there is nothing."""

    async def _shown_result(self) -> ResultT:
        with self._follower.watched():
            return await self._result()

    async def _result(self) -> ResultT:
        with said_if_left(lambda: _LEFT):
            outcome = await self._follower.outcome()
        return self._result_of(outcome)


@attrs.define(eq=False)
class JobEvents:
    """The events of one job: a plain async iterator, which you may leave and continue at any time."""

    _follower: Follower
    _next: int = attrs.field(default=0, init=False)

    def __aiter__(self) -> JobEvents:
        return self

    async def __anext__(self) -> Event:
        """Return the next event, looking at the service when a look is due.

        Raises:
            CredentialsError: There is no credential, or the service refuses it; iterate again once that is mended.
        """
        # The log is shared, the position is not: every iterator reads all events, and none makes a look for one that
        # another has caused already.
        log = self._follower.log
        while self._next >= len(log):
            if self._follower.history.finished:
                raise StopAsyncIteration
            await self._follower.pull()
        event = log[self._next]
        self._next += 1
        return event
