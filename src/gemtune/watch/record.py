"""What a watcher keeps: one record for each job, and one for the service.

What was reported stands in a record in an order that any reader can read again, whenever it comes::

    log      s1 s2 s3 s4 s5 s6 s7 s8        snapshots: 20 bytes each, made events again when read
    marks   A     C           R     C S     Added, StateChanged, Restarted, CheckpointReady, the end: as reported
    latest                              P   progress and the last outage: only the newest counts

On a service that says some values of a step late, the log also has an entry for each of these updates. A mark stands
before an entry (``at``); a position in the story is a pair of the next entry and the next mark. Marks are as many as a
job has changes of state, so that a reader who never reads costs nothing but its place.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import UTC, datetime
from typing import Self, TypeAlias

import attrs

from gemtune import events
from gemtune.events import Event, JobState, LostReason, Origin, is_terminal
from gemtune.protocol.names import is_batch_name
from gemtune.story.cursor import Cursor
from gemtune.story.ending import with_snapshots
from gemtune.story.history import History, last_event
from gemtune.story.observation import Moment, Source
from gemtune.story.replay import cursor_at, run
from gemtune.story.snapshots import SnapshotLog
from gemtune.watch.agenda import Due

Row: TypeAlias = events.Snapshot | events.SnapshotUpdated
"""What the log holds: a snapshot, or more of it."""


@attrs.define(eq=False)
class Outages:
    """The latest outage of a job or of the service, and its end if it is over; earlier ones are nobody's news."""

    trouble: events.Degraded | None = None
    recovery: events.Recovered | None = None

    def report(self, event: events.Degraded | events.Recovered) -> None:
        """Take in the beginning or the end of an outage."""
        if isinstance(event, events.Degraded):
            self.trouble, self.recovery = event, None
        else:
            self.recovery = event

    @property
    def trouble_now(self) -> str:
        """What is wrong at present; empty if nothing is."""
        return self.trouble.message if self.trouble is not None and self.recovery is None else ""


@attrs.define(eq=False)
class ServiceRecord:
    """What is reported of the service as a whole; it concerns every reader and never ends."""

    outages: Outages = attrs.field(factory=Outages, init=False)


@attrs.frozen
class Mark:
    """An event that is kept.

    Args:
        at: The number of the snapshot before which it stands.
        event: The event.
        lean: Whether the snapshots of its model were taken out: as objects they take ten times the log's memory.
    """

    at: int
    event: Event
    lean: bool = False


@attrs.define(eq=False)
class Reports:
    """What was reported of one job.

    Args:
        log: The history's log, which holds the snapshots already.
    """

    log: SnapshotLog
    marks: list[Mark] = attrs.field(factory=list, init=False)
    progress: events.Progress | None = attrs.field(default=None, init=False)
    outages: Outages = attrs.field(factory=Outages, init=False)
    # How many snapshots the owner of a resume token may have been given.
    replayed: int = attrs.field(default=0, init=False)

    def add(self, reported: list[Event]) -> list[Row]:
        """Put events into the story and return those among them that the log holds."""
        fresh = [event for event in reported if isinstance(event, events.Snapshot | events.SnapshotUpdated)]
        at = len(self.log) - len(fresh)
        for event in reported:
            match event:
                case events.Snapshot(replayed=replayed) | events.SnapshotUpdated(replayed=replayed):
                    at += 1
                    self.replayed = at if replayed else self.replayed
                case events.Progress():
                    self.progress = event
                case events.Degraded() | events.Recovered():
                    self.outages.report(event)
                case events.Succeeded():
                    task = event.model.tuning_task
                    lean = task is not None and bool(task.snapshots)
                    self.marks.append(Mark(at, with_snapshots(event, ()) if lean else event, lean))
                case events.Added():
                    # The story begins, or begins again: the latest of the story before is nobody's latest any more.
                    self.progress, self.outages = None, Outages()
                    self.marks.append(Mark(at, event))
                case _:
                    self.marks.append(Mark(at, event))
        return fresh

    def whole(self, mark: Mark) -> Event:
        """Return the event of a mark as it was reported."""
        if not mark.lean or not isinstance(mark.event, events.Succeeded):
            return mark.event
        return with_snapshots(mark.event, sorted(run(self.log, mark.at), key=lambda snapshot: snapshot.step))

    def is_taken_back(self, place: int) -> bool:
        """Return whether a mark says that the job was discarded, after which it was added again."""
        event = self.marks[place].event
        detached = isinstance(event, events.Lost) and event.reason == LostReason.DETACHED
        return detached and place < len(self.marks) - 1

    def fold(self, kept: Container[int]) -> list[int]:
        """Take out the pairs of a discard and the adding after it, and return where each was.

        Otherwise a job that is opened and left over and over would have an ever longer story. Whoever has yet to read
        such a pair would skip it, and whoever has read it does not need it; only between its halves may somebody
        stand.

        Args:
            kept: The marks at which a reader stands.
        """
        taken_out = [place for place in range(len(self.marks) - 1) if self.is_taken_back(place)]
        taken_out = [place for place in reversed(taken_out) if place + 1 not in kept]
        for place in taken_out:
            del self.marks[place : place + 2]
        return taken_out

    def is_last(self, place: int) -> bool:
        """Return whether a mark is the end of the story, as far as is known."""
        return place == len(self.marks) - 1 and is_terminal(self.marks[place].event)


@attrs.define(eq=False)
class Readings:
    """What readers have read of a job, those included that have left: from there a resume token continues."""

    # Whether somebody reads snapshots, now or before a resume: the end then counts only after them.
    begun: bool = False
    # With which cursor the end was dealt with before, unless somebody has read it from the beginning again.
    ended_before: Cursor | None = None
    snapshots: int = attrs.field(default=0, init=False)
    # How many marks were given to, or passed over by, somebody whose reading of the end counts.
    marks: int = attrs.field(default=0, init=False)

    def gave(self, index: int) -> None:
        """Note that somebody was given a snapshot."""
        # From now on the end counts only for those who have read the snapshots before it.
        if not self.begun:
            self.begun, self.marks = True, 0
        self.ended_before = None
        self.snapshots = max(self.snapshots, index + 1)

    def folded(self, place: int) -> None:
        """Take in that a pair of marks was taken out."""
        self.marks = fold(self.marks, place)

    def passed(self, mark: int) -> None:
        """Note that the marks before one were dealt with."""
        self.marks = max(self.marks, mark)


def _is_covered(event: Event) -> bool:
    """Return whether a cursor says of a mark that it was dealt with."""
    return isinstance(event, events.CheckpointReady) or is_terminal(event)


def fold(mark: int, place: int) -> int:
    """Return the number of a mark after the two at ``place`` were taken out."""
    return mark if mark <= place else max(mark - 2, place)


@attrs.define(eq=False)
class LookState:
    """What the engine knows of its looks at a job."""

    # Where to look next.
    source: Source = Source.WORK
    # When the job was created (ns), as a list said.
    created: int = 0
    # When a sweep showed it last.
    covered: float | None = None
    # Failed looks in a row that count against the service and not against the job.
    failures: int = 0
    failing_since: float = 0.0
    denied_since: float | None = None

    def failed(self, now: float) -> None:
        """Count a failed look that may be the service's fault."""
        if not self.failures:
            self.failing_since = now
        self.failures += 1

    def denied(self, now: float) -> float:
        """Note that the job is forbidden, and return since when."""
        self.denied_since = now if self.denied_since is None else self.denied_since
        return self.denied_since

    def answered(self) -> None:
        """Note a look that did not fail."""
        self.failures, self.denied_since = 0, None


@attrs.define(eq=False)
class WatchedJob(Due):
    """A job and its story.

    Args:
        history: What is known of the job.
        readings: What readers have read of it.
        based: The cursor from which its history was resumed; the cursors of its events include the steps before it.
        discovered: Whether it was found in a list.
        past: Whether it only holds the place of a job that has ended and of which nobody has anything left to read.
    """

    history: History
    readings: Readings = attrs.field(factory=Readings)
    based: Cursor | None = None
    discovered: bool = False
    past: bool = False
    reports: Reports = attrs.field(init=False)
    looks: LookState = attrs.field(init=False)
    discarded: bool = attrs.field(default=False, init=False)
    # Whether it is discarded and no longer remembered: a reader has no reason to keep its position.
    forgotten: bool = attrs.field(default=False, init=False)
    # Whether the list of jobs shows it, which is that of tuning jobs.
    listed: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reports = Reports(self.history.log)
        self.listed = not is_batch_name(self.history.name)
        self.looks = LookState(Source.WORK if self.listed and not self.history.unsure else Source.JOB)

    @classmethod
    def of(cls, name: str, work: str | None, *, born: Moment | None, since: Cursor | None, named: bool) -> Self:
        """Return a job that begins to be watched.

        Args:
            name: The job's name.
            work: The name of its work, if that is known.
            born: When this client created it, if it did.
            since: What was dealt with of it before.
            named: Whether a resume token says so, which then counts even if it holds no step.
        """
        # A cursor without a step says nothing, except in a resume token: there it says that the job was watched.
        dealt_with = since is not None and since.begun
        if since is not None and not since.ended and (dealt_with or since.checkpoints or named):
            history = History(name, work, seeks=True, resumed=since, shared=True)
            return cls(history, Readings(begun=dealt_with), based=since)
        ended = since if since is not None and since.ended else None
        return cls(History(name, work, born=born, seeks=True), Readings(begun=dealt_with, ended_before=ended))

    @classmethod
    def of_the_past(cls, cursor: Cursor, state: JobState = JobState.ACTIVE) -> Self:
        """Return what is kept of a job that has ended, so that a list can show that it was made anew, and only that."""
        history = History(cursor.job, state=state, resumed=cursor)
        history.end(events.Lost, Moment(0.0, datetime.now(UTC)), reason=LostReason.DETACHED)
        return cls(history, discovered=True, past=True)

    @classmethod
    def resumed_from(cls, former: Self) -> Self:
        """Return a job that continues the story of one that was discarded.

        It is another object, because a look at the former may be under way: what that finds out is nobody's business.
        """
        job = cls(former.history, former.readings, former.based, former.discovered)
        job.reports, job.looks.source = former.reports, former.looks.source
        return job

    @property
    def name(self) -> str:
        """The job's name."""
        return self.history.name

    @property
    def finished(self) -> bool:
        """Whether the last event was reported."""
        return self.discarded or self.history.finished

    @property
    def end_read(self) -> bool:
        """Whether the end was read, by a reader of snapshots if there was any."""
        readings = self.readings
        return self.finished and (readings.ended_before is not None or readings.marks == len(self.reports.marks))

    def report(self, reported: Iterable[Event]) -> list[Row]:
        """Put events into the story and return those among them that the log holds."""
        reported = list(reported)
        for event in reported:
            if isinstance(event, events.Added):
                self.past = False
                self.discovered = self.discovered or event.origin == Origin.DISCOVERED
                if event.origin == Origin.RECREATED:
                    self.readings.ended_before = None
        return self.reports.add(reported)

    def detach(self, now: Moment) -> list[Event]:
        """End the watching, though not the story, and return what is reported of it."""
        self.discarded = True
        return [] if self.history.finished else [last_event(self.history, events.Lost, now, reason=LostReason.DETACHED)]

    def cursor(self, index: int, mark: int) -> str:
        """Return the cursor of somebody who was given everything before a snapshot and a mark."""
        marks, log = self.reports.marks, self.history.log
        # With everything dealt with, the history's own cursor is right even if no event has carried it yet.
        if index >= len(log) and not any(_is_covered(each.event) for each in marks[mark:]):
            return self.history.cursor
        before = mark - 1 if mark and marks[mark - 1].at == index else None
        if before is None:
            return cursor_at(log, index, based=True)
        if is_terminal(marks[before].event) and mark < len(marks):
            before = mark  # the job was made anew, and that story is not over
        return marks[before].event.cursor

    @property
    def read_to(self) -> tuple[int, int]:
        """The snapshot and the mark before which everything was given to those who have left."""
        readings = self.readings
        if readings.begun or not readings.marks:
            return readings.snapshots, readings.marks
        return self.reports.marks[readings.marks - 1].at, readings.marks
