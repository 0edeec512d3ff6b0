"""One job's history: what each look at it means, told as events.

Pure and synchronous: a look or a failed look goes in, events come out, and ``next_look`` says where to look
next and when. Looks may be repeated, stale and out of order; they only ever move a job forward.

A job's end is told last and once, when two questions are answered. Are these all the snapshots? A full look
at the model in its final state, or an operation that is done with every step delivered, says yes. Why did
it fail? Only the operation knows. Where the answers stay away (a model whose state never follows its
cancelled operation), patience ends after a minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypedDict

import attrs

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import BadRequest, CallError, CredentialsError, NotFound, PermissionDenied
from gemtune.events import Event, JobState, LostReason, Origin, TerminalEvent
from gemtune.protocol.names import parent_of
from gemtune.story.cursor import cursor_head, cursor_text, parse_cursor
from gemtune.story.ending import FORBIDDEN_AFTER, GONE_AFTER, Trouble, Verdict
from gemtune.story.observation import Moment, Observation, Source
from gemtune.story.schedule import Look, Pace, next_due
from gemtune.story.snapshots import Log, Snapshots

GRACE: Final = 60.0
"""Seconds after its creation during which a model may be missing: reads lag behind creation."""
LONGEST_LAG: Final = 60.0


@attrs.define(eq=False, repr=False)
class History:
    """What is known of one job.

    Args:
        name: The job's name, ``tunedModels/abc``.
        operation: The name of the operation that creates it; without one, only the model is looked at.
        born: When we created it, if we did: a new model may be missing for a moment.
        seeks: Whether whoever looks can find the name of the operation; once tried, ``sought`` is to be set.
    """

    name: str
    operation: str | None = None
    born: Moment | None = attrs.field(default=None, kw_only=True)
    seeks: bool = attrs.field(default=False, kw_only=True)
    sought: bool = attrs.field(default=False, init=False)
    state: JobState = attrs.field(default=JobState.UNKNOWN, init=False)
    outcome: TerminalEvent | None = attrs.field(default=None, init=False)
    completed_steps: int = attrs.field(default=0, init=False)
    total_steps: int | None = attrs.field(default=None, init=False)
    percent: float | None = attrs.field(default=None, init=False)
    looks: int = attrs.field(default=0, init=False)
    log: Log = attrs.field(factory=Log, init=False)
    _resumed: bool = attrs.field(default=False, init=False)
    _live_from: float = attrs.field(default=math.inf, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    _first_look: float | None = attrs.field(default=None, init=False)
    _again: float | None = attrs.field(default=None, init=False)
    _idle: int = attrs.field(default=0, init=False)
    _lag: float | None = attrs.field(default=None, init=False)
    _retired: str | None = attrs.field(default=None, init=False)
    _operation_gone: bool = attrs.field(default=False, init=False)
    verdict: Verdict = attrs.field(factory=Verdict, init=False)
    _trouble: Trouble = attrs.field(factory=Trouble, init=False)
    _head: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        """Prepare the cursor."""
        self._rehead()

    @classmethod
    def from_cursor(cls, cursor: str, operation: str | None = None, *, seeks: bool = False) -> History:
        """Return a history whose owner has dealt with everything up to a cursor.

        Args:
            cursor: The cursor of an event of the job.
            operation, seeks: As for the constructor.

        Raises:
            InvalidInput: It is no job cursor of this version.
        """
        parsed = parse_cursor(cursor)
        self = cls(parsed.job, operation, seeks=seeks)
        self.log = Log(parsed)
        self._resumed = True
        self._rehead()
        return self

    def __repr__(self) -> str:
        """Return name, state and progress."""
        total = "?" if self.total_steps is None else self.total_steps
        return (
            f"<History {self.name} {self.state} step {self.completed_steps}/{total}, attempt {self.attempt}, "
            f"{len(self.snapshots)} snapshots{', ended' if self.outcome else ''}>"
        )

    @property
    def attempt(self) -> int:
        """The current attempt, from 1."""
        return self.log.attempt

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots of the current attempt, as a sequence that grows."""
        return Snapshots(self.log)

    @property
    def finished(self) -> bool:
        """Whether the terminal event has been told."""
        return self.outcome is not None

    @property
    def unsure(self) -> bool:
        """Whether the model may have been made anew since the cursor; its operation does not tell."""
        return self._resumed and self.state is JobState.UNKNOWN and self.verdict.state is None

    @property
    def seekable(self) -> bool:
        """Whether the name of its operation is unknown and can still be looked for."""
        return self.operation is None and self.seeks and not self.sought

    @property
    def pressing(self) -> bool:
        """Whether the next look confirms something, so that it must not wait its turn with the others."""
        return self.outcome is None and self._again is not None

    @property
    def cursor(self) -> str:
        """The cursor of somebody who has dealt with all events so far."""
        return cursor_text(self._head, self.log.told, ended=self._ended)

    def statistics(self) -> dict[str, int]:
        """Return counts: looks, snapshots, ignored (stale, repeated), malformed, attempts, failures."""
        log = self.log
        counts = {"looks": self.looks, "snapshots": len(log), "ignored": log.ignored}
        return counts | {"malformed": log.malformed, "attempts": log.attempt, "failures": self._trouble.failures}

    def added(self, now: Moment, origin: Origin = Origin.EXPLICIT) -> Event:
        """Return the event that opens the job's stream."""
        return events.Added(**self._stamp(now), origin=Origin.RESUMED if self._resumed else origin)

    def observe(self, seen: Observation) -> list[Event]:
        """Take in one look and return what it means; nothing after the terminal event.

        Only a newer model under the name of an ended one begins a new story, with Added.
        """
        if self._is_foreign(seen):
            return []
        told: list[Event] = []
        if seen.source is not Source.OPERATION and seen.created > self.log.created > 0:
            told += self._recreate(seen)
        if self.outcome is not None:
            return told
        self._looked(seen.at)
        self._identify(seen)
        downtime = self._trouble.succeeded(seen)
        if downtime is not None:
            told.append(events.Recovered(**self._stamp(seen.at), downtime=downtime))
        if seen.state is not None and not seen.state.terminal and self.verdict.state is None:
            told += self._become(seen.state, seen.at)
        told += self._grow(seen)
        if seen.snapshots is not None:
            self._idle = 0 if told else self._idle + 1
        self.verdict.note(seen)
        return told + self._conclude(seen.at)

    def fault(self, error: CallError | CredentialsError, source: Source, now: Moment) -> list[Event]:
        """Take in one failed look and return what it means.

        Args:
            error: How it failed. Faults of the service as a whole (429, an outage) count as this job's
                here; who watches many jobs keeps them to itself.
            source: Where was looked.
            now: When.
        """
        if self.outcome is not None:
            return []
        self._looked(now)
        if isinstance(error, NotFound | PermissionDenied):
            if source is Source.OPERATION:
                # Operations expire; the model is the ground truth.
                self._operation_gone, self._again = True, 0.0
                return self._conclude(now)
            return self._unseen(error, now)
        if isinstance(error, BadRequest) and not isinstance(error, CredentialsError):
            return self.lose(LostReason.REFUSED, now, error.message)
        told: list[Event] = []
        if self._trouble.failed(error, now.clock):
            degraded = events.Degraded(
                **self._stamp(now),
                error=type(error).__name__,
                message=error.message,
                status=getattr(error, "status", None),
                failures=self._trouble.failures,
            )
            told.append(degraded)
        return told + self._conclude(now)

    def lose(self, reason: LostReason, now: Moment, message: str = "") -> list[Event]:
        """End the watching for a reason that is not the job's own."""
        return [] if self.outcome is not None else [self._end(events.Lost, now, reason=reason, message=message)]

    def next_look(self, now: Moment, policy: WatchPolicy, dice: float) -> Look | None:
        """Return where to look next and in how many seconds; None once the job has ended.

        Args:
            now: The time from which the seconds count.
            policy: How often the caller wants to look.
            dice: A random number in [0, 1).
        """
        if self.outcome is not None:
            return None
        if self._first_look is None:
            return Look(self._source(now), 0.0)
        if self._again is not None and not self._trouble.failures:
            return Look(self._source(now), self._again)
        return Look(self._source(now), next_due(self.pace(now), policy, dice))

    def pace(self, now: Moment) -> Pace:
        """Return what the schedule must know."""
        pulse = self.log.pulse()
        newest = self.log.newest
        return Pace(
            snapshots=len(self.snapshots),
            idle=self._idle,
            remaining=None if self.total_steps is None else max(self.total_steps - self.completed_steps, 0),
            per_step=pulse.per_step if pulse else None,
            shortest_gap=pulse.shortest if pulse else None,
            age=now.since(newest) if newest else 0.0,
            lag=self._lag or 0.0,
            failures=self._trouble.failures,
            hint=self._trouble.hint,
        )

    def _is_foreign(self, seen: Observation) -> bool:
        """Return whether the look concerns another model, or one that was replaced since."""
        if seen.operation is not None:
            return seen.operation == self._retired or parent_of(seen.operation) != self.name
        return 0 < seen.created < self.log.created

    def _looked(self, now: Moment) -> None:
        self.looks += 1
        self._again = None
        if self._first_look is None:
            self._first_look = now.clock

    def _identify(self, seen: Observation) -> None:
        """Learn the operation's name and the model's createTime when they are told first."""
        self.operation = self.operation or seen.operation
        if seen.created and not self.log.created:
            self.log.created = seen.created
            self._rehead()

    def _recreate(self, seen: Observation) -> list[Event]:
        """End the story of a model that was replaced by another of its name, and begin the other's."""
        told: list[Event] = [] if self.outcome is not None else [self._end(events.Deleted, seen.at)]
        self.log.begin(1, created=seen.created)
        self._retired, self.operation, self._operation_gone = self.operation or self._retired, None, False
        self.state, self.outcome, self._ended, self.sought = JobState.UNKNOWN, None, False, False
        self.completed_steps, self.total_steps, self.percent = 0, None, None
        self._idle, self.verdict, self._trouble, self._resumed = 0, Verdict(), Trouble(), False
        self._rehead()
        return [*told, self.added(seen.at, Origin.RECREATED)]

    def _become(self, state: JobState, now: Moment) -> list[Event]:
        old, self.state = self.state, state
        return [] if old == state else [events.StateChanged(**self._stamp(now), old=old, new=state)]

    def _grow(self, seen: Observation) -> list[Event]:
        """Deliver what is new in the snapshots and in the progress."""
        if seen.snapshots is None:
            return []
        merged = self.log.merge(seen.snapshots)
        told: list[Event] = []
        if merged.restarted:
            self.completed_steps, self.percent = 0, None
            self._rehead()
            told.append(events.Restarted(**self._stamp(seen.at), attempt=self.attempt))
        for item, part in zip(merged.fresh, merged.parts, strict=True):
            step, time, snapshot = item
            late = self.log.append(item, part)
            told.append(
                events.Snapshot(
                    **self._stamp(seen.at),
                    step=step,
                    epoch=snapshot.epoch,
                    mean_loss=snapshot.mean_loss,
                    compute_time=snapshot.compute_time,
                    attempt=self.attempt,
                    late=late,
                    replayed=self._resumed and time <= self._live_from,
                )
            )
        if merged.fresh:
            self.log.trim()
            lag = LONGEST_LAG if self._lag is None else self._lag
            self._lag = min(max(seen.at.since(self.log.newest), 0.0), lag)
        self._live_from = min(self._live_from, seen.at.utc.timestamp() * 1e9)
        progress = [] if merged.stale else self._progress(seen)
        return told + progress

    def _progress(self, seen: Observation) -> list[Event]:
        """Take over progress that goes forward; only the operation knows the total."""
        total = seen.total_steps or self.total_steps
        done = max(seen.completed_steps or 0, self.log.highest, self.completed_steps)
        if seen.percent is not None and seen.completed_steps == done:
            percent: float | None = seen.percent
        elif total and (done, total) != (self.completed_steps, self.total_steps):
            percent = 100.0 * done / total
        else:
            percent = self.percent
        if (done, total, percent) == (self.completed_steps, self.total_steps, self.percent):
            return []
        self.completed_steps, self.total_steps, self.percent = done, total, percent
        pulse = self.log.pulse() if total else None
        eta = pulse.per_step * max(total - done, 0) if pulse and total else None
        stamp = self._stamp(seen.at)
        return [events.Progress(**stamp, completed_steps=done, total_steps=total, percent=percent, eta=eta)]

    def _unseen(self, error: NotFound | PermissionDenied, now: Moment) -> list[Event]:
        """Count a model that cannot be seen; once is not enough to call it gone."""
        missing = isinstance(error, NotFound)
        wait = self._trouble.unseen(missing=missing, clock=now.clock)
        if missing:
            wait = max(wait, GRACE - self._job_age(now))
        if wait > 0:
            self._again = min(wait, GONE_AFTER if missing else FORBIDDEN_AFTER)
            return []
        verdict = self.verdict
        ended = verdict.state in {JobState.FAILED, JobState.CANCELLED}
        if ended or (verdict.state is JobState.ACTIVE and verdict.model is not None and not missing):
            return self._finish(now)
        if not missing:
            return self.lose(LostReason.PERMISSION, now, error.message)
        if self.state == JobState.UNKNOWN and not self.log.created:
            return self.lose(LostReason.NOT_FOUND, now, error.message)
        self.state = JobState.DELETED
        return [self._end(events.Deleted, now)]

    def _job_age(self, now: Moment) -> float:
        """Return how many seconds the job has existed at least; infinite if only its name is known."""
        if self.born is not None:
            return now.clock - self.born.clock
        if not self.log.created:
            return float("inf")
        watched = now.clock - self._first_look if self._first_look is not None else 0.0
        return max(now.since(self.log.created), watched)

    def _has_operation(self) -> bool:
        return self.seekable or (self.operation is not None and not self._operation_gone)

    def _source(self, now: Moment) -> Source:
        if self.verdict.state is not None:
            wanting = self.verdict.wanting(now.clock, has_operation=self._has_operation())
            return wanting or Source.MODEL
        unsure = self.unsure or self._trouble.hidden
        return Source.OPERATION if self._has_operation() and not unsure else Source.MODEL

    def _conclude(self, now: Moment) -> list[Event]:
        """Tell the end if everything is known that must be told before and with it."""
        if self.verdict.state is None:
            return []
        if self.verdict.wanting(now.clock, has_operation=self._has_operation()) is None:
            return self._finish(now)
        self._again = self.verdict.pause
        return []

    def _finish(self, now: Moment) -> list[Event]:
        state, model = self.verdict.state, self.verdict.model
        if state is JobState.ACTIVE and model is not None:
            return [*self._become(state, now), self._end(events.Succeeded, now, model=model)]
        if state is JobState.CANCELLED:
            return [*self._become(state, now), self._end(events.Cancelled, now)]
        return [*self._become(JobState.FAILED, now), self._end(events.Failed, now, error=self.verdict.error)]

    def _end(self, kind: Callable[..., TerminalEvent], now: Moment, **facts: object) -> TerminalEvent:
        self._ended, self.verdict = True, Verdict()  # which held a whole model
        self.outcome = kind(**self._stamp(now), **facts)
        return self.outcome

    def _rehead(self) -> None:
        self._head = cursor_head(self.name, self.log.created, self.log.attempt)

    def _stamp(self, now: Moment) -> _Stamp:
        return {"job": self.name, "cursor": self.cursor, "observed_at": now.utc}


class _Stamp(TypedDict):
    job: str
    cursor: str
    observed_at: datetime
