"""Where one reader is in the story of one job, and what the cursor with which it came says of that."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from gemtune import events
from gemtune.events import Event, is_terminal
from gemtune.story.cursor import Cursor, parse_cursor, steps_of
from gemtune.story.measures import checkpoint_number
from gemtune.story.replay import cursor_at, is_update, update_of
from gemtune.story.replay import had as has_had
from gemtune.story.replay import replay as replayed_from
from gemtune.watch.record import Mark, Outages, Row, WatchedJob

_KEPT: Final = 1024
_ROWS: Final = frozenset({events.Snapshot, events.SnapshotUpdated})
_STEPS: Final = _ROWS | {events.Progress, events.Restarted, events.CheckpointReady}


@attrs.frozen
class Interest:
    """What a reader wants.

    Args:
        names: Of which jobs; None: of all.
        kinds: Which events; None: all.
        counts: Whether a resume token of the watcher waits for this reader.
    """

    names: frozenset[str] | None = None
    kinds: frozenset[type[Event]] | None = None
    counts: bool = True

    def is_about(self, name: str) -> bool:
        """Return whether it is about a job."""
        return self.names is None or name in self.names

    def wants(self, kind: type[Event]) -> bool:
        """Return whether events of a class are wanted."""
        return self.kinds is None or kind in self.kinds

    @property
    def rows(self) -> bool:
        """Whether snapshots are wanted, or what completes them."""
        return self.kinds is None or not self.kinds.isdisjoint(_ROWS)

    @property
    def steps(self) -> bool:
        """Whether anything is wanted that is reported of each step, for which a list is not enough."""
        return self.kinds is None or not self.kinds.isdisjoint(_STEPS)


@attrs.define(eq=False)
class KeptSnapshots:
    """The latest snapshot events as they were made; older ones are made again from the log."""

    _events: OrderedDict[tuple[WatchedJob, int], Row] = attrs.field(factory=OrderedDict, init=False)

    def put(self, job: WatchedJob, fresh: list[Row]) -> None:
        """Keep the events of the newest snapshots of a job."""
        for index, event in enumerate(fresh, len(job.history.log) - len(fresh)):
            self._events[job, index] = event
        while len(self._events) > _KEPT:
            self._events.popitem(last=False)

    def find(self, job: WatchedJob, index: int) -> Row | None:
        """Return the event of a snapshot, if it is still there."""
        return self._events.get((job, index))

    def forget(self, job: WatchedJob) -> None:
        """Keep nothing of a job any longer."""
        if self._events:
            for index in range(len(job.history.log)):
                self._events.pop((job, index), None)


@attrs.define(eq=False)
class Replay:
    """The snapshots of one job at a time, made events again for one reader."""

    kept: KeptSnapshots
    _next: tuple[WatchedJob, int, Iterator[Row]] | None = attrs.field(default=None, init=False)

    def event(self, job: WatchedJob, index: int, replayed: int, *, stranger: bool, since: Cursor | None) -> Row:
        """Return the event of a snapshot.

        Args:
            job: Its job.
            index: Its number.
            replayed: How many snapshots may have been delivered to the reader before.
            stranger: Whether the reader has not had what the job's history was resumed from.
            since: The cursor of a stranger.
        """
        if stranger:
            event = self._again(job, index, replayed, based=False, since=since)
            again = job.based is not None and has_had(job.history.log, index, job.based)
            return attrs.evolve(event, replayed=event.replayed or again)
        made = self.kept.find(job, index)
        if made is None:
            return self._again(job, index, replayed, based=True)
        return made if made.replayed or index >= replayed else attrs.evolve(made, replayed=True)

    def forget(self) -> None:
        """Let go of the job."""
        self._next = None

    def _again(self, job: WatchedJob, index: int, replayed: int, *, based: bool, since: Cursor | None = None) -> Row:
        # A reader that catches up takes one snapshot after the other; to begin anew for each would be quadratic.
        former, place, iterator = self._next or (None, 0, None)
        event = next(iterator, None) if iterator is not None and former is job and place == index else None
        if event is None or iterator is None:  # it ends where the log did when it was made
            log, utc = job.history.log, datetime.now(UTC)
            iterator = replayed_from(log, utc, index, replayed=replayed, based=based, since=since)
            event = next(iterator)
        self._next = (job, index + 1, iterator) if index + 1 < len(job.history.log) else None
        return event


@attrs.define(eq=False)
class OutagePosition:
    """Which outage, of a job or of the service, a reader was told of last."""

    # The last that was reported, or that was over before the reader came.
    _seen: events.Degraded | None = None
    # Whether it was reported and its end was not.
    _open: bool = False

    def begin(self, outages: Outages) -> None:
        """Begin to read: an outage that is over is no news."""
        if outages.recovery is not None:
            self._seen = outages.trouble

    def next(self, outages: Outages, interest: Interest) -> events.Degraded | events.Recovered | None:
        """Return an outage and then its end; what the reader has slept through between the two is one with it."""
        if outages.trouble is not self._seen and not self._open:
            self._seen, self._open = outages.trouble, outages.trouble is not None
            if outages.trouble is not None and interest.wants(events.Degraded):
                return outages.trouble
        if self._open and (outages.recovery is not None or outages.trouble is None):
            self._seen, self._open = outages.trouble, False
            if interest.wants(events.Recovered):
                return outages.recovery
        return None


@attrs.define(eq=False)
class Position:
    """Where a reader is in one job's story, of which its owner has had what ``since`` says."""

    since: Cursor | None = None
    # Whether the job's history and the reader were resumed from different cursors, if from any.
    stranger: bool = False
    index: int = attrs.field(default=0, init=False)
    mark: int = attrs.field(default=0, init=False)
    # Whether the job's end has yet to come.
    open: bool = attrs.field(default=False, init=False)
    _given: bool = attrs.field(default=False, init=False)
    # How many snapshots may have been delivered before; None: those that are there when the first is.
    _replayed: int | None = attrs.field(default=0, init=False)
    _progress: events.Progress | None = attrs.field(default=None, init=False)
    _outage: OutagePosition = attrs.field(factory=OutagePosition, init=False)

    @classmethod
    def at_the_beginning(cls, job: WatchedJob, since: Cursor | None) -> Position:
        """Return the position of a reader that is new to a job."""
        self = cls(since, job.based is not since)
        # Snapshots that others were given before this reader came are marked as replayed, unless its own cursor tells.
        known = since is not None or (job.readings.begun and not job.readings.snapshots)
        self._replayed = None if known else job.readings.snapshots
        self._outage.begin(job.reports.outages)
        return self

    def next(self, job: WatchedJob, interest: Interest, replay: Replay) -> Event | None:
        """Return the next event that is wanted, and step over it."""
        event = self._next(job, interest, replay)
        if event is None or not self.stranger or isinstance(event, Row) or is_terminal(event):
            return event
        # Its cursor is of somebody who has had what the history was resumed from.
        return attrs.evolve(event, cursor=self._of_a_stranger(job))

    def cursor(self, job: WatchedJob) -> str:
        """Return the cursor of what was given here of a job."""
        if self.since is not None and has_end(job, self.since):
            return str(self.since)
        over = job.history.finished and self.mark == len(job.reports.marks)
        return self._of_a_stranger(job) if self.stranger and not over else job.cursor(self.index, self.mark)

    def _of_a_stranger(self, job: WatchedJob) -> str:
        if self._given:
            return cursor_at(job.history.log, self.index, since=self.since, passed=self._passed(job))
        since = self.since or Cursor(job=job.name)
        if passed := self._passed(job):
            had = steps_of({*passed, *(number for run in since.checkpoints for number in run)})
            since = attrs.evolve(since, checkpoints=tuple(had.ranges))
        return str(since)

    def _passed(self, job: WatchedJob) -> set[int]:
        """Return the checkpoints that were delivered here, or passed over."""
        passed = [mark.event for mark in job.reports.marks[: self.mark]] if job.history.log.now.checkpoints else []
        ready = [event.checkpoint for event in passed if isinstance(event, events.CheckpointReady)]
        return {checkpoint_number(checkpoint.checkpoint_id) for checkpoint in ready}

    def _next(self, job: WatchedJob, interest: Interest, replay: Replay) -> Event | None:
        reports = job.reports
        while True:
            mark = reports.marks[self.mark] if self.mark < len(reports.marks) else None
            if mark is not None and mark.at <= self.index:
                # Discarded and added again before it was read: the reader need not know that the job was ever away.
                if reports.is_taken_back(self.mark):
                    self.mark += 2
                    continue
                # The latest progress comes before the end, because nothing comes after it.
                if reports.is_last(self.mark) and (event := self._latest(job, interest)) is not None:
                    return event
                self.mark += 1
                # Whoever waits for ends only passes over snapshots that others have yet to read: once anybody reads
                # snapshots, a resume token must not take that passing for reading.
                if interest.counts and (interest.rows or not job.readings.begun):
                    job.readings.passed(self.mark)
                if interest.wants(type(mark.event)) and not had(job, mark, self.since):
                    return reports.whole(mark)
            elif self.index < len(job.history.log):
                end = len(job.history.log) if mark is None else mark.at
                if (row := self._row(job, end, interest, replay)) is not None:
                    return row
            else:
                return self._latest(job, interest)

    def _row(self, job: WatchedJob, end: int, interest: Interest, replay: Replay) -> Row | None:
        """Return the next snapshot before ``end``, or the next completion of one, that is wanted."""
        log, since = job.history.log, self.since
        if not interest.rows:
            self.index = end
            return None
        if self._replayed is None:  # not at its coming: what is reported between that and its first reading is old too
            self._replayed = len(log)
        if has_end(job, since):
            self.index = end
        while self.index < end:
            index = self.index
            self.index += 1
            if since is not None and has_had(log, index, since):
                continue
            # Of a step that its owner has had, only what was missing is new.
            known = since is not None and has_had(log, index, since, whole=False)
            if not interest.wants(events.SnapshotUpdated if known or is_update(log, index) else events.Snapshot):
                continue
            if interest.counts:
                job.readings.gave(index)
            self._given = True
            replayed = max(self._replayed, job.reports.replayed)
            event = replay.event(job, index, replayed, stranger=self.stranger, since=since)
            return update_of(event) if known and isinstance(event, events.Snapshot) else event
        return None

    def _latest(self, job: WatchedJob, interest: Interest) -> Event | None:
        """Return the latest outage, its end or the latest progress, if it is news."""
        if has_end(job, self.since):
            return None
        outage = self._outage.next(job.reports.outages, interest)
        if outage is not None:
            return outage
        if job.reports.progress is not self._progress:
            self._progress = job.reports.progress
            if self._progress is not None and interest.wants(events.Progress):
                return self._progress
        return None


def has_end(job: WatchedJob, since: Cursor | None) -> bool:
    """Return whether a cursor's owner has had the end of a job, and no other was made under the name since."""
    return since is not None and since.ended and not 0 < since.created < job.history.log.now.created


def had(job: WatchedJob, mark: Mark, since: Cursor | None) -> bool:
    """Return whether a cursor's owner has dealt with a mark."""
    if since is None:
        return False
    # Attempts are counted by whoever looks, and a cursor does not hold marks: incarnation and newest time decide.
    then = parse_cursor(mark.event.cursor)
    if since.created and then.created and then.created != since.created:
        return then.created < since.created
    if since.ended or is_terminal(mark.event):
        return since.ended
    if isinstance(mark.event, events.CheckpointReady):
        return since.has_checkpoint(checkpoint_number(mark.event.checkpoint.checkpoint_id))
    if isinstance(mark.event, events.Restarted):  # whoever had a snapshot of the new run was told of it before
        log = job.history.log
        return mark.at < len(log) and has_had(log, mark.at, since)
    return then.newest < since.newest
