"""A reader: where one consumer is in each job's story, what it wants, and its next event.

It waits for nothing and knows neither the board nor the engine. The board notifies it that there is news of a job;
which news that is it finds out from its position. So a reader takes memory for each job and none for each event, and a
slow one delays nobody. Jobs with news take turns, the one that has waited longest first, and each is read to its end
before the next, so that what is made again from a log is made in one go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping

import anyio
import attrs

from gemtune.events import Event
from gemtune.story.cursor import Cursor
from gemtune.watch.position import Interest, OutagePosition, Position, Replay, has_end
from gemtune.watch.record import ServiceRecord, WatchedJob, fold


@attrs.define(eq=False)
class Reader:
    """What one consumer has read.

    Args:
        interest: What it wants.
        replay: From where it gets snapshots as events.
        since: What its owner has had of jobs that it has yet to meet.
    """

    interest: Interest
    replay: Replay
    since: MutableMapping[str, Cursor] = attrs.field(factory=dict)
    # Whether there was ever a job for it, even one that had ended before it was resumed; until then it waits for one.
    met: bool = attrs.field(default=attrs.Factory(lambda self: bool(self.since), takes_self=True), init=False)
    # Jobs whose end has yet to come.
    open: int = attrs.field(default=0, init=False)
    _positions: dict[WatchedJob, Position] = attrs.field(factory=dict, init=False)
    _service: OutagePosition = attrs.field(factory=OutagePosition, init=False)
    _dirty: OrderedDict[WatchedJob | ServiceRecord, None] = attrs.field(factory=OrderedDict, init=False)
    _reading: WatchedJob | ServiceRecord | None = attrs.field(default=None, init=False)
    _news: anyio.Event | None = attrs.field(default=None, init=False)

    @property
    def backlog(self) -> int:
        """How many jobs have news, the service included."""
        return len(self._dirty)

    def meet(self, record: WatchedJob | ServiceRecord) -> None:
        """Begin with the service, or with a job that is new to this reader, if it is about that job."""
        if isinstance(record, ServiceRecord):
            self._service.begin(record.outages)
            self.notice(record)
        elif self.interest.is_about(record.name) and not record.past:
            self.met = True
            self._positions[record] = Position.at_the_beginning(record, self.since.get(record.name))
            self.notice(record)

    def notice(self, record: WatchedJob | ServiceRecord) -> None:
        """Take notice of news."""
        if isinstance(record, WatchedJob):
            position = self._positions.get(record)
            if position is None:
                self.meet(record)
                return
            # A job that is made anew opens again; a subscription ends only when none is open.
            still_open = not record.finished and not self.has_end(record)
            self.open += still_open - position.open
            position.open = still_open
        self._dirty[record] = None
        self.wake()

    def part(self, job: WatchedJob) -> None:
        """Forget a job that has ended and is watched no longer, or is not remembered, once it was read."""
        if job.forgotten and job not in self._dirty:
            self._positions.pop(job, None)
            self._reading = None
        elif job.history.finished and job in self._positions and job not in self._dirty:
            # What stays is that its owner has had the end: if the job is watched again, it is not delivered again.
            del self._positions[job]
            self._reading = None
            self.since[job.name] = Cursor(job=job.name, created=job.history.log.now.created, ended=True)

    def follow(self, former: WatchedJob, job: WatchedJob) -> None:
        """Continue with a job that was discarded and is watched again."""
        if former in self._positions:
            self._positions[job] = self._positions.pop(former)
            self.replay.forget()
            self._reading = None
        if former in self._dirty:
            del self._dirty[former]
            self._dirty[job] = None

    def folded(self, job: WatchedJob, place: int) -> None:
        """Take in that a pair of marks was taken out of a job's story."""
        if (position := self._positions.get(job)) is not None:
            position.mark = fold(position.mark, place)

    def is_behind(self, job: WatchedJob) -> bool:
        """Return whether it has yet to read something of a job."""
        return job in self._dirty

    def wants_steps(self, job: WatchedJob) -> bool:
        """Return whether it wants to know of each step of a job."""
        return self.interest.steps and self.interest.is_about(job.name)

    def read_to(self, job: WatchedJob) -> tuple[int, int]:
        """Return the snapshot and the mark of a job before which everything was delivered or passed over."""
        position = self._positions.get(job)
        return (position.index, position.mark) if position is not None else (0, 0)

    def has_end(self, job: WatchedJob) -> bool:
        """Return whether its owner has had the end of a job before."""
        return has_end(job, self.since.get(job.name))

    def next(self) -> tuple[WatchedJob | ServiceRecord, Event | None] | None:
        """Return the next event with what it is about, or what was just read to its end; None: there is no news."""
        if not self._dirty:
            return None
        record = next(iter(self._dirty))
        if isinstance(record, WatchedJob):
            position = self._positions[record]
            if record is not self._reading:  # a story of the same name may have been read to its end meanwhile
                self._reading, position.since = record, self.since.get(record.name)
            event = position.next(record, self.interest, self.replay)
        else:
            self._reading, event = record, self._service.next(record.outages, self.interest)
        # It stays first until it has nothing more, so that one log at a time is replayed.
        if event is None:
            del self._dirty[record]
            if isinstance(record, WatchedJob) and record.discarded:
                self.part(record)
        return record, event

    def cursors(self) -> tuple[list[str], list[str]]:
        """Return the cursors of its jobs, those first whose turn is next, and apart those of discarded jobs."""
        turns = {record: None for record in [*self._dirty, *self._positions] if isinstance(record, WatchedJob)}
        left = {job.name: self._positions[job].cursor(job) for job in turns if job.discarded}
        jobs = {job.name: self._positions[job].cursor(job) for job in turns if not job.discarded}
        met = left.keys() | jobs.keys()
        before = [str(self.since[name]) for name in self.since if name not in met and self.interest.is_about(name)]
        return [*jobs.values(), *before], [*left.values()]

    def forget(self) -> None:
        """Forget all jobs."""
        self._dirty.clear()
        self._positions.clear()
        self.replay.forget()
        self._reading = None

    def wake(self) -> None:
        """Wake whoever waits for news."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def wait(self) -> None:
        """Wait until there may be news, or it is woken."""
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()
