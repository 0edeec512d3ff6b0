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
from typing import Final

import attrs

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import BadRequest, CallError, CredentialsError, NotFound, PermissionDenied
from gemtune.events import Event, JobState, LostReason, Origin, TerminalEvent
from gemtune.protocol.names import is_batch_name
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.story.ending import FORBIDDEN_AFTER, GONE_AFTER, Ending, FailedLooks, with_snapshots
from gemtune.story.facts import Headway, KnownWork
from gemtune.story.measures import checkpoint_number
from gemtune.story.merge import Item
from gemtune.story.observation import NOTHING, PLAIN, About, Moment, Observation, Source, Standing
from gemtune.story.replay import event
from gemtune.story.reports import Stamp, changed, degraded, progress, says_more
from gemtune.story.schedule import Look, Pace, Rhythm, age, next_due, recheck, turn
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
    _shared: bool

    def __init__(
        self,
        name: str,
        work: str | None = None,
        *,
        born: Moment | None = None,
        seeks: bool = False,
        resumed: Cursor | None = None,
        state: JobState = JobState.UNKNOWN,
        shared: bool = False,
    ) -> None:
        """Begin.

        Args:
            name: The job's name.
            work: The name of the work that carries it out; without one, only the job itself is looked at.
            born: When we created it, if we did: a new job may be missing for a moment.
            seeks: Whether a look at the work can find its name.
            resumed: What the owner of a cursor has dealt with.
            state: Its state, if that is known before any look.
            shared: Whether others read its events than the owner of the cursor alone.
        """
        self.name, self.work, self.born = name, KnownWork(work, seeks and not is_batch_name(name)), born
        self.state, self.outcome, self.about, self.standing = state, None, NOTHING, PLAIN
        self.log = SnapshotLog(name, resumed)
        self.headway, self.rhythm, self.ending, self.failed = Headway(), Rhythm(), Ending(), FailedLooks()
        self.unsure, self._live_from = resumed is not None, None if resumed is None else math.inf
        self._shared = shared

    @classmethod
    def from_cursor(cls, cursor: str, work: str | None = None, *, seeks: bool = False) -> History:
        """Return a history whose owner has dealt with everything up to a cursor.

        Raises:
            InvalidInput: It is not a job's cursor of this version.
        """
        return cls((parsed := parse_cursor(cursor)).job, work, seeks=seeks, resumed=parsed)

    def __repr__(self) -> str:
        headway = self.headway
        total = "?" if headway.total_steps is None else headway.total_steps
        where = f"step {headway.completed_steps}/{total}, attempt {self.log.now.attempt}"
        end = ", ended" if self.outcome else ""
        return f"<History {self.name} {self.state} {where}, {len(self.snapshots)} snapshots{end}>"

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
        self.rhythm.looked(seen.at, seen.source, blank=self.work.note(seen))
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
            if self.state != seen.state or says_more(before, self.standing):
                reported.append(changed(_stamp(self, seen.at), self.state, seen.state, self.standing))
            self.state = seen.state
        reported += self._grow(seen)
        if seen.checkpoints:
            reported += _deploy(self, seen)
        if seen.snapshots is not None or (reported and seen.source is Source.JOB):  # a list says nothing about the pace
            self.rhythm.brought(seen.at, news=bool(reported))
        # After the snapshots: the end is only full with what the same look has shown.
        self.ending.note(seen, self.headway.remaining, apart=self.work.apart)
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
        self.rhythm.looked(now, source)
        # The same request will be refused the same way; a refused key (400 too) is not the job's fault.
        refused = isinstance(error, BadRequest) and not isinstance(error, CredentialsError)
        gone = isinstance(error, NotFound | PermissionDenied)
        if source is Source.WORK and (gone or (refused and self.work.apart)):
            # Work expires; the job itself is the ground truth.
            self.work.expire(error)
            self.rhythm.again = 0.0
            return self._conclude(now)
        if isinstance(error, NotFound | PermissionDenied):
            return self._unseen(error, now)
        if refused:
            return self.end(events.Lost, now, reason=LostReason.REFUSED, message=error.message)
        reported: list[Event] = []
        if self.failed.failed(error, now.clock):
            reported.append(degraded(_stamp(self, now), error, self.failed))
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
        if isinstance(event, events.Succeeded):
            event = with_snapshots(event, self.snapshots) if self.work.apart else event
            self.outcome = with_snapshots(event, ())
        else:
            self.outcome = event
        self.ending, self.rhythm.again = Ending(), None  # the ending held the whole model
        return [event]

    def next_look(
        self, now: Moment, policy: WatchPolicy, dice: float, share: float = 0.0, *, steps: bool = True
    ) -> Look | None:
        """Return where to look next and in how many seconds; None once the job has ended.

        Args:
            now: The time from which the seconds count.
            policy: How often the caller wants to look.
            dice: A random number in [0, 1).
            share: Seconds between two looks at each of the jobs that the allowed requests can buy.
            steps: Whether anybody wants to know of each step.
        """
        if self.outcome is not None:
            return None
        rhythm, source = self.rhythm, _source(self, now)
        after = _after(self, now, policy, dice, share)
        if source is Source.WORK and self.work.apart and self.ending.state is None:
            source = turn(now.clock + after, after, rhythm, self.headway.remaining, policy) if steps else Source.JOB
            if source is Source.JOB and rhythm.again is None and not self.failed.count:
                after = min(after, max(policy.min_interval, share))  # while no step can be new
        return Look(source, after)

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
            if seen.source is Source.LIST or not self.headway.note(seen, self.log.now.highest):
                return []
            return [progress(_stamp(self, seen.at), self.headway, eta(self))]
        merged = self.log.merge(seen.snapshots)
        reported: list[Event] = []
        if merged.begun is not None:
            self.headway.restart()
            reported.append(events.Restarted(**_stamp(self, seen.at), attempt=self.log.now.attempt))
        # Appended one by one, so that the cursor of each event is of its own place.
        for item, claim in zip(merged.fresh, merged.claims, strict=True):
            late = self.log.append(item, claim)
            reported.append(_row(self, item, seen.at, late=late))
        for item in merged.updates:
            self.log.complete(item)
            reported.append(_row(self, item, seen.at))
        if merged.fresh:
            self.log.trim()
            self.rhythm.lagged(seen.at, self.log.now.newest)
        if self._live_from is not None:
            self._live_from = min(self._live_from, seen.at.utc.timestamp() * 1e9)
        if merged.stale or not self.headway.note(seen, self.log.now.highest):
            return reported
        return [*reported, progress(_stamp(self, seen.at), self.headway, eta(self))]

    def _unseen(self, error: NotFound | PermissionDenied, now: Moment) -> list[Event]:
        """Count a job that cannot be seen; once is not enough to call it gone."""
        missing = isinstance(error, NotFound)
        wait = self.failed.unseen(missing=missing, clock=now.clock)
        if missing:  # a replica may lag behind the creation
            wait = max(wait, GRACE - age(now, self.born, self.log.now.created, self.rhythm))
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
        if not certain and _wanting(self, now) is not None:
            self.rhythm.again = self.ending.pause
            return []
        state, kind, facts = self.ending.event
        reported: list[Event] = []
        if self.state != state:
            reported.append(changed(_stamp(self, now), self.state, state, self.standing))
        self.state = state
        return [*reported, *self.end(kind, now, **facts)]


def last_event(history: History, kind: Callable[..., TerminalEvent], now: Moment, **facts: object) -> TerminalEvent:
    """Return a terminal event of a job, which its history does not take for its own end."""
    return kind(**_stamp(history, now) | {"cursor": history.log.now.cursor(ended=True)}, **facts)


def eta(history: History) -> float | None:
    """Return the seconds to the last step, by the pace of the latest ones; None while unknown, and after the end."""
    remaining = history.headway.remaining if history.outcome is None else None
    pulse = history.log.pulse() if remaining is not None else None
    each = pulse.per_step if pulse is not None else history.headway.per_request
    return each * remaining if each is not None and remaining is not None else None


def _after(history: History, now: Moment, policy: WatchPolicy, dice: float, share: float) -> float:
    rhythm = history.rhythm
    if rhythm.at_once:
        return 0.0
    if rhythm.again is not None and not history.failed.count:
        return rhythm.again
    if history.failed.count and history.failed.suspect:
        return recheck(history.failed.count, dice)
    return next_due(_pace(history, now, share), policy, dice)


def _row(history: History, item: Item, at: Moment, *, late: bool = False) -> Event:
    """Return the log's last entry as an event."""
    _, time, snapshot = item
    log, live_from, computed = history.log, history._live_from, snapshot.compute_time
    replayed = live_from is not None and time <= live_from
    return event(log, len(log) - 1, at.utc, history.cursor, late=late, replayed=replayed, computed=computed)


def _deploy(history: History, seen: Observation) -> list[Event]:
    """Report the checkpoints that can be asked from now on."""
    log, held, last = history.log, history.standing.checkpoints, len(history.log)
    numbers = [(checkpoint_number(each.checkpoint_id), each) for each in held if each.ready]
    # Of what a cursor's owner has had, others who read here may not have had it; they know by their own cursors.
    return [
        events.CheckpointReady(**_stamp(history, seen.at), checkpoint=checkpoint)
        for number, checkpoint in numbers
        if log.now.report(number, last) and (history._shared or number not in log.now.known)
    ]


def _wanting(history: History, now: Moment) -> Source | None:
    """Return where to look before the end can be reported; None if it can."""
    return history.ending.wanting(now.clock, has_work=history.work.there, apart=history.work.apart)


def _pace(history: History, now: Moment, share: float) -> Pace:
    """Return what the schedule must know."""
    pulse, newest, rhythm = history.log.pulse(), history.log.now.newest, history.rhythm
    age = now.since(newest) if newest else 0.0
    quiet_since = rhythm.first if rhythm.news is None else rhythm.news
    return Pace(
        snapshots=len(history.snapshots) or history.headway.answered,
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
        wanted = _wanting(history, now) or Source.JOB
        return Source.JOB if history.work.apart and history.failed.count % 2 else wanted
    unsure = history.unsure or history.failed.hidden
    return Source.WORK if history.work.there and not unsure else Source.JOB


def _stamp(history: History, now: Moment) -> Stamp:
    return {"job": history.name, "cursor": history.cursor, "observed_at": now.utc}
