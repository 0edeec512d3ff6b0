"""The board: what is reported of all jobs and of the service, and who reads it.

The engine writes on it, readers read from it, and neither knows the other. A change marks the record as news for every
reader that it concerns; nothing is queued. It also knows what may be forgotten, and when:

- a job that was *discovered* in a list and has ended leaves once its end was read by everybody who is there; what
  stays is a small record that holds its place, so that a list can show that a job was made anew under its name;
- a job that was *discarded* leaves at once. Its cursor stays, so that no sweep brings it back, and as long as a reader
  is in the middle of its story, its record can be taken back.

It waits for nothing.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from gemtune import events
from gemtune.events import Event
from gemtune.looks.known import KnownJob
from gemtune.looks.pictured import picture_of
from gemtune.show.picture import JobPicture
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.watch.position import KeptSnapshots
from gemtune.watch.reader import Reader
from gemtune.watch.record import ServiceRecord, WatchedJob

# Discarded jobs that are remembered whole. Each takes 1 to 3 kB, and some 100 characters of a resume token.
_REMEMBERED: Final = 200
# Whole passages without a name before a job counts as gone from the list: a replica may show an older list.
_GONE_AFTER: Final = 10


@attrs.define(eq=False)
class Audience:
    """The readers who are there; one that nobody holds any more is gone."""

    _readers: dict[int, weakref.ref[Reader]] = attrs.field(factory=dict, init=False)
    # Whether one went without a word, so that others may have been waited for in vain.
    somebody_left: bool = attrs.field(default=False, init=False)

    def __iter__(self) -> Iterator[Reader]:
        held = [reference() for reference in list(self._readers.values())]
        return iter([reader for reader in held if reader is not None])

    def add(self, reader: Reader) -> None:
        """Take in a reader."""
        key, audience = id(reader), weakref.ref(self)

        def forget(_: object) -> None:
            if (found := audience()) is not None:
                found._readers.pop(key, None)
                found.somebody_left = True  # no more than that: a collector may call this from anywhere

        self._readers[key] = weakref.ref(reader, forget)

    def remove(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.pop(id(reader), None)

    def forget(self, name: str) -> None:
        """Have every reader forget that it has had a job."""
        for reader in self:
            reader.since.pop(name, None)

    def fold(self, job: WatchedJob) -> None:
        """Take out of a job's story what nobody needs any more."""
        standing = {reader.read_to(job)[1] for reader in self}
        for place in job.reports.fold(standing):
            job.readings.folded(place)
            for reader in self:
                reader.folded(job, place)


@attrs.define(eq=False)
class Absent:
    """What is remembered of jobs that are not watched: discarded ones, and those that were dealt with before the watch.

    A watcher may live for months, so all of it is bounded: by a number, or by what the list shows.

    Args:
        before: What the watch that is resumed has dealt with.
        discovering: Whether a sweep brings in whatever it does not know.
    """

    before: dict[str, Cursor] = attrs.field(factory=dict)
    discovering: bool = False
    # The latest that were discarded and not added again, the oldest first, with what was read of each: whoever adds it
    # again continues there.
    discarded: dict[str, Cursor] = attrs.field(factory=dict, init=False)
    # Older ones, which no sweep must bring back.
    shunned: set[str] = attrs.field(factory=set, init=False)
    # Those discarded that have not ended, as long as there is a reader in the middle of their story.
    _held: weakref.WeakValueDictionary[str, WatchedJob] = attrs.field(factory=weakref.WeakValueDictionary, init=False)
    # In how many passages in a row the list has not shown a name; one alone may be due to a stale replica.
    _unlisted: Counter[str] = attrs.field(factory=Counter, init=False)

    def knows(self, name: str) -> bool:
        """Return whether a job was discarded and must not be discovered again."""
        return name in self.discarded or name in self.shunned

    def discard(self, name: str, cursor: Cursor) -> list[str]:
        """Take in a job of which a cursor says what was read, and return the jobs that are forgotten for it."""
        self.discarded[name] = cursor
        forgotten = list(self.discarded)[: max(len(self.discarded) - _REMEMBERED, 0)]
        for old in forgotten:
            del self.discarded[old]
            self.before.pop(old, None)
            if self.discovering:
                self.shunned.add(old)
        return forgotten

    def hold(self, job: WatchedJob) -> None:
        """Have a discarded job at hand for as long as a reader is in the middle of its story."""
        # Weakly: without such a reader, the cursor says all that is worth keeping.
        if not job.history.finished:
            self._held[job.name] = job

    def take_back(self, name: str) -> WatchedJob | None:
        """Return a discarded job, which is watched again, if a reader has it."""
        return self._held.pop(name, None)

    def added(self, name: str) -> None:
        """Take in that a job is watched."""
        self.discarded.pop(name, None)
        self.shunned.discard(name)

    def not_listed(self, names: Iterable[str]) -> list[str]:
        """Count the names that a whole passage has not shown, and return those that are gone for good."""
        self._unlisted = Counter({name: self._unlisted[name] + 1 for name in names})
        gone = [name for name, count in self._unlisted.items() if count >= _GONE_AFTER]
        self.shunned.difference_update(gone)
        for name in gone:
            del self._unlisted[name]
            self.before.pop(name, None)
        return gone

    def dealt_with(self, name: str) -> Cursor | None:
        """Return the cursor of a job that was watched before, by this watcher or the one that it resumes."""
        return self.discarded.get(name) or self.before.get(name)

    def cursors(self) -> list[str]:
        """Return the cursors of the discarded jobs."""
        return [*(str(Cursor(job=name)) for name in self.shunned), *map(str, self.discarded.values())]


@attrs.define(eq=False)
class Board:
    """The watched jobs by name, the service's own record, and the readers."""

    absent: Absent = attrs.field(factory=Absent)
    jobs: dict[str, WatchedJob] = attrs.field(factory=dict, init=False)
    service: ServiceRecord = attrs.field(factory=ServiceRecord, init=False)
    kept: KeptSnapshots = attrs.field(factory=KeptSnapshots, init=False)
    readers: Audience = attrs.field(factory=Audience, init=False)
    # Jobs whose end was not reported.
    live: int = attrs.field(default=0, init=False)
    # Those of them that the list of jobs shows.
    listed: int = attrs.field(default=0, init=False)
    running: bool = attrs.field(default=False, init=False)
    closed: bool = attrs.field(default=False, init=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    delivered: int = attrs.field(default=0, init=False)
    # Discovered jobs that have ended, until everybody knows.
    _leaving: dict[WatchedJob, None] = attrs.field(factory=dict, init=False)
    # What a person saw last of those that have left since, the latest.
    left: dict[str, JobPicture] = attrs.field(factory=dict, init=False)

    @property
    def watched(self) -> dict[str, WatchedJob]:
        """The jobs without those that only hold the place of one."""
        return {name: job for name, job in self.jobs.items() if not job.past}

    def add(self, job: WatchedJob, reported: Iterable[Event]) -> None:
        """Take in a job under its name."""
        self.jobs[job.name] = job
        self.absent.added(job.name)
        self.live += 1
        self.listed += job.listed
        self.report(job, reported)

    def discard(self, job: WatchedJob, reported: Iterable[Event], cursor: Cursor) -> None:
        """Forget a job but for the cursor of its readers; whoever has yet to read of it still can."""
        del self.jobs[job.name]
        self._leaving.pop(job, None)
        forgotten = self.absent.discard(job.name, cursor)
        self.absent.hold(job)
        self.report(job, reported)
        self._part(job)
        for name in forgotten:
            if (former := self.absent.take_back(name)) is not None:
                former.forgotten = True
                self._part(former)
            self.readers.forget(name)

    def take_back(self, name: str) -> WatchedJob | None:
        """Return a job with which a discarded one continues where its readers are; None if nobody is in its story."""
        former = self.absent.take_back(name)
        if former is None:
            return None
        # Another record, though the same story: a look that is under way for the former must change nothing.
        job = WatchedJob.resumed_from(former)
        for reader in self.readers:
            reader.follow(former, job)
        self.readers.fold(job)
        return job

    def report(self, job: WatchedJob, reported: Iterable[Event]) -> None:
        """Put events into a job's story and notify whoever is concerned."""
        reported = list(reported)
        if not reported:
            return
        self.kept.put(job, job.report(reported))
        ends = sum(events.is_terminal(event) for event in reported)
        begins = sum(isinstance(event, events.Added) and event.origin == events.Origin.RECREATED for event in reported)
        self.live += begins - ends
        self.listed += (begins - ends) * job.listed
        # A job that you named stays until you discard it; one that was found leaves by the way it came.
        if job.discovered and self.jobs.get(job.name) is job:
            if job.history.finished:
                self._leaving[job] = None
            else:
                self._leaving.pop(job, None)
        for reader in self.readers:
            reader.notice(job)
        if self.readers.somebody_left:
            self._settle_all()

    def report_service(self, event: events.Degraded | events.Recovered) -> None:
        """Report the beginning or the end of an outage of the whole service."""
        self.service.outages.report(event)
        for reader in self.readers:
            reader.notice(self.service)

    def attend(self, reader: Reader) -> None:
        """Take in a reader; it meets the jobs that are there, those first whose turn it was next."""
        self.readers.add(reader)
        turns = {name: turn for turn, name in enumerate(reader.since)}
        reader.meet(self.service)
        for job in sorted(self.jobs.values(), key=lambda job: turns.get(job.name, -1)):
            reader.meet(job)

    def leave(self, reader: Reader) -> None:
        """Forget a reader."""
        self.readers.remove(reader)
        self._settle_all()

    def settle(self, job: WatchedJob) -> None:
        """Let go of a discovered job once its end was read, and by everybody who is there."""
        if job not in self._leaving or not job.end_read:
            return
        if not any(reader.is_behind(job) for reader in self.readers):
            del self._leaving[job]
            self.left.pop(job.name, None)
            self.left[job.name] = picture_of(KnownJob(job.history), job.history, datetime.now(UTC))
            if len(self.left) > _REMEMBERED:
                del self.left[next(iter(self.left))]
            self.jobs[job.name] = WatchedJob.of_the_past(parse_cursor(job.history.cursor), job.history.state)
            self._part(job)

    def wants_steps(self, job: WatchedJob) -> bool:
        """Return whether anybody wants to know of each step of a job, for which a list is not enough."""
        return any(reader.wants_steps(job) for reader in self.readers)

    def close(self, error: BaseException | None = None) -> None:
        """Let every reader finish with what there is, or fail with what ended the watch."""
        if not self.closed:
            self.closed, self.error = True, error
            for reader in self.readers:
                reader.wake()

    def cursor_of(self, job: WatchedJob) -> str:
        """Return the cursor up to which all readers of a job have come; who has left counts as far as they came."""
        history, before = job.history, job.readings.ended_before
        if job.past and history.outcome is not None:
            return history.outcome.cursor
        if before is not None and not 0 < before.created < history.log.now.created:
            return str(before)  # its end was dealt with before the resume, and nobody has asked for it since
        counted = [reader for reader in self.readers if reader.interest.counts]
        concerned = [each for each in counted if each.interest.is_about(job.name) and not each.has_end(job)]
        # Who reads snapshots decides; who waits for ends only is as far as it will ever be.
        places = [each.read_to(job) for each in concerned if each.interest.rows]
        over = history.finished and all(each.read_to(job)[1] == len(job.reports.marks) for each in concerned)
        if not places and (job.readings.begun or not concerned):
            over = over and job.end_read  # who waits for ends only passes over snapshots that others have yet to read
        return history.cursor if over else job.cursor(*min(places, default=job.read_to))

    def swept(self, missing: Iterable[str]) -> None:
        """Take in a whole passage through the list, which has not shown some names that are kept for it."""
        for name in self.absent.not_listed(missing):
            if (job := self.jobs.get(name)) is not None and job.past:
                del self.jobs[name]
            self.readers.forget(name)

    def _part(self, job: WatchedJob) -> None:
        self.kept.forget(job)
        for reader in self.readers:
            reader.part(job)

    def _settle_all(self) -> None:
        self.readers.somebody_left = False
        for job in list(self._leaving):
            self.settle(job)
