"""Watcher: what users hold.  Where it lives, which jobs it watches, and the ways to read what it learns."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, cast

import anyio
import anyio.abc

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import InvalidInput, MisuseError
from gemtune.events import Event, JobState, LostReason, TerminalEvent
from gemtune.http.loops import call_soon, on_asyncio
from gemtune.jobs import TuningJob
from gemtune.protocol import names
from gemtune.protocol.cursor import Cursor
from gemtune.protocol.observation import Moment, Source
from gemtune.protocol.reconciler import History
from gemtune.resources.operations import checked_wait
from gemtune.watch.board import Board
from gemtune.watch.checkpoint import Checkpoint
from gemtune.watch.engine import Engine
from gemtune.watch.looks import Looks
from gemtune.watch.planner import Planner
from gemtune.watch.record import Record
from gemtune.watch.results import WaitResult, WatcherStatistics
from gemtune.watch.service import Service
from gemtune.watch.subscription import KINDS, Subscription

if TYPE_CHECKING:
    from gemtune.client import Client

__all__ = ["Watcher"]

_ENDS: Final[frozenset[type[Event]]] = frozenset(events.TERMINAL)


class Watcher:
    """Watches any number of tuning jobs with one schedule, and gives every subscriber the events it wants.

    Use ``async with``; or, where no scope can span (the cells of a notebook, the lifespan of a web application),
    ``await watcher.start()`` and ``await watcher.aclose()``, on asyncio.  Leaving it never touches a job.

    Iterating over it is one subscription to everything; ``subscribe`` makes more.  Subscribers cost no requests.
    """

    def __init__(
        self,
        client: Client,
        jobs: Iterable[object] = (),
        *,
        policy: WatchPolicy,
        filter: str | None = None,
        resume: str | None = None,
    ) -> None:
        """Take in what is to be watched; ``client.watch`` is the usual way here."""
        self._policy = policy
        self._board = Board()
        self._board.endless = filter is not None
        resumed = Checkpoint({}) if resume is None else Checkpoint.parse(resume)
        self._since: Mapping[str, Cursor] = resumed.jobs
        self._began = resumed.since or datetime.now(UTC).timestamp()
        planner = Planner(policy, discovering=filter is not None)
        service = Service(policy, self._board)
        self._engine = Engine(
            policy, self._board, Looks(client, policy), planner, service, filter, int(self._began * 1e9)
        )
        self._group: anyio.abc.TaskGroup | None = None
        self._finished: anyio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._entered = False
        self._default: Subscription[Event] | None = None
        again = [cursor.job for cursor in resumed.jobs.values() if not cursor.ended]
        self.add(*again, *(job for job in _several(jobs) if not self._has_ended(job)))

    def __repr__(self) -> str:
        """Return how many jobs there are, and whether it runs."""
        state = "running" if self._board.running else "closed" if self._board.closed else "not started"
        return f"<Watcher {state}: {len(self._board.records)} jobs, {self._board.live} going on>"

    async def __aenter__(self) -> Self:
        """Begin to watch, until the block is left."""
        self._enter()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._finished = anyio.Event()
        self._group.start_soon(_run, self._engine, self._finished)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the watch; an error of the block comes out as it is, in no group."""
        assert self._group is not None  # noqa: S101 - entered
        assert self._finished is not None  # noqa: S101 - entered
        self._group.cancel_scope.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            self._finished.set()

    async def start(self) -> Self:
        """Begin to watch in a task of its own, until ``aclose``; starting a running watcher changes nothing.

        Raises:
            MisuseError: Under trio, where every task has a parent: use ``async with``.
        """
        if self._task is not None and not self._board.closed:
            return self
        if not on_asyncio():
            raise MisuseError("start() needs asyncio; under trio use 'async with client.watch(...) as watcher'")
        self._enter()
        self._task = asyncio.create_task(self._engine.run(), name="gemtune watcher")
        # A watcher that is forgotten, as by running a notebook's cell again, must not watch for ever.
        weakref.finalize(self, call_soon, asyncio.get_running_loop(), self._engine.stop).atexit = False
        return self

    async def aclose(self) -> None:
        """End the watch; readers finish with what there is.  Jobs go on, and closing twice is harmless."""
        self._engine.stop()
        if self._finished is not None:
            await self._finished.wait()  # the scope is left by the block that entered it
        if self._task is not None:
            await asyncio.wait([self._task])

    def _enter(self) -> None:
        if self._entered:
            raise MisuseError("a watcher watches once: make another with client.watch(..., resume=w.checkpoint())")
        self._entered = self._board.running = True

    def add(self, *jobs: object) -> list[str]:
        """Watch more jobs, at any time; those that are watched already stay as they are.

        Args:
            jobs: Handles, models, or names of models or operations.

        Returns:
            The jobs' names.
        """
        named = [(job, *names.job_names(job)) for job in jobs]
        fresh = []
        for job, name, operation in named:
            if name not in self._board.records:
                record = self._record(job, name, operation)
                self._board.add(record, [_history(record).added(_now())])
                fresh.append(record)
        if fresh:
            self._engine.admit(fresh)
        return [name for _, name, _ in named]

    def discard(self, job: object) -> bool:
        """Watch a job no longer; its subscribers are told Lost with the reason ``detached``, and it goes on.

        Returns:
            Whether it was watched.
        """
        record = self._board.records.get(names.job_names(job)[0])
        if record is None:
            return False
        told = _history(record).lose(LostReason.DETACHED, _now())
        self._engine.agenda.drop(record)
        record.discarded = True
        self._board.tell(record, told)
        self._board.remove(record)
        return True

    @property
    def jobs(self) -> dict[str, JobState]:
        """The watched jobs and their states as of the last look."""
        return {name: _history(record).state for name, record in self._board.records.items()}

    def _record(self, job: object, name: str, operation: str | None) -> Record:
        born: Moment | None = None
        if isinstance(job, TuningJob):
            operation, born = operation or job.operation, job.begun
        since = self._since.get(name)
        if since is None or since.ended:
            history = History(name, operation, born=born)
        else:
            history = History.from_cursor(str(since), operation)
        record = Record(history)
        record.begun = since is not None and since.begun
        record.ended_before = since is not None and since.ended
        record.source = Source.OPERATION if operation is not None else Source.MODEL
        return record

    def _has_ended(self, job: object) -> bool:
        since = self._since.get(names.job_names(job)[0])
        return since is not None and since.ended

    def __aiter__(self) -> Subscription[Event]:
        """Return the watcher's own subscription to everything, always the same."""
        if self._default is None:
            self._default = self.subscribe()
        return self._default

    def subscribe(
        self,
        jobs: Iterable[object] | None = None,
        *,
        kinds: Iterable[str] | None = None,
        since: str | None = None,
        bookmarks: float | None = None,
    ) -> Subscription[Event]:
        """Return the events of some jobs from their beginning, for a consumer of its own.

        Args:
            jobs: Which; those not yet watched are added.  None means all, also those that come later.
            kinds: Which events, by their ``kind``; None means all.  Without ``snapshot``, ``progress`` and
                ``restarted``, many jobs cost no more than a list now and then.
            since: The cursor of an event, or a checkpoint: only what came after it is told.
            bookmarks: Seconds of silence after which a Bookmark is told, as a stream over HTTP needs it.

        Raises:
            InvalidInput: A name, a kind or the cursor is none.
        """
        return self._subscribe(jobs, _classes(kinds), since, bookmarks)

    def as_completed(self, *jobs: object) -> Subscription[TerminalEvent]:
        """Return the last events of the jobs as they come; without jobs, of all.

        Args:
            jobs: Which, one by one or as one list; those not yet watched are added.  Of an empty list there are none.
        """
        return cast(Subscription[TerminalEvent], self._subscribe(_given(jobs) if jobs else None, _ENDS))

    async def wait(
        self,
        *jobs: object,
        until: Literal["all", "any", "first_failure"] = "all",
        timeout: float | None = None,
    ) -> WaitResult:
        """Wait for the end of jobs; a job that fails is a result, not an error.

        Args:
            jobs: Which, one by one or as one list; those not yet watched are added.  Without, all that are watched now.
            until: ``all`` have ended, ``any`` has, or one has ended without a model (or all have ended).
            timeout: Seconds to wait; None waits as long as it takes.  The jobs go on after it.

        Returns:
            What has ended and what has not.
        """
        if until not in {"all", "any", "first_failure"}:
            raise InvalidInput(f"until must be 'all', 'any' or 'first_failure', not {until!r}", field="until")
        wanted = self.add(*_given(jobs)) if jobs else list(self._board.records)
        done: dict[str, TerminalEvent] = {}
        with self._subscribe(wanted, _ENDS, counts=False, resumed=False) as ends:
            with anyio.move_on_after(checked_wait(timeout)):
                async for event in ends:
                    done[event.job] = cast(TerminalEvent, event)
                    failed = not isinstance(event, events.Succeeded)
                    if until == "any" or (until == "first_failure" and failed):
                        break
        return WaitResult(done, frozenset(wanted) - done.keys())

    def checkpoint(self) -> str:
        """Return where the subscribers are, as text from which ``client.watch(resume=...)`` goes on.

        Of several, the one furthest behind counts.  Take it after dealing with the last event; what came after that is
        told again, marked as replayed.
        """
        readers = [each for each in self._board.subscriptions() if each.counts]
        gone = self._board.records.keys() | self._board.dismissed
        ended = [str(cursor) for cursor in self._since.values() if cursor.job not in gone]
        return Checkpoint.text(
            ended + [_cursor(record, readers) for record in self._board.records.values()], self._began
        )

    def statistics(self) -> WatcherStatistics:
        """Return what it does and has done."""
        board, engine, bucket = self._board, self._engine, self._engine.service.bucket
        jobs: dict[JobState, int] = {}
        for state in self.jobs.values():
            jobs[state] = jobs.get(state, 0) + 1
        readers = list(board.subscriptions())
        return WatcherStatistics(
            jobs=jobs,
            requests=dict(engine.looks.requests),
            sweeps=engine.sweeps,
            effective_freshness=max(self._policy.freshness, engine.watched_steps() / bucket.rate),
            overdue=engine.overdue(),
            in_flight=engine.in_flight,
            throttled=bucket.throttled,
            outage=engine.service.breaker.opened,
            stalls=engine.stalls,
            delivered=board.delivered,
            subscribers=len(readers),
            backlog=max((each.backlog for each in readers), default=0),
        )

    def _subscribe(
        self,
        jobs: Iterable[object] | None,
        kinds: frozenset[type[Event]] | None,
        since: str | None = None,
        bookmarks: float | None = None,
        *,
        counts: bool = True,
        resumed: bool = True,
    ) -> Subscription[Event]:
        if not (bookmarks is None or (_is_number(bookmarks) and 0 < bookmarks < float("inf"))):
            raise InvalidInput(f"bookmarks must be a number of seconds above 0, not {bookmarks!r}", field="bookmarks")
        cursors = dict(self._since) if resumed else {}
        given = Checkpoint.parse(since).jobs if since is not None else {}
        cursors.update(given)
        selected = None
        if jobs is not None:
            wanted = [*_several(jobs)]
            named = [names.job_names(job)[0] for job in wanted]
            self.add(*(job for job, name in zip(wanted, named, strict=True) if not _over(cursors.get(name))))
            selected = frozenset(named)
        else:
            self.add(*(cursor.job for cursor in given.values() if not cursor.ended))
        subscription = Subscription[Event](
            self._board, selected, kinds, cursors, bookmarks, counts=counts, watcher=self
        )
        self._engine.attend(record for record in self._board.records.values() if subscription.wants_steps(record))
        return subscription


def _over(cursor: Cursor | None) -> bool:
    return cursor is not None and cursor.ended


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_one(jobs: object) -> bool:
    return isinstance(jobs, str) or isinstance(getattr(jobs, "name", None), str)


def _several(jobs: object) -> list[object]:
    if _is_one(jobs):
        return [jobs]
    if not isinstance(jobs, Iterable):
        raise InvalidInput(f"jobs must be names, models or handles, not {type(jobs).__name__}", field="jobs")
    return list(jobs)


def _given(jobs: tuple[object, ...]) -> list[object]:
    """Return the jobs of a call that takes them one by one or as one list."""
    return _several(jobs[0]) if len(jobs) == 1 else list(jobs)


async def _run(engine: Engine, finished: anyio.Event) -> None:
    try:
        await engine.run()
    finally:
        finished.set()


def _classes(kinds: Iterable[str] | None) -> frozenset[type[Event]] | None:
    if kinds is None:
        return None
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    unknown = wanted - KINDS.keys()
    if unknown:
        raise InvalidInput(f"there is no event {min(unknown)!r}; there are {', '.join(KINDS)}", field="kinds")
    return frozenset(KINDS[kind] for kind in wanted)


def _history(record: Record) -> History:
    assert record.history is not None  # noqa: S101 - only the service's record has none
    return record.history


def _cursor(record: Record, readers: Iterable[Subscription[Event]]) -> str:
    """Return the cursor of a job up to which every reader has come; those that have left count as far as they came."""
    history = _history(record)
    concerned = [each for each in readers if each.concerns(record)]
    steps = [each.read_to(record)[0] for each in concerned if each.wants_snapshots]
    index = min(steps, default=record.read)
    over = all(each.read_to(record)[1] for each in concerned)
    if not steps and (record.begun or not concerned):
        over = over and record.end_read  # who waits for ends only passes over snapshots that others have yet to read
    if over or (index >= record.snapshots and not history.finished):
        return history.cursor
    return history.log.cursor(history.name, index)


def _now() -> Moment:
    # Nothing here measures an interval, so that it also works before there is an event loop.
    return Moment(0.0, datetime.now(UTC))
