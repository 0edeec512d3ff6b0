"""TuningJob: a handle on a job that runs on the service.

It owns no task and no connection. Whoever waits for it, with ``await job`` or ``async for event in job.events()``,
makes the looks at the service while waiting (``looks/follower.py``); several who wait at once share them. Leaving a
wait, in whatever way, never touches the job on the service.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, assert_never

import anyio
import attrs

from gemtune import events
from gemtune.datasets.report import DataReport
from gemtune.errors import DeadlineExceeded, Failure, TuningCancelled, TuningError, TuningFailed, TuningLost
from gemtune.events import Event, JobState
from gemtune.looks.follower import Follower
from gemtune.looks.pictured import elapsed, picture_of
from gemtune.notebook.handles import PicturedJobs
from gemtune.notebook.live import EVERY, said_if_left, show_live
from gemtune.protocol.said import clean, unended
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.operations import checked_wait
from gemtune.show.picture import JobPicture
from gemtune.story.history import History, eta
from gemtune.story.observation import Moment
from gemtune.story.snapshots import Snapshots
from gemtune.types import Checkpoint, DataStats, Hyperparameters, Status, TunedModel

_LEFT: Final = "left; the job continues: await job"

Unsuccessful: TypeAlias = events.Failed | events.Cancelled | events.Deleted | events.Lost
"""The ends of a job that leave no model."""


@attrs.frozen
class TuningProgress:
    """How far a job is.

    Args:
        completed_steps: Steps done.
        total_steps: Steps in all; None while unknown.
        percent: 0 to 100; None while unknown.
    """

    completed_steps: int
    total_steps: int | None
    percent: float | None


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
class DescribedJob:
    """What a job is, as far as any look has said so; nothing waits."""

    _follower: Follower

    @property
    def name(self) -> str:
        """The job's name, which is the tuned model's."""
        return self._follower.history.name

    @property
    def operation(self) -> str | None:
        """The operation's name, if it is known; a look at a job of another process finds it."""
        works = (self._seen.work, self._follower.history.work)
        return next((work.name for work in works if work.name is not None and not work.apart), None)

    @property
    def begun(self) -> Moment | None:
        """When this client created the job, or None if it did not; for a moment after that, reads may lag behind."""
        return self._follower.history.born

    @property
    def display_name(self) -> str | None:
        """What people call the model; None while unknown, or if it has no such name."""
        return self._follower.known.about.display_name

    @property
    def base_model(self) -> str | None:
        """The model that is tuned; None while unknown."""
        return self._follower.known.about.base_model

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """What controls the training; None while unknown. What was left out is filled in once the service has said."""
        return self._follower.known.about.hyperparameters

    @property
    def data_stats(self) -> DataStats | None:
        """What the service has made of the data; None as long as it has not said, and on the Gemini API."""
        return self._follower.known.standing.data_stats

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints so far, by step; empty on the Gemini API. Those with an endpoint can be asked."""
        return self._follower.known.standing.checkpoints

    @property
    def endpoint(self) -> str | None:
        """The endpoint that serves the model; None as long as there is none, and on the Gemini API."""
        return self._follower.known.standing.endpoint

    @property
    def _seen(self) -> History:
        return self._follower.known.history


@attrs.frozen(eq=False, repr=False)
class KnownFacts(DescribedJob, PicturedJobs):
    """How a job is as of the last look, whichever handle or watcher of the client made it; nothing waits."""

    def __repr__(self) -> str:
        progress = self.progress
        total = "?" if progress.total_steps is None else progress.total_steps
        newest = self.snapshots[-1] if self.snapshots else None
        loss = f" loss={newest.mean_loss:.4g}" if newest is not None else ""
        return f"<TuningJob {self.name} {self.state} {progress.completed_steps}/{total} steps{loss}>"

    @property
    def state(self) -> JobState:
        """The state."""
        return self._follower.known.state

    @property
    def service_state(self) -> str | None:
        """The service's own word for the state, such as ``JOB_STATE_PENDING``; None if it has none but ``state``."""
        return self._follower.known.standing.service_state

    @property
    def reason(self) -> str | None:
        """What the job waits for or does in its state, such as waiting for quota; None if the service does not say."""
        return self._follower.known.standing.reason

    @property
    def progress(self) -> TuningProgress:
        """The progress."""
        headway = self._seen.headway
        return TuningProgress(headway.completed_steps, headway.total_steps, headway.percent)

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots seen so far, a sequence that grows."""
        return Snapshots(self._follower.known)

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
        """Seconds from the last look to the last step, by the pace of the latest ones; None while unknown."""
        return eta(self._seen)

    def picture(self) -> JobPicture:
        """Return what a person sees of the job now: what terminal, notebook and dashboard draw. Nothing is asked."""
        follower = self._follower
        trouble = str(follower.trouble) if follower.trouble is not None else ""
        return picture_of(follower.known, follower.history, datetime.now(UTC), trouble=trouble)

    def _pictures(self) -> tuple[JobPicture]:
        return (self.picture(),)

    def _rows(self) -> Iterator[Mapping[str, object]]:
        return (snapshot.to_dict() for snapshot in self.snapshots)


@attrs.frozen(eq=False, repr=False)
class TuningJob(KnownFacts):
    """A handle on one tuning job: await it, iterate over its events, cancel it.

    ``await job`` returns the TunedModel, or raises TuningFailed, TuningCancelled or TuningLost. ``client.job(name)``
    returns a handle on a job that another process created. What a handle says of its job, it says as of the last look,
    whichever handle or watcher of the client made that.

    Args:
        data: What ``client.tune`` read of the training data; None for a handle that another call returned.
        adopted: Whether ``client.tune`` took over a job that existed already, and created none.
    """

    data: DataReport | None = None
    adopted: bool = False

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

    def __await__(self) -> Generator[Any, Any, TunedModel]:
        """Wait for the end and return the tuned model."""
        return self._result().__await__()  # a coroutine of its own each time, so that a handle can be awaited again

    async def wait(self, *, timeout: float | None = None) -> TunedModel:
        """Wait for the end and return the tuned model.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TuningFailed: The job failed; the message has the service's reason.
            TuningCancelled: The job was cancelled.
            TuningLost: The job cannot be seen any more.
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

    async def show(self, *, every: float = EVERY) -> TunedModel:
        """Show the job live in the cell of a notebook until it ends, or as lines of text elsewhere; return the model.

        The last picture stays, including the reason if the job failed. An interrupt leaves it as well, and the job
        continues. While somebody watches, the job is looked at every 2 to 3 s.

        Args:
            every: Seconds between two pictures, at least 0.2. Times move with each; losses with the looks.

        Raises:
            TuningError: As ``await job``. A notebook shows the error in one line, because the picture says the rest.
            CredentialsError: There is no credential, or the service refuses it.

        Example:
            >>> model = await job.show()
        """
        return await show_live(self._view, self._shown_result, left=lambda: _LEFT, every=every)

    async def refresh(self) -> JobState:
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

    async def _shown_result(self) -> TunedModel:
        with self._follower.watched():
            return await self._result()

    async def _result(self) -> TunedModel:
        with said_if_left(lambda: _LEFT):
            outcome = await self._follower.outcome()
        if isinstance(outcome, events.Succeeded):
            return outcome.model
        raise failure(self.name, outcome)


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


def failure(name: str, outcome: Unsuccessful) -> TuningError:
    """Return what awaiting a job raises if it ended without a model."""
    match outcome:
        case events.Failed(error=error):
            reason = clean(error.message) if error is not None and error.message else None
            code = error.code if error is not None else None
            said = f": {reason}" if reason else "; the service gave no reason"
            return TuningFailed(f"tuning {name} failed{said}", job=name, reason=reason, code=code)
        case events.Cancelled():
            return TuningCancelled(f"tuning {name} was cancelled", job=name, code=1)
        case events.Deleted():
            return TuningLost(f"{name} was deleted before it was done", job=name, reason="deleted")
        case events.Lost(reason=why, message=message):
            said = f": {unended(clean(message))}" if message else ""
            return TuningLost(
                f"{name} cannot be seen any more ({why}){said}; this says nothing about the job itself",
                job=name,
                reason=str(why),
            )
    assert_never(outcome)
