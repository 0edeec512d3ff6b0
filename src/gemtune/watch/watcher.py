"""Watcher: what users hold. Where it lives, which jobs it watches, and the ways to read what it learns."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, Self, cast

import anyio
import anyio.abc

from gemtune import checks, events
from gemtune.config import WatchPolicy
from gemtune.errors import MisuseError
from gemtune.events import Event, JobState, TerminalEvent
from gemtune.jobs import TuningJob
from gemtune.looks.service import Ask, TuningService
from gemtune.loops import call_soon, on_asyncio
from gemtune.resources.operations import checked_wait
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.story.observation import Moment
from gemtune.watch.arguments import check_filter, checked_bookmarks, checked_policy, classes, given_jobs, several
from gemtune.watch.board import Board, Discards
from gemtune.watch.engine import Engine
from gemtune.watch.position import Interest, Replay
from gemtune.watch.reader import Reader
from gemtune.watch.record import WatchedJob
from gemtune.watch.results import WaitResult, WatcherStatistics
from gemtune.watch.resume_token import ResumeToken
from gemtune.watch.roster import ListPlan, Roster
from gemtune.watch.service import Service
from gemtune.watch.subscription import Subscription
from gemtune.watch.sweep import Sweep

_ENDS: Final[frozenset[type[Event]]] = frozenset(events.TERMINAL)


class Watcher:
    """Watches any number of tuning jobs with one schedule, and gives every subscriber the events it wants.

    Use ``async with``; or, where no scope can span (the cells of a notebook, the lifespan of a web application),
    ``await watcher.start()`` and ``await watcher.aclose()``, on asyncio. Leaving it never touches a job.

    Iterating over it is one subscription to everything; ``subscribe`` makes more. Subscribers cost no requests.
    Without jobs, that waits for ``add``; it ends once all jobs have.

    A job that the service does not know is told as Lost (``not_found``) after 10 s, or after 60 s while it is less than
    a minute old, as a new model may take a while to be seen; one that it forbids as Lost (``permission``) after 30 s.
    """

    def __init__(
        self,
        service: TuningService,
        jobs: Iterable[object] = (),
        *,
        policy: WatchPolicy,
        filter: str | None = None,
        resume: str | None = None,
    ) -> None:
        """Take in what is to be watched; ``client.watch`` is the usual way here."""
        policy = checked_policy(policy)
        check_filter(filter)
        resumed = ResumeToken() if resume is None else ResumeToken.parse(resume)
        self._service = service
        self._since = dict(resumed.jobs)
        self._began = resumed.since or datetime.now(UTC).timestamp()
        discards = Discards({name: resumed.jobs[name] for name in resumed.discarded})
        self._board = Board(discards, endless=filter is not None)
        ask = Ask(timeout=policy.request_timeout)
        roster = Roster(policy, self._board, ListPlan(policy, filter is not None), Service(policy, self._board))
        self._engine = Engine(service, ask, roster, Sweep(service, ask, roster, filter, int(self._began * 1e9)))
        self._group: anyio.abc.TaskGroup | None = None
        self._finished: anyio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._entered = False
        self._default: Subscription[Event] | None = None
        if filter is not None:
            ended = [cursor for name, cursor in self._since.items() if cursor.ended and name not in resumed.discarded]
            self._board.jobs |= {cursor.job: WatchedJob.of_the_past(cursor) for cursor in ended}
        self.add(*resumed.unfinished, *(job for job in several(jobs) if not _over(self._since.get(self._name(job)))))

    def __repr__(self) -> str:
        state = "running" if self._board.running else "closed" if self._board.closed else "not started"
        return f"<Watcher {state}: {len(self._board.watched)} jobs, {self._board.live} unfinished>"

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
        if self._group is None or self._finished is None:
            return
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
        """End the watch; readers finish with what there is. Jobs go on, and closing twice is harmless."""
        self._engine.stop()
        if self._finished is not None:
            await self._finished.wait()  # the scope is left by the block that entered it
        if self._task is not None:
            await asyncio.wait([self._task])

    def _enter(self) -> None:
        if self._entered or self._board.closed:
            raise MisuseError("a watcher watches once: make another with client.watch(..., resume=w.resume_token())")
        self._entered = self._board.running = True

    def add(self, *jobs: object) -> list[str]:
        """Watch more jobs, at any time; those that are watched already stay as they are.

        Args:
            jobs: Handles, models, or names of models or operations, one by one or as one list.

        Returns:
            The jobs' names.

        Raises:
            InvalidInput: One is no job.
            MisuseError: The watcher is closed, and one is not among those that it watched.
        """
        named = [(job, *self._service.job_names(job)) for job in given_jobs(jobs)]
        fresh = []
        for given, name, work in named:
            known = self._board.jobs.get(name)
            if known is not None and not known.past:
                continue
            if self._board.closed:
                raise MisuseError(f"the watcher is closed and cannot watch {name}: make another with client.watch(...)")
            job = self._board.take_back(name) or self._new(given, name, work)
            self._board.add(job, [job.history.added(_now())])
            fresh.append(job)
        if fresh:
            self._engine.admit(fresh)
        return [name for _, name, _ in named]

    def discard(self, job: object) -> bool:
        """Watch a job no longer; its subscribers are told Lost with the reason ``detached``, and it goes on.

        That is its last event for whoever waits for it, too: ``wait`` and ``as_completed`` count it as done.
        Added again, it goes on for each subscriber where it was.

        Returns:
            Whether it was watched.
        """
        watched = self._board.jobs.get(self._name(job))
        if watched is None or watched.past:
            return False
        cursor = parse_cursor(self._board.cursor_of(watched))
        self._engine.roster.agenda.drop(watched)
        self._board.discard(watched, watched.detach(_now()), cursor)
        return True

    @property
    def jobs(self) -> dict[str, JobState]:
        """The watched jobs and their states as of the last look.

        A job that the filter found is watched until it has ended and every subscriber has read that.
        """
        return {name: job.history.state for name, job in self._board.watched.items()}

    def _name(self, job: object) -> str:
        return self._service.job_names(job)[0]

    def _new(self, given: object, name: str, work: str | None) -> WatchedJob:
        born: Moment | None = None
        if isinstance(given, TuningJob):
            work, born = work or given.operation, given.begun
        past, since = self._board.jobs.get(name), self._board.discards.cursors.get(name) or self._since.get(name)
        if past is not None and past.history.outcome is not None:
            since = parse_cursor(past.history.outcome.cursor)
        return WatchedJob.of(name, work, born=born, since=since, named=name in self._since)

    def __aiter__(self) -> Subscription[Event]:
        """Return the watcher's own subscription to everything, always the same."""
        if self._default is None:
            self._default = self.subscribe()
        return self._default

    def subscribe(
        self,
        jobs: Iterable[object] | None = None,
        *,
        kinds: Iterable[str | type[Event]] | None = None,
        since: str | None = None,
        bookmarks: float | None = None,
    ) -> Subscription[Event]:
        """Return the events of some jobs from their beginning, for a consumer of its own.

        Args:
            jobs: Which; those not yet watched are added. None means all, also those that come later.
            kinds: Which events, by their ``kind`` or class; None means all. Without ``snapshot``, ``progress`` and
                ``restarted``, many jobs cost no more than a list now and then.
            since: What was dealt with before: the cursor of an event, which is about its own job only, or the
                resume token of a subscription or a watcher. No snapshot and no end is told again that came before it.
                It is no finer than that: Added, StateChanged, Restarted, Progress and trouble may be told again.
                Where it comes from outside, name the ``jobs``, too; else those that it names are added.
            bookmarks: Seconds of silence after which a Bookmark is told, as a stream over HTTP needs it.

        Raises:
            InvalidInput: A name, a kind or the cursor is none.
        """
        return self._subscribe(jobs, classes(kinds), since, checked_bookmarks(bookmarks))

    def as_completed(self, *jobs: object) -> Subscription[TerminalEvent]:
        """Return the last events of the jobs as they come, one for each; without jobs, of all, if there are any.

        A job that somebody discards meanwhile has Lost with the reason ``detached`` as its last.

        Args:
            jobs: Which, one by one or as one list; those not yet watched are added. Of an empty list there are none.
        """
        everything = not jobs and (self._board.endless or len(self._board.watched) > 0)
        wanted = None if everything else given_jobs(jobs)
        return cast(Subscription[TerminalEvent], self._subscribe(wanted, _ENDS))

    async def wait(
        self,
        *jobs: object,
        until: Literal["all", "any", "first_failure"] = "all",
        timeout: float | None = None,
    ) -> WaitResult:
        """Wait for the end of jobs; a job that fails is a result, not an error.

        So is one that somebody discards meanwhile: it is done with Lost for the reason ``detached``.

        Args:
            jobs: Which, one by one or as one list; those not yet watched are added. Without, all that are watched now.
            until: ``all`` have ended, ``any`` has, or one has ended without a model (or all have ended).
            timeout: Seconds to wait; None waits as long as it takes. The jobs go on after it.

        Returns:
            What has ended and what has not.

        Raises:
            MisuseError: The watcher was closed while they go on.
        """
        checks.one_of("until", until, "all", "any", "first_failure")
        wanted = self.add(*given_jobs(jobs)) if jobs else list(self._board.watched)
        done: dict[str, TerminalEvent] = {}
        with self._subscribe(wanted, _ENDS, counts=False, resumed=False) as ends:
            with anyio.move_on_after(checked_wait(timeout)) as limit:
                async for event in ends:
                    done[event.job] = cast(TerminalEvent, event)
                    failed = not isinstance(event, events.Succeeded)
                    if until == "any" or (until == "first_failure" and failed):
                        return WaitResult(done, frozenset(wanted) - done.keys())
        pending = frozenset(wanted) - done.keys()
        if pending and not limit.cancelled_caught:
            raise MisuseError(
                f"the watcher was closed while {len(pending)} of {len(set(wanted))} jobs go on; wait for them with "
                "another: client.watch(..., resume=w.resume_token())"
            )
        return WaitResult(done, pending)

    def resume_token(self) -> str:
        """Return where the subscribers are, as a string from which ``client.watch(resume=...)`` continues.

        Of several, the one furthest behind counts. Take it after dealing with the last event; what came after that is
        delivered again, marked as replayed.
        """
        board = self._board
        met = board.jobs.keys() | board.discards.cursors.keys()
        ended = [str(cursor) for name, cursor in self._since.items() if name not in met]
        jobs = ended + [board.cursor_of(job) for job in board.jobs.values()]
        return ResumeToken.text(jobs, self._began, map(str, board.discards.cursors.values()))

    def statistics(self) -> WatcherStatistics:
        """Return what it does and has done."""
        board, engine, health = self._board, self._engine, self._engine.roster.health
        readers = list(board.readers)
        return WatcherStatistics(
            jobs=Counter(self.jobs.values()),
            requests=dict(engine.ask.requests),
            sweeps=engine.sweep.passage.completed,
            effective_freshness=max(engine.roster.policy.freshness, engine.watched_steps() / health.bucket.rate),
            overdue=engine.overdue(),
            in_flight=engine.in_flight,
            throttled=health.bucket.throttled,
            outage=health.breaker.opened,
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
        given = ResumeToken() if since is None else ResumeToken.parse(since)
        before = self._since.items() if resumed else ()
        cursors = {**given.jobs, **{name: cursor for name, cursor in before if name not in given.jobs}}
        selected = None
        if jobs is not None:
            wanted = {self._name(job): job for job in several(jobs)}
            self.add(*(job for name, job in wanted.items() if not _over(cursors.get(name))))
            selected = frozenset(wanted)
        else:
            self.add(*given.unfinished)
        reader = Reader(Interest(selected, kinds, counts), Replay(self._board.kept), cursors)
        subscription = Subscription[Event](self._board, reader, self._began, bookmarks, watcher=self)
        self._engine.attend(job for job in self._board.jobs.values() if reader.wants_steps(job))
        return subscription


def _over(cursor: Cursor | None) -> bool:
    return cursor is not None and cursor.ended


async def _run(engine: Engine, finished: anyio.Event) -> None:
    try:
        await engine.run()
    finally:
        finished.set()


def _now() -> Moment:
    # Nothing here measures an interval, so that it also works before there is an event loop.
    return Moment(0.0, datetime.now(UTC))
