"""One watched job: its history, and what has been told of it in an order that any subscriber can read again."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Self

import attrs

from gemtune import events
from gemtune.events import Event, JobState, LostReason, Origin, is_terminal
from gemtune.story.cursor import Cursor
from gemtune.story.history import History
from gemtune.story.observation import Moment, Source
from gemtune.story.snapshots import SnapshotLog
from gemtune.types import TuningSnapshot
from gemtune.watch.agenda import Item


@attrs.frozen
class Mark:
    """An event that is kept.

    Args:
        at: The number of the snapshot before which it stands.
        event: The event.
        lean: Whether the snapshots of its model were taken out: as objects they take ten times the memory of the log.
    """

    at: int
    event: Event
    lean: bool = False


@attrs.define(eq=False)
class Record(Item):
    """A job and its story.

    Snapshots stand in the history's compact log. Between them stand the marks: the events that nobody may miss, of
    which there are as many as a job has changes of state. Of progress and of trouble only the latest is kept.

    Args:
        history: What is known of the job; None for the record of the service as a whole.
    """

    history: History | None
    marks: list[Mark] = attrs.field(factory=list, init=False)
    progress: events.Progress | None = attrs.field(default=None, init=False)
    trouble: events.Degraded | None = attrs.field(default=None, init=False)
    """The latest outage."""
    recovery: events.Recovered | None = attrs.field(default=None, init=False)
    """Its end, if it is over."""
    read: int = attrs.field(default=0, init=False)
    """How many snapshots somebody has been given."""
    begun: bool = attrs.field(default=False, init=False)
    """Whether somebody reads its snapshots, now or before a resume token: its end then counts only after them."""
    ended_before: Cursor | None = attrs.field(default=None, init=False)
    """With which cursor its end was dealt with before, unless somebody has read it from the beginning again."""
    marks_read: int = attrs.field(default=0, init=False)
    """How many marks were given to, or passed over by, somebody whose reading of the end counts."""
    based: Cursor | None = attrs.field(default=None, init=False)
    """The cursor from which its history went on; the cursors of its events say that its steps were had, too."""
    resumed: int = attrs.field(default=0, init=False)
    """How many snapshots the owner of a resume token may have been given."""
    discovered: bool = attrs.field(default=False, init=False)
    discarded: bool = attrs.field(default=False, init=False)
    past: bool = attrs.field(default=False, init=False)
    """Whether it only holds the place of a job that has ended and of which nobody has anything left to read."""
    source: Source = attrs.field(default=Source.JOB, init=False)
    created: int = attrs.field(default=0, init=False)
    """When it was created (ns), as a list said."""
    looking: bool = attrs.field(default=False, init=False)
    failures: int = attrs.field(default=0, init=False)
    """Failed looks in a row that count against the service and not against the job."""
    failing_since: float = attrs.field(default=0.0, init=False)
    denied_since: float | None = attrs.field(default=None, init=False)
    covered: float | None = attrs.field(default=None, init=False)
    """When a sweep showed it last."""

    @classmethod
    def of_the_past(cls, cursor: Cursor, state: JobState = JobState.ACTIVE) -> Self:
        """Return what is kept of a job that has ended, so that a list can show that it was made anew, and only that."""
        history = History(cursor.job)
        history.log.identify(cursor.created)
        history.state = state
        history.outcome = events.Lost(
            job=cursor.job, cursor=str(cursor), observed_at=datetime.now(UTC), reason=LostReason.DETACHED
        )
        record = cls(history)
        record.past = record.discovered = True
        return record

    @property
    def name(self) -> str:
        """The job's name; empty for the service."""
        return "" if self.history is None else self.history.name

    @property
    def finished(self) -> bool:
        """Whether the last event has been told; the service never ends."""
        return self.history is not None and (self.discarded or self.history.finished)

    @property
    def ended(self) -> bool:
        """Whether the job itself has come to its end, of which nobody has to be told again."""
        return self.history is not None and self.history.finished

    @property
    def snapshots(self) -> int:
        """How many snapshots stand in the log, of all attempts."""
        return 0 if self.history is None else len(self.history.log)

    def tell(self, told: Iterable[Event]) -> list[events.Snapshot]:
        """Put events into the story and return the snapshots among them, which the log holds already."""
        told = list(told)
        fresh = [event for event in told if isinstance(event, events.Snapshot)]
        at = self.snapshots - len(fresh)
        for event in told:
            match event:
                case events.Snapshot(replayed=replayed):
                    at += 1
                    self.resumed = at if replayed else self.resumed
                case events.Progress():
                    self.progress = event
                case events.Degraded():
                    self.trouble, self.recovery = event, None
                case events.Recovered():
                    self.recovery = event
                case events.Added(origin=origin):
                    self.past = False
                    self.ended_before = None if origin == Origin.RECREATED else self.ended_before
                    self.discovered = self.discovered or origin == Origin.DISCOVERED
                    self.progress = self.trouble = self.recovery = None
                    self.marks.append(Mark(at, event))
                case events.Succeeded():
                    self.marks.append(_lean(at, event))
                    if self.history is not None and self.history.outcome is event:
                        self.history.outcome = self.marks[-1].event  # type: ignore[assignment]
                case _:
                    self.marks.append(Mark(at, event))
        return fresh

    def detach(self, now: Moment) -> list[Event]:
        """End the watching, though not the story, and return what is told of it.

        A look that is under way holds the history; it gets one that has ended, so that it can change nothing here.
        """
        ended, self.history = self.history, copy.copy(self.history)
        self.discarded = True
        if ended is None or ended.finished:
            return []
        told: list[Event] = list(ended.end(events.Lost, now, reason=LostReason.DETACHED))
        ended.log = SnapshotLog(ended.name)
        return told

    def renewed(self) -> Record:
        """Return a record that goes on with the story of this one, which was discarded."""
        record = copy.copy(self)
        record.due, record._entry = None, 0
        record.discarded = record.looking = False
        record.failures, record.denied_since, record.covered = 0, None, None
        return record

    @property
    def end_read(self) -> bool:
        """Whether the end was read, by a reader of snapshots if there was any."""
        return self.finished and (self.ended_before is not None or self.marks_read == len(self.marks))

    def give(self, index: int) -> None:
        """Note that somebody was given a snapshot."""
        if not self.begun:
            self.begun, self.marks_read = True, 0
        self.ended_before = None
        self.read = max(self.read, index + 1)

    def whole(self, mark: Mark) -> Event:
        """Return the event of a mark as it was told."""
        event = mark.event
        if not mark.lean or self.history is None or not isinstance(event, events.Succeeded):
            return event
        snapshots = sorted(self.history.log.run(mark.at), key=lambda snapshot: snapshot.step)
        return _with_snapshots(event, tuple(snapshots))

    def cursor(self, index: int, mark: int) -> str:
        """Return the cursor of somebody who was told everything before a snapshot and a mark."""
        history = self.history
        assert history is not None  # noqa: S101 - nobody resumes the service's own record
        if index >= self.snapshots and not any(is_terminal(each.event) for each in self.marks[mark:]):
            return history.cursor
        before = mark - 1 if mark and self.marks[mark - 1].at == index else None
        if before is None:
            return history.log.cursor(index)
        if is_terminal(self.marks[before].event) and mark < len(self.marks):
            before = mark  # the job was made anew, and that story is not over
        return self.marks[before].event.cursor

    @property
    def read_to(self) -> tuple[int, int]:
        """The snapshot and the mark before which everything was told to those who have left."""
        if self.begun or not self.marks_read:
            return self.read, self.marks_read
        return self.marks[self.marks_read - 1].at, self.marks_read

    def is_taken_back(self, place: int) -> bool:
        """Return whether a mark tells that the job was discarded, after which it was added again."""
        event = self.marks[place].event
        detached = isinstance(event, events.Lost) and event.reason == LostReason.DETACHED
        return detached and place < len(self.marks) - 1

    def is_last(self, place: int) -> bool:
        """Return whether a mark is the end of the story, as far as is known."""
        return place == len(self.marks) - 1 and is_terminal(self.marks[place].event)


def _lean(at: int, event: events.Succeeded) -> Mark:
    task = event.model.tuning_task
    if task is None or not task.snapshots:
        return Mark(at, event)
    return Mark(at, _with_snapshots(event, ()), lean=True)


def _with_snapshots(event: events.Succeeded, snapshots: tuple[TuningSnapshot, ...]) -> events.Succeeded:
    task = event.model.tuning_task
    assert task is not None  # noqa: S101 - only such are made lean
    return attrs.evolve(event, model=attrs.evolve(event.model, tuning_task=attrs.evolve(task, snapshots=snapshots)))
