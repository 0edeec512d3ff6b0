"""One job, looked at by whoever waits for it: no task, no timer, no connection of its own.

Who waits takes the lock, sleeps until the next look is due and makes it; whoever else waits meanwhile finds the events
that it brought. A wait may be cancelled at any moment: all that is lost is a look, and the next one who waits makes it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import attrs

from gemtune.config import WatchPolicy
from gemtune.errors import CallError, CredentialsError, InvalidInput, NotFound
from gemtune.events import TERMINAL, Event, Lost, LostReason, TerminalEvent
from gemtune.looks.known import KnownJob
from gemtune.looks.reporting import JobObserver, log_events, log_look
from gemtune.looks.service import Ask, JobService, moment
from gemtune.looks.turns import Turns
from gemtune.story.cursor import parse_cursor
from gemtune.story.history import History
from gemtune.story.observation import Observation, Source

_log = logging.getLogger("gemtune.jobs")

# A job's end may need a look for its work, one at its work and one at the job itself.
_LOOKS_AT_ONCE = 4


@attrs.define(eq=False)
class Follower:
    """Makes the looks at one job, and keeps the events that they brought.

    Args:
        service: The service that runs the job.
        policy: How often to look.
        history: What this follower has seen of the job.
        known: What anybody has; it may be ahead.
        turns: Shares out the requests among all followers of a client.
        observer: Is told what the looks have shown, if the client is observed.
    """

    service: JobService
    policy: WatchPolicy
    history: History
    known: KnownJob = attrs.field(default=attrs.Factory(lambda self: KnownJob(self.history), takes_self=True))
    turns: Turns = attrs.field(default=attrs.Factory(lambda self: Turns(self.policy), takes_self=True))
    observer: JobObserver | None = None
    log: list[Event] = attrs.field(factory=list, init=False)
    """Every event of the job so far."""
    looking: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    trouble: CallError | CredentialsError | None = attrs.field(default=None, init=False)
    """How the last look failed, if it did."""
    _due: float | None = attrs.field(default=None, init=False)
    _source: Source = attrs.field(default=Source.JOB, init=False)
    _pause: anyio.CancelScope | None = attrs.field(default=None, init=False)
    """The wait for the next look, if somebody waits."""
    _refreshing: int = attrs.field(default=0, init=False)
    _spectators: int = attrs.field(default=0, init=False)
    """How many displays show it at present."""

    @classmethod
    def attach(
        cls,
        service: JobService,
        policy: WatchPolicy,
        job: str,
        work: str | None = None,
        observer: JobObserver | None = None,
    ) -> Follower:
        """Return a follower of a job of which only the name is known; nothing is asked."""
        return cls(service, policy, History(job, work, seeks=True), observer=observer)

    def among(self, turns: Turns) -> Follower:
        """Have it look when it is its turn among others."""
        self.turns = turns
        return self

    @classmethod
    def created(
        cls, service: JobService, policy: WatchPolicy, seen: Observation, observer: JobObserver | None = None
    ) -> Follower:
        """Return a follower of a job that this client has created, from what the answer shows of it."""
        self = cls(service, policy, History(seen.job or "", seen.work, born=seen.at, seeks=True), observer=observer)
        self.log.append(self.history.added(seen.at))
        if seen.work is not None or seen.source is Source.JOB:
            self._take(seen)
        elif seen.about is not None:
            self.history.about = seen.about
        self.known.saw(self.history)
        return self

    def since(self, cursor: str) -> Follower:
        """Return another follower of the same job, for somebody who has dealt with its events up to a cursor.

        Raises:
            InvalidInput: It is no cursor, or another job's.
        """
        parsed, name = parse_cursor(cursor), self.history.name
        # One job can have two names, where a project has.
        if parsed.job != name and self.service.job_names(parsed.job)[0] != name:
            raise InvalidInput(f"the cursor belongs to {parsed.job}, not to {name}", field="since")
        history = History(name, self.history.work.name, seeks=True, resumed=attrs.evolve(parsed, job=name))
        if parsed.ended:  # nothing comes after the end, and nobody has to be asked for that
            history.end(Lost, moment(), reason=LostReason.DETACHED)
        return Follower(self.service, self.policy, history, self.known, self.turns, self.observer)

    async def outcome(self) -> TerminalEvent:
        """Wait for the job's last event."""
        while not self.history.finished:
            if (end := self.known.end) is not None:
                return end  # somebody else has seen it
            await self.pull()
        # The event itself: what the history keeps of the end is less.
        return next(event for event in reversed(self.log) if isinstance(event, TERMINAL))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look more often for as long as somebody sits before a display of the job, from now on."""
        self._spectators += 1
        try:
            if self._due is not None and not self.history.failed.count:  # after a failure the service says how soon
                planned = self._due
                self._schedule()
                self._due = min(planned, self._due)
            if self._pause is not None:
                self._pause.cancel()  # whoever waits for a look that is far away waits anew
            yield
        finally:
            self._spectators -= 1

    async def pull(self) -> None:
        """Make the next look once it is due, unless a refresh comes first; of several who wait, one looks and all see.

        Raises:
            CredentialsError: There is no credential, or the service refuses it.
        """
        seen = len(self.log)
        async with self.looking:
            if len(self.log) > seen or self.history.finished or self._refreshing:
                return
            if not self.log:
                self.log.append(self.history.added(moment()))
                return
            self.turns.waiting += 1
            try:
                if self._due is None:
                    self._schedule()
                with anyio.CancelScope() as pause:
                    self._pause = pause
                    await anyio.sleep(max(0.0, (self._due or 0.0) - anyio.current_time()))
                    await self.turns.wait()
                if pause.cancelled_caught:
                    return
                error = await self._look()
            finally:
                self._pause = None
                self.turns.waiting -= 1
        if isinstance(error, CredentialsError):
            # Waiting will not heal it, and nobody but the caller can help.
            raise error

    async def refresh(self) -> None:
        """Look now, as often as it takes until nothing is left to ask at once.

        Raises:
            CallError: A look failed.
        """
        # Whoever waits for the next look holds ``looking`` for as long: they stop, and wait anew after these looks.
        self._refreshing += 1
        if self._pause is not None:
            self._pause.cancel()
        try:
            async with self.looking:
                await self._look_at_all()
        finally:
            self._refreshing -= 1

    async def _look_at_all(self) -> None:
        if not self.log:
            self.log.append(self.history.added(moment()))
        if self._due is None:
            self._schedule()
        looked_at: set[Source] = set()
        for _ in range(_LOOKS_AT_ONCE):
            source = self._source
            looked_at.add(source)
            error = await self._look()
            # The work may have expired: then the job itself is to be looked at.
            if error is not None and not (isinstance(error, NotFound) and source is Source.WORK):
                raise error
            if self.history.finished:
                return
            if (self._due or 0.0) > anyio.current_time():
                other = self.history.work.other(looked_at)
                if other is None:
                    return
                self._source = other

    async def cancel(self) -> None:
        """Ask the service to cancel the job."""
        # Not under ``looking``: whoever waits for the next look holds that for as long.
        await self.service.cancel(self.history.name, self.history.work.name)

    async def _look(self) -> CallError | CredentialsError | None:
        self.trouble, source = None, self._source
        try:
            self._take(await self.service.look(self.history.name, self.history.work.name, source, Ask()))
        except (CallError, CredentialsError) as error:
            self._report(source, self.history.fault(error, source, moment()), error)
            self._schedule()
            self.trouble = error
        return self.trouble

    def _take(self, seen: Observation) -> None:
        self._report(seen.source, self.history.observe(seen))
        self._schedule()

    def _report(self, source: Source, reported: list[Event], error: CallError | CredentialsError | None = None) -> None:
        """Take in what is new, and tell those who want to know."""
        self.log += reported
        log_look(_log, self.history, source, reported, error)
        log_events(_log, self.known.unknown(self.history, reported))
        self.known.saw(self.history)
        if self.observer is not None:
            self.observer.saw(self.history, reported)

    def _schedule(self) -> None:
        now = moment()
        policy = self.policy.while_somebody_watches(max(self.turns.waiting, 1)) if self._spectators else self.policy
        look = self.history.next_look(now, policy, random.random(), self.turns.share)  # noqa: S311 - jitter
        if look is not None:
            self._due, self._source = now.clock + look.after, look.source
