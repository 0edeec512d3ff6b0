"""TuningJob: a handle on a job that runs on the service.

It owns no task and no connection. Whoever waits for it, with ``await job`` or ``async for event in job.events()``,
makes the looks at the service while waiting; several who wait at once share them. Leaving a wait, in whatever way,
never touches the remote job.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import anyio
import attrs

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import (
    CallError,
    CredentialsError,
    DeadlineExceeded,
    Failure,
    InvalidInput,
    NotFound,
    TuningCancelled,
    TuningError,
    TuningFailed,
    TuningLost,
)
from gemtune.events import Event, JobState
from gemtune.looks.service import Ask, TuningService, moment
from gemtune.protocol.status import clean, unended
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.operations import checked_wait
from gemtune.story.history import History
from gemtune.story.observation import Moment, Observation, Source
from gemtune.story.snapshots import Snapshots
from gemtune.types import TunedModel

# A job's end may need a look for its work, one at its work and one at the job itself.
_LOOKS_AT_ONCE = 4


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


@attrs.define(eq=False, repr=False)
class TuningJob:
    """A handle on one tuning job: await it, iterate over its events, cancel it.

    ``await job`` gives the TunedModel, or raises TuningFailed, TuningCancelled or TuningLost. A job of another process
    is followed by ``client.job(name)``.

    Args:
        name: The tuned model's name, which is the job's.
    """

    _service: TuningService
    _policy: WatchPolicy
    name: str
    _history: History
    _log: list[Event] = attrs.field(factory=list, init=False)
    _looking: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    _due: float | None = attrs.field(default=None, init=False)
    _source: Source | None = attrs.field(default=None, init=False)
    _trouble: CallError | CredentialsError | None = attrs.field(default=None, init=False)

    @classmethod
    def attach(
        cls,
        service: TuningService,
        policy: WatchPolicy,
        name: str,
        *,
        work: str | None = None,
        cursor: str | None = None,
    ) -> TuningJob:
        """Return a handle without asking the service."""
        history = History(name, work, seeks=True) if cursor is None else History.from_cursor(cursor, work, seeks=True)
        if history.name != name:
            raise InvalidInput(f"the cursor belongs to {history.name}, not to {name}", field="since")
        return cls(service, policy, name, history)

    @classmethod
    def created(cls, service: TuningService, policy: WatchPolicy, seen: Observation) -> TuningJob:
        """Return a handle on a job that this client has created, from what the answer shows of it."""
        history = History(seen.job or "", seen.work, born=seen.at, seeks=True)
        self = cls(service, policy, history.name, history)
        self._log.append(history.added(seen.at))
        if seen.work is not None:
            self._take(seen)
        return self

    def __repr__(self) -> str:
        """Return name, state and progress, without asking the service."""
        progress = self.progress
        total = "?" if progress.total_steps is None else progress.total_steps
        newest = self.snapshots[-1] if self.snapshots else None
        loss = f" loss={newest.mean_loss:.4g}" if newest is not None else ""
        return f"<TuningJob {self.name} {self.state} {progress.completed_steps}/{total} steps{loss}>"

    @property
    def operation(self) -> str | None:
        """The operation's name, where it is known; a look at a job of another process finds it."""
        return self._history.work.name

    @property
    def begun(self) -> Moment | None:
        """When this client created the job, if it did: reads may lag behind that."""
        return self._history.born

    @property
    def state(self) -> JobState:
        """The state as of the last look."""
        return self._history.state

    @property
    def progress(self) -> TuningProgress:
        """The progress as of the last look."""
        headway = self._history.headway
        return TuningProgress(headway.completed_steps, headway.total_steps, headway.percent)

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots seen so far, a sequence that grows."""
        return self._history.snapshots

    @property
    def done(self) -> bool:
        """Whether the job is known to have ended, or to be out of sight."""
        return self._history.finished

    def statistics(self) -> JobStatistics:
        """Return what following the job has cost so far."""
        log = self._history.log
        return JobStatistics(
            looks=self._history.rhythm.looks, events=len(self._log), snapshots=len(log), ignored=log.ignored
        )

    def events(self, *, since: str | None = None) -> JobEvents:
        """Return an iterator over the job's events from its beginning, which ends with the job.

        Args:
            since: The ``cursor`` of an event dealt with earlier, perhaps by another process: no snapshot and no end
                is told again that came before it. It is no finer than that: Added, StateChanged, Restarted, Progress
                and trouble may be told again. A snapshot that may have been told already is marked ``replayed``.
        """
        if since is None:
            return JobEvents(self)
        return JobEvents(
            TuningJob.attach(self._service, self._policy, self.name, work=self._history.work.name, cursor=since)
        )

    def __await__(self) -> Generator[Any, Any, TunedModel]:
        """Wait for the end and return the tuned model."""
        return self._result().__await__()

    async def wait(self, *, timeout: float | None = None) -> TunedModel:
        """Wait for the end and return the tuned model.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TuningFailed: With the server's reason.
            TuningCancelled: The operation was cancelled.
            TuningLost: The job cannot be seen any more.
            DeadlineExceeded: The job goes on after ``timeout`` seconds; it is not touched.
            CredentialsError: The service refuses the credential.
        """
        with anyio.move_on_after(checked_wait(timeout)):
            return await self._result()
        trouble = self._trouble
        seen = f"; the last look failed: {unended(str(trouble))}" if trouble is not None else ""
        raise DeadlineExceeded(
            f"{self.name} is not done after {timeout:g} s ({self.state}){seen}; only the waiting has ended",
            Remedy("continue with ", ClientCall("job", self.name)),
            resource=self.name,
            failure=Failure.FATAL,
        )

    async def refresh(self) -> JobState:
        """Look at the service now and return the state.

        Raises:
            CallError: The look failed.
        """
        async with self._looking:
            for _ in range(_LOOKS_AT_ONCE):
                if self._source is None:
                    self._schedule()
                source = self._source or Source.JOB
                error = await self._look(source)
                # The work may have expired: then the job itself is to be looked at.
                gone = isinstance(error, NotFound) and source is Source.WORK
                if error is not None and not gone:
                    raise error
                if self.done or (self._due or 0.0) > anyio.current_time():
                    break
        return self.state

    async def cancel(self) -> None:
        """Ask the service to cancel the job; best effort, and it never deletes anything.

        Raises:
            NotSupported: The service does not cancel this job; the message names ``delete``.
            CallError: The service could not be asked.
        """
        async with self._looking:
            await self._service.cancel(self.name, self._history.work.name)

    async def _result(self) -> TunedModel:
        while self._history.outcome is None:
            await self._pull()
        outcome = next(event for event in reversed(self._log) if isinstance(event, events.TERMINAL))
        if isinstance(outcome, events.Succeeded):
            return outcome.model
        raise failure(self.name, outcome)

    async def _pull(self) -> None:
        """Make the next look once it is due; of several who wait, one looks and all see."""
        seen = len(self._log)
        async with self._looking:
            if len(self._log) > seen or self._history.finished:
                return
            if not self._log:
                self._log.append(self._history.added(moment()))
                return
            if self._due is None:
                self._schedule()
            await anyio.sleep(max(0.0, (self._due or 0.0) - anyio.current_time()))
            error = await self._look(self._source or Source.JOB)
        if isinstance(error, CredentialsError):
            # It will not heal by waiting, and nobody but the caller can help.
            raise error

    async def _look(self, source: Source) -> CallError | CredentialsError | None:
        self._trouble = None
        try:
            self._take(await self._service.look(self.name, self._history.work.name, source, Ask()))
        except (CallError, CredentialsError) as error:
            self._log += self._history.fault(error, source, moment())
            self._schedule()
            self._trouble = error
        return self._trouble

    def _take(self, seen: Observation) -> None:
        self._log += self._history.observe(seen)
        self._schedule()

    def _schedule(self) -> None:
        now = moment()
        look = self._history.next_look(now, self._policy, random.random())  # noqa: S311 - jitter
        if look is not None:
            self._due, self._source = now.clock + look.after, look.source


@attrs.define(eq=False)
class JobEvents:
    """The events of one job: a plain async iterator, which may be left and taken up again at any time."""

    job: TuningJob
    _next: int = attrs.field(default=0, init=False)

    def __aiter__(self) -> JobEvents:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event, looking at the service when it is time to.

        Raises:
            CredentialsError: The service refuses the credential; iterating may go on once it is mended.
        """
        log = self.job._log
        while self._next >= len(log):
            if self.job.done:
                raise StopAsyncIteration
            await self.job._pull()
        event = log[self._next]
        self._next += 1
        return event


def failure(name: str, outcome: events.TerminalEvent) -> TuningError:
    """Return what awaiting a job raises for an end that is no success."""
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
                f"{name} cannot be seen any more ({why}){said}; the job itself may go on", job=name, reason=str(why)
            )
    raise AssertionError(outcome)
