"""A subscription: a plain object that gives one consumer the events it wants, each once and in order."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Generic, Self, TypeVar, cast, get_args

import anyio
import anyio.lowlevel
import attrs

from gemtune import events
from gemtune.errors import MisuseError
from gemtune.events import Event
from gemtune.story.cursor import Cursor
from gemtune.watch.board import Board
from gemtune.watch.place import Place, had, has_end
from gemtune.watch.record import Record
from gemtune.watch.resume_token import ResumeToken

E_co = TypeVar("E_co", bound=Event, covariant=True)

_YIELD_EVERY: Final = 64
_STEPS: Final = frozenset({events.Snapshot, events.Progress, events.Restarted})


@attrs.define(eq=False, repr=False)
class Subscription(AsyncIterator[E_co], Generic[E_co]):
    """The events of some jobs, or all: iterate over it, and leave it whenever you like.

    It holds no task and no scope: it may be read by another task, a time-out around one ``anext`` loses nothing, and
    when it is dropped it is gone. It ends by itself once all its jobs have ended, and when the watcher is closed.
    Names with an underscore are for the board, which tells it what is new.
    """

    _board: Board
    _names: frozenset[str] | None = None
    _kinds: frozenset[type[Event]] | None = None
    _since: MutableMapping[str, Cursor] = attrs.field(factory=dict)
    """What its owner has had, of jobs that it has yet to meet."""
    _bookmarks: float | None = None
    _counts: bool = attrs.field(default=True, kw_only=True)
    """Whether a resume token waits for this subscription."""
    _watcher: object = attrs.field(default=None, kw_only=True)
    """Held, so that a watcher lives as long as anybody reads."""
    closed: bool = attrs.field(default=False, init=False)
    delivered: int = attrs.field(default=0, init=False)
    _open: int = attrs.field(default=0, init=False)
    _met: bool = attrs.field(default=False, init=False)
    _places: dict[Record, Place] = attrs.field(factory=dict, init=False)
    _dirty: OrderedDict[Record, None] = attrs.field(factory=OrderedDict, init=False)
    _reading: Record | None = attrs.field(default=None, init=False)
    _replay: tuple[Record, int, Iterator[events.Snapshot]] | None = attrs.field(default=None, init=False)
    _news: anyio.Event | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Meet the jobs that are there, those first whose turn it was next."""
        self._board.attend(self)
        turns = {name: turn for turn, name in enumerate(self._since)}
        records = sorted(self._board.records.values(), key=lambda record: turns.get(record.name, -1))
        for record in [self._board.service, *records]:
            self._meet(record)

    def __repr__(self) -> str:
        """Return what it is about and how far it is."""
        about = "all jobs" if self._names is None else f"{len(self._names)} jobs"
        state = "closed" if self.closed else f"{self._open} open, {self.backlog} with news"
        return f"<Subscription to {about}: {state}, {self.delivered} delivered>"

    @property
    def backlog(self) -> int:
        """How many jobs have something to tell."""
        return len(self._dirty)

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> E_co:
        """Return the next event, waiting for it.

        Raises:
            MisuseError: The watcher is not running.
        """
        if self.delivered % _YIELD_EVERY == _YIELD_EVERY - 1:
            # Whoever always finds something ready must still let others run; cancelled here, nothing is lost.
            await anyio.lowlevel.checkpoint()
        deadline: float | None = None
        while True:
            event = self.next_nowait()
            if event is not None:
                return event
            if self._over():
                raise StopAsyncIteration
            if not self._board.running:
                raise MisuseError("the watcher is not running: enter it with 'async with', or await its start()")
            if self._news is None:
                self._news = anyio.Event()
            if deadline is None:  # one for each call: what nobody wants to know must not put off a bookmark
                deadline = math.inf if self._bookmarks is None else anyio.current_time() + self._bookmarks
            with anyio.CancelScope(deadline=deadline) as waiting:
                await self._news.wait()
            if waiting.cancelled_caught and not self._dirty and not self._over():
                return cast(E_co, events.Bookmark(job="", cursor="", observed_at=datetime.now(UTC)))

    def next_nowait(self) -> E_co | None:
        """Return the next event if there is one now."""
        while self._dirty and not self.closed:
            record = next(iter(self._dirty))
            place = self._places[record]
            if record is not self._reading:  # a story of the same name may have been read to its end meanwhile
                self._reading, place.since = record, self._since.get(record.name)
            event = self._next_of(record, place)
            if event is not None:
                if place.stranger:
                    event = place.restamped(record, event)
                self.delivered += 1
                self._board.delivered += 1
                return cast(E_co, event)
            del self._dirty[record]
            if record.discarded:
                self._part(record)
            elif record.ended:
                self._board.settle(record)
        return None

    async def next_batch(self, max_items: int = 256, *, max_wait: float | None = None) -> list[E_co]:
        """Return what is ready, at least one event if there is one within a time.

        Args:
            max_items: How many events at most.
            max_wait: Seconds to wait for the first; None waits for it, or for the end.

        Returns:
            The events; none after the time, and at the end.
        """
        batch: list[E_co] = []
        with anyio.move_on_after(max_wait):
            try:
                batch.append(await self.__anext__())
            except StopAsyncIteration:
                return batch
        while len(batch) < max_items and (event := self.next_nowait()) is not None:
            batch.append(event)
        return batch

    def resume_token(self) -> str:
        """Return what was given here, of all its jobs, as text from which ``subscribe(since=...)`` goes on.

        Give it the same jobs and kinds there. It takes some 100 characters for each job, so that for up to 30 of them
        it fits a header, and with it the id of an event of a stream over HTTP.

        Raises:
            MisuseError: It was closed, and has forgotten its jobs.
        """
        if self.closed:
            raise MisuseError("the subscription is closed: take its resume_token() before, such as after every event")
        turns = [record for record in [*self._dirty, *self._places] if record.history is not None]
        left = {record.name: self._places[record].cursor(record) for record in turns if record.discarded}
        jobs = {record.name: self._places[record].cursor(record) for record in turns if not record.discarded}
        met = left.keys() | jobs.keys()
        before = [str(self._since[name]) for name in self._since if name not in met and self._is_about(name)]
        return ResumeToken.text([*jobs.values(), *before], self._board.began, left.values())

    def close(self) -> None:
        """End it now, also under whoever waits for it; a second time changes nothing."""
        if not self.closed:
            self.closed = True
            self._dirty.clear()
            self._places.clear()
            self._replay = self._reading = None
            self._board.leave(self)
            self._wake()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _meet(self, record: Record) -> None:
        """Begin with a record that is new to this subscription."""
        if not self._concerns(record) or record.past:
            return
        since = self._since.get(record.name)
        self._met = self._met or record.history is not None
        place = self._places[record] = Place(since)
        known = since is not None or (record.begun and not record.read)
        place.replayed = None if known else record.read
        if record.recovery is not None:
            place.trouble = record.trouble
        place.stranger = record.based is not since
        self._notice(record)

    def _notice(self, record: Record) -> None:
        """Take notice of news."""
        place = self._places.get(record)
        if place is None:
            self._meet(record)
            return
        goes_on = record.history is not None and not record.finished and not self._has_end(record)
        self._open += goes_on - place.open
        place.open = goes_on
        self._dirty[record] = None
        self._wake()

    def _part(self, record: Record) -> None:
        """Forget a job that has ended and is watched no longer, once it was read."""
        if record.ended and record in self._places and record not in self._dirty:
            del self._places[record]
            self._reading = None
            history = record.history
            assert history is not None  # noqa: S101 - the service does not end
            self._since[record.name] = Cursor(job=record.name, created=history.log.now.created, ended=True)

    def _follow(self, former: Record, record: Record) -> None:
        """Go on with a job that was discarded and is watched again."""
        if former in self._places:
            self._places[record] = self._places.pop(former)
            self._replay = self._reading = None
        if former in self._dirty:
            del self._dirty[former]
            self._dirty[record] = None

    def _is_behind(self, record: Record) -> bool:
        """Return whether it has yet to read something of a job."""
        return record in self._dirty

    def _wake(self) -> None:
        """Wake whoever waits."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def _wants_steps(self, record: Record) -> bool:
        """Return whether it wants to know of each step of a job."""
        return self._concerns(record) and (self._kinds is None or not self._kinds.isdisjoint(_STEPS))

    @property
    def _wants_snapshots(self) -> bool:
        """Whether it is given every snapshot."""
        return self._wanted(events.Snapshot)

    def _read_to(self, record: Record) -> tuple[int, int]:
        """Return the snapshot and the mark of a job before which everything was delivered or passed over."""
        place = self._places.get(record, Place())
        return place.index, place.mark

    def _has_end(self, record: Record) -> bool:
        """Return whether its owner has had the end of a job before."""
        return has_end(record, self._since.get(record.name))

    def _concerns(self, record: Record) -> bool:
        """Return whether it is about a job; the service concerns all."""
        return record.history is None or self._is_about(record.name)

    def _is_about(self, name: str) -> bool:
        return self._names is None or name in self._names

    def _over(self) -> bool:
        endless = self._names is None and (self._board.endless or not self._met)
        if self.closed or (self._open == 0 and not endless):
            return True
        if self._board.error is not None:
            raise self._board.error
        return self._board.closed

    def _wanted(self, kind: type[Event]) -> bool:
        return self._kinds is None or kind in self._kinds

    def _next_of(self, record: Record, place: Place) -> Event | None:
        """Return the next event of one job that is wanted, and step over it."""
        while True:
            mark = record.marks[place.mark] if place.mark < len(record.marks) else None
            if mark is not None and mark.at <= place.index:
                if record.is_taken_back(place.mark):
                    place.mark += 2
                    continue
                if record.is_last(place.mark) and (event := self._latest(record, place)) is not None:
                    return event
                place.mark += 1
                if self._wants_snapshots or (self._counts and not record.begun):
                    record.marks_read = max(record.marks_read, place.mark)
                if self._wanted(type(mark.event)) and not had(record, mark, place.since):
                    return record.whole(mark)
            elif place.index < record.snapshots:
                end = record.snapshots if mark is None else mark.at
                event = self._snapshot(record, place, end)
                if event is not None:
                    return event
            else:
                return self._latest(record, place)

    def _snapshot(self, record: Record, place: Place, end: int) -> events.Snapshot | None:
        """Return the next wanted snapshot before ``end``."""
        if not self._wanted(events.Snapshot):
            place.index = end
            return None
        if place.replayed is None:
            place.replayed = record.snapshots
        since = place.since
        if has_end(record, since):
            place.index = end
        while place.index < end:
            index = place.index
            place.index += 1
            if since is None or record.history is None or not record.history.log.had(index, since):
                record.give(index)
                place.given = True
                return self._event(record, place, index, max(place.replayed, record.resumed))
        return None

    def _event(self, record: Record, place: Place, index: int, replayed: int) -> events.Snapshot:
        if place.stranger:
            event = self._again(record, index, replayed)
            based, history = record.based, record.history
            again = based is not None and history is not None and history.log.had(index, based)
            return attrs.evolve(event, replayed=event.replayed or again)
        made = self._board.snapshot(record, index)
        if made is None:
            return self._again(record, index, replayed)
        return made if made.replayed or index >= replayed else attrs.evolve(made, replayed=True)

    def _again(self, record: Record, index: int, replayed: int) -> events.Snapshot:
        """Make a snapshot's event again from the log, those after it at hand."""
        former, place, iterator = self._replay or (None, 0, None)
        event = next(iterator, None) if iterator is not None and former is record and place == index else None
        if event is None or iterator is None:  # it ends where the log did when it was made
            history = record.history
            assert history is not None  # noqa: S101 - the service has no snapshots
            iterator = history.log.replay(datetime.now(UTC), index, replayed=replayed)
            event = next(iterator)
        self._replay = (record, index + 1, iterator) if index + 1 < record.snapshots else None
        return event

    def _latest(self, record: Record, place: Place) -> Event | None:
        """Return the latest outage, its end or the latest progress, if it is news."""
        if has_end(record, place.since):
            return None
        trouble = self._trouble(record, place)
        if trouble is not None:
            return trouble
        if record.progress is not place.progress:
            place.progress = record.progress
            if record.progress is not None and self._wanted(events.Progress):
                return record.progress
        return None

    def _trouble(self, record: Record, place: Place) -> events.Degraded | events.Recovered | None:
        """Return an outage and then its end; those that a reader has slept through between the two are one with it."""
        if record.trouble is not place.trouble and not place.degraded:
            place.trouble, place.degraded = record.trouble, record.trouble is not None
            if record.trouble is not None and self._wanted(events.Degraded):
                return record.trouble
        if place.degraded and (record.recovery is not None or record.trouble is None):
            place.trouble, place.degraded = record.trouble, False
            if self._wanted(events.Recovered):
                return record.recovery
        return None


KINDS: Final[dict[str, type[Event]]] = {kind.kind: kind for kind in get_args(Event)}
"""The classes of events by their kind."""
