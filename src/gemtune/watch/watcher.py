"""Watcher: what users hold. Which jobs it watches, and the ways to read what it learns.

It has more methods than any other class of the wing, because it is the wing's face: each is a line or two into the
board (what is known and who reads it), the engine (what is looked at) or its lifetime.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, Self, cast

import anyio

from gemtune import checks, events
from gemtune.config import WatchPolicy
from gemtune.errors import MisuseError
from gemtune.events import Event, TerminalEvent
from gemtune.jobs import TuningJob
from gemtune.jobs.handle import JobHandle
from gemtune.looks.followers import Followers
from gemtune.looks.known import KnownJob
from gemtune.looks.pictured import picture_of
from gemtune.looks.service import Ask, JobService
from gemtune.notebook.live import EVERY, show_live
from gemtune.resources.given import JobLike
from gemtune.resources.operations import checked_wait
from gemtune.show.picture import JobPicture
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.story.observation import Moment
from gemtune.watch.arguments import check_filter, checked_bookmarks, checked_policy, classes, given_jobs, several
from gemtune.watch.board import Absent, Board
from gemtune.watch.engine import Engine
from gemtune.watch.lifetime import Lifetime
from gemtune.watch.position import Interest, Replay
from gemtune.watch.reader import Reader
from gemtune.watch.record import WatchedJob
from gemtune.watch.results import LEFT, ShownWatch, WaitResult, WatcherStatistics
from gemtune.watch.resume_token import ResumeToken
from gemtune.watch.roster import ListPlan, Roster
from gemtune.watch.service import Service
from gemtune.watch.subscription import Subscription
from gemtune.watch.sweep import ListSweep

_ENDS: Final[frozenset[type[Event]]] = frozenset(events.TERMINAL)


class Watcher(ShownWatch):
    """Watches any number of jobs with one schedule, tuning and batches, and gives subscribers the events they want.

    Use ``async with``. If no scope can span the watch (the cells of a notebook, the lifespan of a web application), use
    ``await watcher.start()`` and ``await watcher.aclose()``, on asyncio. Leaving it never touches a job.

    Iterating over it is one subscription to everything; ``subscribe`` makes more. Subscribers cost no requests. The
    iteration ends once all jobs have ended. A watcher that never had a job waits until you ``add`` one.

    A job that the service does not know is reported Lost (``not_found``) after 10 s, or after 60 s if it is less than a
    minute old, because a new model may take a while to become visible. One that you may not read is reported Lost
    (``permission``) after 30 s.
    """

    def __init__(
        self,
        service: JobService,
        jobs: JobLike | Iterable[JobLike] = (),
        *,
        policy: WatchPolicy,
        filter: str | None = None,
        resume: str | None = None,
        handles: Followers | None = None,
    ) -> None:
        """Use ``client.watch``, which says what the arguments are."""
        policy = checked_policy(policy)
        check_filter(filter)
        self._service = service
        resumed = ResumeToken() if resume is None else ResumeToken.parse(resume).renamed(self._name)
        self._began = resumed.since or datetime.now(UTC).timestamp()
        self._board = Board(Absent(dict(resumed.jobs), filter is not None))
        for name in resumed.discarded:
            self._board.absent.discard(name, resumed.jobs[name])
        ask = Ask(timeout=policy.request_timeout)
        plan, health = ListPlan(policy, filter is not None), Service(policy, self._board)
        roster = Roster(policy, self._board, plan, health, handles)
        if handles is not None:
            handles.join(roster)
        self._engine = Engine(service, ask, roster, ListSweep(service, ask, roster, filter, int(self._began * 1e9)))
        self._lifetime = Lifetime(self._board, self._engine)
        self._default: Subscription[Event] | None = None
        if filter is not None:
            # The list also shows jobs that ended before the resume; they are known, and must not be discovered again.
            ended = [cursor for name, cursor in resumed.jobs.items() if cursor.ended and name not in resumed.discarded]
            self._board.jobs |= {cursor.job: WatchedJob.of_the_past(cursor) for cursor in ended}
        self.add(*resumed.unfinished, *(job for job in several(jobs) if not _over(resumed.jobs.get(self._name(job)))))

    async def __aenter__(self) -> Self:
        await self._lifetime.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifetime.leave()

    async def start(self) -> Self:
        """Begin to watch in a task of its own, until ``aclose``; starting a running watcher changes nothing.

        Raises:
            MisuseError: Under trio, where every task has a parent: use ``async with``. Or it was closed.
        """
        self._lifetime.start(self)
        return self

    async def aclose(self) -> None:
        """End the watch. Readers finish with what there is, the jobs continue, and closing twice is harmless."""
        await self._lifetime.close()

    def add(self, *jobs: JobLike | Iterable[JobLike]) -> list[str]:
        """Watch more jobs, at any time; nothing changes for those that are watched already.

        Args:
            jobs: Handles, models, or names of models or operations, one by one or as one list.

        Returns:
            The jobs' names.

        Raises:
            InvalidInput: One of them names no job.
            MisuseError: The watcher is closed, and did not watch one of them.
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

    def discard(self, job: JobLike) -> bool:
        """Stop watching a job. The job itself continues.

        Its subscribers receive Lost with the reason ``detached`` as its last event, and ``wait`` and ``as_completed``
        count it as done. If you add it again, each subscriber continues where it was. The last 200 discarded jobs are
        remembered for that; one that was discarded earlier begins anew.

        Returns:
            Whether it was watched.
        """
        watched = self._board.jobs.get(self._name(job))
        if watched is None or watched.past:
            return False
        self._engine.roster.discard(watched, _now())
        return True

    def pictures(self, jobs: JobLike | Iterable[JobLike] | None = None) -> list[JobPicture]:
        """Return what a person sees of the watched jobs now, in the order in which they were added. Nothing is asked.

        The last 200 jobs that the filter found, and that have ended and are watched no longer, come first.

        Args:
            jobs: Of which jobs; what is not watched is left out. None means all.
        """
        board, now = self._board, datetime.now(UTC)
        silent, handles = board.service.outages.trouble_now, self._engine.roster.handles
        known = KnownJob if handles is None else handles.known
        left, watched = board.left, board.watched
        if jobs is not None:
            names = [self._name(job) for job in several(jobs)]
            left = {name: left[name] for name in names if name in left}
            watched = {name: watched[name] for name in names if name in watched}
        return [picture for name, picture in left.items() if name not in board.watched] + [
            picture_of(known(job.history), job.history, now, trouble=job.reports.outages.trouble_now or silent)
            for job in watched.values()
        ]

    def _name(self, job: object) -> str:
        return self._service.job_names(job)[0]

    def _new(self, given: object, name: str, work: str | None) -> WatchedJob:
        born: Moment | None = None
        # Only a handle that created the job knows its operation without asking, and that it may not be visible yet.
        if isinstance(given, JobHandle):
            born = given.begun
        if isinstance(given, TuningJob):
            work = work or given.operation
        # What was dealt with before: by this watcher, in this order, or by the one that it resumes.
        past, since = self._board.jobs.get(name), self._board.absent.dealt_with(name)
        if past is not None and past.history.outcome is not None:
            since = parse_cursor(past.history.outcome.cursor)
        watched = WatchedJob.of(name, work, born=born, since=since, named=name in self._board.absent.before)
        handles = self._engine.roster.handles
        if handles is not None:
            watched.history.about = handles.about(name)
        return watched

    def __aiter__(self) -> Subscription[Event]:
        """Return the watcher's own subscription to everything; it is always the same one."""
        if self._default is None:
            self._default = self.subscribe()
        return self._default

    def subscribe(
        self,
        jobs: JobLike | Iterable[JobLike] | None = None,
        *,
        kinds: Iterable[str | type[Event]] | None = None,
        since: str | None = None,
        bookmarks: float | None = None,
        passive: bool = False,
    ) -> Subscription[Event]:
        """Return the events of some jobs from their beginning, for a consumer of its own.

        Args:
            jobs: Which jobs; those not yet watched are added. None means all, including those that come later.
            kinds: Which events, by their ``kind`` or class; None means all. Without ``snapshot``, ``progress`` and
                ``restarted``, many jobs cost no more than a list now and then.
            since: Where to resume: an event's cursor, which covers its own job only, or the resume token of a
                subscription or a watcher. Snapshots and terminal events before it are not repeated; Added,
                StateChanged, Restarted, Progress and outages may be. If it comes from outside, such as a
                Last-Event-ID, name the ``jobs`` as well: otherwise the jobs that it names are added.
            bookmarks: Seconds of silence after which a Bookmark is delivered, which a stream over HTTP needs.
            passive: Whether it only looks on, as a page does: the watcher's ``resume_token()`` does not wait for it,
                and ``since`` adds no job.

        Raises:
            InvalidInput: A name, a kind or ``since`` is invalid.
        """
        marks = checked_bookmarks(bookmarks)
        return self._subscribe(jobs, classes(kinds), since, marks, counts=not passive, resumed=not passive)

    def as_completed(self, *jobs: JobLike | Iterable[JobLike]) -> Subscription[TerminalEvent]:
        """Return the terminal events of jobs as they come, one for each job.

        A job that is discarded meanwhile has Lost with the reason ``detached`` as its terminal event.

        Args:
            jobs: The jobs, as arguments or as one list; those not yet watched are added, and an empty list yields
                nothing. Without arguments, all jobs, if there are any.
        """
        everything = not jobs and (self._board.absent.discovering or len(self._board.watched) > 0)
        wanted = None if everything else given_jobs(jobs)
        return cast(Subscription[TerminalEvent], self._subscribe(wanted, _ENDS))

    async def wait(
        self,
        *jobs: JobLike | Iterable[JobLike],
        until: Literal["all", "any", "first_failure"] = "all",
        timeout: float | None = None,
    ) -> WaitResult:
        """Wait for the end of jobs. A job that fails is a result, not an error.

        So is a job that is discarded meanwhile: it is done, with Lost for the reason ``detached``.

        Args:
            jobs: The jobs, as arguments or as one list; those not yet watched are added. Without arguments, all that
            are
                watched now.
            until: ``all``: every job has ended. ``any``: one has. ``first_failure``: one has ended without a model, or
                all have ended.
            timeout: Seconds to wait; None waits as long as it takes. The jobs continue after it.

        Returns:
            What has ended and what has not.

        Raises:
            MisuseError: The watcher was closed before they had ended.
        """
        checks.one_of("until", until, "all", "any", "first_failure")
        wanted = self.add(*given_jobs(jobs)) if jobs else list(self._board.watched)
        done: dict[str, TerminalEvent] = {}
        # It asks for ends whoever has read them before, and no resume token waits for it.
        with self._subscribe(wanted, _ENDS, counts=False, resumed=False) as ends:
            with anyio.move_on_after(checked_wait(timeout)) as limit:
                async for event in ends:
                    done[event.job] = cast(TerminalEvent, event)
                    failed = not isinstance(event, events.Succeeded | events.Completed)
                    if until == "any" or (until == "first_failure" and failed):
                        return WaitResult(done, frozenset(wanted) - done.keys())
        pending = frozenset(wanted) - done.keys()
        if pending and not limit.cancelled_caught:
            raise MisuseError(
                f"the watcher was closed before {len(pending)} of {len(set(wanted))} jobs had ended; wait for them "
                "with another: client.watch(..., resume=w.resume_token())"
            )
        return WaitResult(done, pending)

    async def show(self, *, every: float = EVERY) -> WaitResult:
        """Show the jobs live in the cell of a notebook until all have ended, or as lines of text elsewhere.

        It enters a watcher that has not begun, and ends it with the display: ``await client.watch(jobs).show()``. An
        interrupt leaves the last picture, and the jobs continue. While it shows a few jobs, they are looked at every 2
        to 3 s.

        Args:
            every: Seconds between two pictures, at least 0.2. Times move with each; losses with the looks.

        Returns:
            How each job has ended, as ``wait`` does. A job that failed is a result, not an error.

        Raises:
            MisuseError: The watcher was closed before all had ended.
        """
        return await show_live(self._view, self._show_until_ended, left=lambda: LEFT, every=every)

    async def _show_until_ended(self) -> WaitResult:
        board, roster = self._board, self._engine.roster
        roster.spectators += 1
        try:
            async with nullcontext() if board.running or board.closed else self:
                # Without this reader nobody might want each step, and a sweep would do. It keeps no resume token back.
                with self._subscribe(None, None, counts=False, resumed=False) as reader:
                    if board.watched or board.absent.discovering:
                        async for _ in reader:
                            pass
                return await self.wait()
        finally:
            roster.spectators -= 1

    def resume_token(self) -> str:
        """Return where the subscribers are, as a string from which ``client.watch(resume=...)`` continues.

        Of several, the one furthest behind counts. Take it after dealing with the last event; what came after that is
        delivered again, marked as replayed.
        """
        board = self._board
        before = board.absent.before.items()
        ended = [str(cursor) for name, cursor in before if name not in board.jobs and not board.absent.knows(name)]
        jobs = ended + [board.cursor_of(job) for job in board.jobs.values()]
        return ResumeToken.text(jobs, self._began, board.absent.cursors())

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
            running=board.running and not board.closed,
        )

    def _subscribe(
        self,
        jobs: JobLike | Iterable[JobLike] | None,
        kinds: frozenset[type[Event]] | None,
        since: str | None = None,
        bookmarks: float | None = None,
        *,
        counts: bool = True,
        resumed: bool = True,
    ) -> Subscription[Event]:
        given = ResumeToken() if since is None else ResumeToken.parse(since, outside=True).renamed(self._name)
        # What the predecessor's readers had counts for every subscription, unless its own token says otherwise.
        before = self._board.absent.before.items() if resumed else ()
        cursors = {**given.jobs, **{name: cursor for name, cursor in before if name not in given.jobs}}
        selected = None
        if jobs is not None:
            wanted = {self._name(job): job for job in several(jobs)}
            self.add(*(job for name, job in wanted.items() if not _over(cursors.get(name))))
            selected = frozenset(wanted)
        elif counts:
            self.add(*given.unfinished)
        reader = Reader(Interest(selected, kinds, counts), Replay(self._board.kept), cursors)
        subscription = Subscription[Event](self._board, reader, self._began, bookmarks, watcher=self)
        self._engine.attend(job for job in self._board.jobs.values() if reader.wants_steps(job))
        return subscription


def _over(cursor: Cursor | None) -> bool:
    return cursor is not None and cursor.ended


def _now() -> Moment:
    # Nothing here measures an interval, so that it also works before there is an event loop.
    return Moment(0.0, datetime.now(UTC))
