"""One job's history: what each look at it means, as events.

Pure and synchronous: a look or a failed look goes in, events come out, and ``next_look`` says where to look next and
when. Looks may be repeated, stale and out of order; they only ever move a job forward::

    observe(look) or fault(error)
      foreign? (another job's, a replaced one's)             nothing
      a newer job under this name?                           Deleted, then Added (recreated): its story begins
      has ended?                                             nothing
      the first success after reported failures              Recovered
      another state, not terminal                            StateChanged
      new snapshots (``merge``)                              Restarted, Snapshot ...
      more steps                                             Progress
      an end, once ``ending`` has its two answers            StateChanged, and the terminal event, last and once

Every event carries the cursor of somebody who has dealt with everything up to it. A history keeps no events: what
others read later is made again from its log.
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
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.story.ending import FORBIDDEN_AFTER, GONE_AFTER, Ending, FailedLooks, with_snapshots
from gemtune.story.facts import Headway, KnownWork
from gemtune.story.observation import NOTHING, PLAIN, About, Moment, Observation, Source, Standing
from gemtune.story.schedule import Look, Pace, Rhythm, next_due, recheck
from gemtune.story.snapshots import SnapshotLog, Snapshots

# Seconds after its creation during which a job may be missing: reads lag behind creation.
GRACE: Final = 60.0


@attrs.define(eq=False, repr=False, init=False)
class History:
    """What is known of one job."""

    name: str
    work: KnownWork
    born: Moment | None
    state: JobState
    # The terminal event, without the snapshots of its model: the log has them in a tenth of the memory.
    outcome: TerminalEvent | None
    # Whether the job may have been made anew since the cursor; its work does not say.
    unsure: bool
    about: About
    standing: Standing
    log: SnapshotLog
    headway: Headway
    rhythm: Rhythm
    ending: Ending
    failed: FailedLooks
    # Resumed from a cursor: what was computed before this time (ns) may have been delivered by the predecessor.
    _live_from: float | None

    def __init__(
        self,
        name: str,
        work: str | None = None,
        *,
        born: Moment | None = None,
        seeks: bool = False,
        resumed: Cursor | None = None,
        state: JobState = JobState.UNKNOWN,
    ) -> None:
        """Begin.

        Args:
            name: The job's name.
            work: The name of the work that carries it out; without one, only the job itself is looked at.
            born: When we created it, if we did: a new job may be missing for a moment.
            seeks: Whether a look at the work can find its name.
            resumed: What the owner of a cursor has dealt with.
            state: Its state, if that is known before any look.
        """
        self.name, self.work, self.born = name, KnownWork(work, seeks), born
        self.state, self.outcome, self.about, self.standing = state, None, NOTHING, PLAIN
        self.log = SnapshotLog(name, resumed)
        self.headway, self.rhythm, self.ending, self.failed = Headway(), Rhythm(), Ending(), FailedLooks()
        self.unsure, self._live_from = resumed is not None, None if resumed is None else math.inf

    @classmethod
    def from_cursor(cls, cursor: str, work: str | None = None, *, seeks: bool = False) -> History:
        """Return a history whose owner has dealt with everything up to a cursor.

        Raises:
            InvalidInput: It is not a job's cursor of this version.
        """
        parsed = parse_cursor(cursor)
        return cls(parsed.job, work, seeks=seeks, resumed=parsed)

    def __repr__(self) -> str:
        headway = self.headway
        total = "?" if headway.total_steps is None else headway.total_steps
        return (
            f"<History {self.name} {self.state} step {headway.completed_steps}/{total}, attempt "
            f"{self.log.now.attempt}, {len(self.snapshots)} snapshots{', ended' if self.outcome else ''}>"
        )

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots of the current attempt, as a sequence that grows."""
        return Snapshots(self)

    @property
    def finished(self) -> bool:
        """Whether the terminal event has been reported."""
        return self.outcome is not None

    @property
    def cursor(self) -> str:
        """The cursor of somebody who has dealt with all events so far."""
        return self.log.now.cursor(ended=self.outcome is not None)

    def added(self, now: Moment, origin: Origin = Origin.EXPLICIT) -> Event:
        """Begin to watch, perhaps again, and return the event that opens the job's stream.

        What depends on having looked all the time is forgotten: patience does not run out while nobody looks.
        """
        self.ending = Ending()
        self.work.seek_again()
        return events.Added(**_stamp(self, now), origin=origin if self._live_from is None else Origin.RESUMED)

    def observe(self, seen: Observation) -> list[Event]:
        """Take in one look and return what it means; nothing after the terminal event.

        Only a newer job under the name of an ended one begins a new story, with Added.
        """
        at_work, created = seen.source is Source.WORK, self.log.now.created
        if self.work.is_foreign(self.name, seen) if at_work else 0 < seen.created < created:
            return []
        reported = self._recreate(seen) if not at_work and seen.created > created > 0 else []
        if self.outcome is not None:
            return reported
        self.rhythm.looked(seen.at, blank=self.work.note(seen))
        if at_work and seen.done and seen.state is None:
            # Done, and it does not say how: it knows no more than the job itself, which may still go on.
            self.work.expire()
            self.rhythm.again = 0.0
        self.log.identify(seen.created)
        if seen.about is not None:
            self.about = self.about.updated(seen.about)
        before, self.standing = self.standing, self.standing.updated(seen)
        downtime = self.failed.succeeded(seen)
        if downtime is not None:
            reported.append(events.Recovered(**_stamp(self, seen.at), downtime=downtime))
        if seen.state is not None and not seen.state.terminal and self.ending.state is None:
            reported += _changed(self, seen.state, seen.at, before)
            self.state = seen.state
        reported += self._grow(seen)
        if seen.snapshots is not None:  # a list, which shows none, says nothing about the pace
            self.rhythm.brought(seen.at, news=bool(reported))
        # After the snapshots: the end is only full with what the same look has shown.
        self.ending.note(seen)
        # Work has no createTime; only the job itself can say that it is not a new one under the old name.
        self.unsure = self.unsure and self.state is JobState.UNKNOWN and self.ending.state is None
        return reported + self._conclude(seen.at)

    def fault(self, error: CallError | CredentialsError, source: Source, now: Moment) -> list[Event]:
        """Take in one failed look and return what it means.

        Args:
            error: How it failed. Faults of the service as a whole (429, an outage) count as this job's here; who
                watches many jobs keeps them to itself.
            source: The place that was looked at.
            now: When.
        """
        if self.outcome is not None:
            return []
        self.rhythm.looked(now)
        if isinstance(error, NotFound | PermissionDenied):
            if source is Source.WORK:
                # Work expires; the job itself is the ground truth.
                self.work.expire()
                self.rhythm.again = 0.0
                return self._conclude(now)
            return self._unseen(error, now)
        # The same request will be refused the same way; a refused key (400 too) is not the job's fault.
        if isinstance(error, BadRequest) and not isinstance(error, CredentialsError):
            return self.end(events.Lost, now, reason=LostReason.REFUSED, message=error.message)
        reported: list[Event] = []
        if self.failed.failed(error, now.clock):
            degraded = events.Degraded(
                **_stamp(self, now),
                error=type(error).__name__,
                message=error.message,
                status=getattr(error, "status", None),
                failures=self.failed.count,
            )
            reported.append(degraded)
        return reported + self._conclude(now)

    def end(self, kind: Callable[..., TerminalEvent], now: Moment, **facts: object) -> list[Event]:
        """End the story, and return its last event unless it was reported before.

        Args:
            kind: The class of the event.
            now: When.
            facts: What only events of this class have.
        """
        if self.outcome is not None:
            return []
        event = last_event(self, kind, now, **facts)
        self.outcome = with_snapshots(event, ()) if isinstance(event, events.Succeeded) else event
        self.ending, self.rhythm.again = Ending(), None  # the ending held the whole model
        return [event]

    def next_look(self, now: Moment, policy: WatchPolicy, dice: float, share: float = 0.0) -> Look | None:
        """Return where to look next and in how many seconds; None once the job has ended.

        Args:
            now: The time from which the seconds count.
            policy: How often the caller wants to look.
            dice: A random number in [0, 1).
            share: Seconds between two looks at each of the jobs that the allowed requests can buy.
        """
        if self.outcome is not None:
            return None
        source, rhythm = _source(self, now), self.rhythm
        if rhythm.at_once:
            return Look(source, 0.0)
        if rhythm.again is not None and not self.failed.count:
            return Look(source, rhythm.again)
        if self.failed.count and self.failed.suspect:
            return Look(source, recheck(self.failed.count, dice))
        return Look(source, next_due(_pace(self, now, share), policy, dice))

    def _recreate(self, seen: Observation) -> list[Event]:
        """End the story of a job that was replaced by another of its name, and begin the other's."""
        reported = self.end(events.Deleted, seen.at)
        self.log.recreate(seen.created)
        self.work.retire()
        self.state, self.outcome, self.about, self.standing = JobState.UNKNOWN, None, NOTHING, PLAIN
        self.headway, self.failed, self.rhythm.idle = Headway(), FailedLooks(), 0
        self.unsure, self._live_from = False, None
        return [*reported, self.added(seen.at, Origin.RECREATED)]

    def _grow(self, seen: Observation) -> list[Event]:
        """Take in and report what is new in the snapshots and in the progress."""
        if seen.snapshots is None:
            return []
        merged = self.log.merge(seen.snapshots)
        reported: list[Event] = []
        if merged.begun is not None:
            self.headway.restart()
            reported.append(events.Restarted(**_stamp(self, seen.at), attempt=self.log.now.attempt))
        for (step, time, snapshot), claim in zip(merged.fresh, merged.claims, strict=True):
            # Appended one by one, so that the cursor of each event is of its own place.
            late = self.log.append((step, time, snapshot), claim)
            reported.append(
                events.Snapshot(
                    **_stamp(self, seen.at),
                    step=step,
                    epoch=snapshot.epoch,
                    mean_loss=snapshot.mean_loss,
                    compute_time=snapshot.compute_time,
                    attempt=self.log.now.attempt,
                    late=late,
                    replayed=self._live_from is not None and time <= self._live_from,
                )
            )
        if merged.fresh:
            self.log.trim()
            self.rhythm.lagged(seen.at, self.log.now.newest)
        if self._live_from is not None:
            self._live_from = min(self._live_from, seen.at.utc.timestamp() * 1e9)
        if merged.stale or not self.headway.note(seen, self.log.now.highest):
            return reported
        return [*reported, _progress(self, seen.at)]

    def _unseen(self, error: NotFound | PermissionDenied, now: Moment) -> list[Event]:
        """Count a job that cannot be seen; once is not enough to call it gone."""
        missing = isinstance(error, NotFound)
        wait = self.failed.unseen(missing=missing, clock=now.clock)
        if missing:  # a replica may lag behind the creation
            wait = max(wait, GRACE - _age(self, now))
        if wait > 0:
            self.rhythm.again = min(wait, GONE_AFTER if missing else FORBIDDEN_AFTER)
            return []
        if self.ending.stands_unseen(missing=missing):
            return self._conclude(now, certain=True)
        if not missing:
            return self.end(events.Lost, now, reason=LostReason.PERMISSION, message=error.message)
        # Deleted is said only of what was seen; a name with a typing error never was.
        if self.state == JobState.UNKNOWN and not self.log.now.created:
            return self.end(events.Lost, now, reason=LostReason.NOT_FOUND, message=error.message)
        self.state = JobState.DELETED
        return self.end(events.Deleted, now)

    def _conclude(self, now: Moment, *, certain: bool = False) -> list[Event]:
        """Report the end if everything is known that must be reported before and with it."""
        if self.ending.state is None:
            return []
        if not certain and self.ending.wanting(now.clock, has_work=self.work.there) is not None:
            self.rhythm.again = self.ending.pause
            return []
        state, kind, facts = self.ending.event
        changed = _changed(self, state, now, self.standing)
        self.state = state
        return [*changed, *self.end(kind, now, **facts)]


def last_event(history: History, kind: Callable[..., TerminalEvent], now: Moment, **facts: object) -> TerminalEvent:
    """Return a terminal event of a job, which its history does not take for its own end."""
    return kind(**_stamp(history, now) | {"cursor": history.log.now.cursor(ended=True)}, **facts)


def eta(history: History) -> float | None:
    """Return the seconds to the last step, by the pace of the latest ones; None while unknown, and after the end."""
    remaining = history.headway.remaining if history.outcome is None else None
    pulse = history.log.pulse() if remaining is not None else None
    return pulse.per_step * remaining if pulse and remaining is not None else None


def _changed(history: History, state: JobState, now: Moment, before: Standing) -> list[Event]:
    old, said = history.state, history.standing
    if old == state and (said.service_state, said.reason) == (before.service_state, before.reason):
        return []
    facts = {"service_state": said.service_state, "reason": said.reason}
    return [events.StateChanged(**_stamp(history, now), old=old, new=state, **facts)]


def _progress(history: History, now: Moment) -> events.Progress:
    headway = history.headway
    return events.Progress(
        **_stamp(history, now),
        completed_steps=headway.completed_steps,
        total_steps=headway.total_steps,
        percent=headway.percent,
        eta=eta(history),
    )


def _pace(history: History, now: Moment, share: float) -> Pace:
    """Return what the schedule must know."""
    pulse, newest, rhythm = history.log.pulse(), history.log.now.newest, history.rhythm
    age = now.since(newest) if newest else 0.0
    quiet_since = rhythm.first if rhythm.news is None else rhythm.news
    return Pace(
        snapshots=len(history.snapshots),
        idle=rhythm.idle,
        remaining=history.headway.remaining,
        per_step=pulse.per_step if pulse else None,
        shortest_gap=pulse.shortest * rhythm.speed if pulse else None,
        # After a resume nothing of the last steps was new, so that there is nothing to compare the clocks by.
        age=age if rhythm.lag is not None else max(age, 0.0),
        lag=rhythm.lag or 0.0,
        silence=now.clock - quiet_since if quiet_since is not None else 0.0,
        share=share,
        failures=history.failed.count,
        hint=history.failed.hint,
    )


def _source(history: History, now: Moment) -> Source:
    """Return the place to look at next."""
    # Once an end is in sight, what is wanting decides; before that, work says more: the total, and the reason.
    if history.ending.state is not None:
        return history.ending.wanting(now.clock, has_work=history.work.there) or Source.JOB
    unsure = history.unsure or history.failed.hidden
    return Source.WORK if history.work.there and not unsure else Source.JOB


def _age(history: History, now: Moment) -> float:
    """Return how many seconds the job has existed at least; infinite if only its name is known."""
    if history.born is not None:
        return now.clock - history.born.clock
    created, first = history.log.now.created, history.rhythm.first
    if not created:
        return math.inf
    return max(now.since(created), now.clock - first if first is not None else 0.0)


class _Stamp(TypedDict):
    job: str
    cursor: str
    observed_at: datetime


def _stamp(history: History, now: Moment) -> _Stamp:
    return {"job": history.name, "cursor": history.cursor, "observed_at": now.utc}
