"""The engine: one scheduler, and at most ``max_in_flight`` requests at a time.

No task and no timer belongs to a single job or a single subscriber. A look that fails is a fact about its job or about
the service; it never ends the watch, and it concerns no other job.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.errors import BadRequest, CallError, CredentialsError, MisuseError, NotFound, PermissionDenied
from gemtune.events import Event, Origin, is_terminal
from gemtune.looks.service import Ask, TuningService, moment
from gemtune.story.history import History
from gemtune.story.observation import Listed, Moment, Source
from gemtune.story.schedule import backoff
from gemtune.watch.agenda import Agenda
from gemtune.watch.board import Board
from gemtune.watch.planner import Planner
from gemtune.watch.record import Record
from gemtune.watch.service import Service
from gemtune.watch.sweep import Sweep

_log = logging.getLogger("gemtune.watch")

_STALL: Final = 5.0
"""Seconds by which the scheduler may wake late before the machine counts as having slept."""
_QUARANTINE: Final = 60.0
_DENIED: Final = 30.0
_SLICE: Final = 100
"""Jobs that are dealt with before others may run."""
_MINUTE: Final = 60 * 10**9


@attrs.define(eq=False)
class Engine:
    """Looks at the jobs on the board when they are due, and tells the board what is new."""

    policy: WatchPolicy
    board: Board
    service: TuningService
    ask: Ask
    planner: Planner
    health: Service
    filter: str | None = None
    began: int = attrs.field(factory=lambda: int(datetime.now(UTC).timestamp()) * 10**9)
    """Since when (ns) a job must have been created to be discovered although it has ended."""
    agenda: Agenda[Record | Sweep] = attrs.field(factory=Agenda, init=False)
    in_flight: int = attrs.field(default=0, init=False)
    _paid: int = attrs.field(default=0, init=False)
    """Requests for which the bucket gave a token."""
    stalls: int = attrs.field(default=0, init=False)
    sweep: Sweep = attrs.field(factory=Sweep, init=False)
    _dice: random.Random = attrs.field(factory=random.Random, init=False)
    _expected: float = attrs.field(default=math.inf, init=False)
    _woken: anyio.Event | None = attrs.field(default=None, init=False)
    _workers: anyio.abc.TaskGroup | None = attrs.field(default=None, init=False)

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with anyio.create_task_group() as self._workers:
                self.admit(list(self.board.records.values()))
                while not self.board.closed:
                    pause = self._dispatch(anyio.current_time())
                    self._expected = anyio.current_time() + pause
                    self._woken = anyio.Event()
                    with anyio.move_on_after(pause):
                        await self._woken.wait()
                    self._recover(anyio.current_time())
        except Exception as error:  # noqa: BLE001 - the readers are told
            _log.exception("the watcher cannot go on")
            self.board.close(error)
        finally:
            self.board.running, self._workers = False, None
            self.board.close()

    @property
    def sweeps(self) -> int:
        """How many times the list was gone through."""
        return self.sweep.passages

    def wake(self) -> None:
        """Have the scheduler look again at what is due."""
        if self._woken is not None:
            self._woken.set()

    def admit(self, records: Sequence[Record]) -> None:
        """Give jobs their first time, so that many of them make no burst."""
        if self._workers is None:
            return  # run() begins with all that are there
        now = anyio.current_time()
        self._plan_sweep(now)
        for record, due in zip(records, self._spread(len(records), now), strict=True):
            if self._is_light(record, now):
                self._rest(record, now)
            elif not (record.finished or record.looking):
                self.agenda.put(record, due)
        self.wake()

    def attend(self, records: Iterable[Record]) -> None:
        """Look soon at the jobs whose steps somebody has begun to want."""
        if self._workers is not None:
            soon = anyio.current_time() + self.policy.freshness
            self.admit([record for record in records if _rests(record) or (record.due or soon) > soon])

    def stop(self, error: BaseException | None = None) -> None:
        """End the watch; the readers are told of an error once they have read what there is."""
        self.board.close(error)
        if self._workers is not None:
            self._workers.cancel_scope.cancel()

    def watched_steps(self) -> int:
        """Return how many jobs are looked at one by one."""
        return len(self.agenda) + self.in_flight - (self.sweep.due is not None or self.sweep.looking)

    def overdue(self) -> int:
        """Return how many jobs wait for a request to be allowed."""
        return len(self.agenda.overdue(anyio.current_time())) if self._workers is not None else 0

    def _is_light(self, record: Record, now: float) -> bool:
        """Return whether a list is enough for a job."""
        history = record.history
        pressing = record.failures > 0 or (history is not None and (history.rhythm.pressing or history.rhythm.blank))
        return not pressing and self.planner.sweeps(self.board.live, now) and not self.board.wants_steps(record)

    def _rest(self, record: Record, now: float) -> None:
        """Leave a job to the sweeps: it has no time of its own, and costs nothing."""
        self.agenda.drop(record)
        record.covered = now

    async def _rouse(self, now: float) -> None:
        """Give the jobs that rest a time again, if there are no more sweeps or the last ones have not shown them."""
        latest = now - self.planner.longest_absence() if self.planner.sweeps(self.board.live, now) else math.inf
        absent = [record for record in self.board.records.values() if _rests(record) and _shown(record) <= latest]
        for number, (record, due) in enumerate(zip(absent, self._spread(len(absent), now), strict=True), 1):
            if _rests(record):
                self.agenda.put(record, due)
            if number % _SLICE == 0:
                await anyio.lowlevel.checkpoint()

    def _spread(self, count: int, now: float) -> Iterator[float]:
        """Yield times for so many jobs, so that they make no burst."""
        span = min(self.policy.freshness, count / self.health.bucket.rate) if count > self.policy.burst else 0.0
        return (now + span * number / count for number in range(count))

    def _dispatch(self, now: float) -> float:
        """Start what may start now; return the seconds until something may."""
        breaker, bucket, workers = self.health.breaker, self.health.bucket, self._workers
        put_off = 0
        while workers is not None and self.in_flight < (1 if breaker.opened else self.policy.max_in_flight):
            if breaker.opened and now < breaker.probe_at:
                return breaker.probe_at - now
            due = self.agenda.next_due()
            if due is None:
                return math.inf
            if due > now and not breaker.opened:
                return due - now
            wait = bucket.wait(now)
            if wait > 0:
                return wait
            item = self.agenda.take(None if breaker.opened else now)
            if item is None or (isinstance(item, Record) and self._is_covered(item, now)):
                put_off += 1
                if put_off == _SLICE:
                    return 0.0
                continue
            item.looking = True
            bucket.take(now)
            self._paid += 1
            self.in_flight += 1
            workers.start_soon(self._work, item)
        return math.inf

    def _is_covered(self, record: Record, now: float) -> bool:
        """Return whether a job may rest instead, because a sweep has shown it lately."""
        return _shown(record) + self.planner.longest_absence() > now and self._is_light(record, now)

    def _recover(self, now: float) -> None:
        """After a sleep of the machine, or a stall, spread what has become due meanwhile."""
        if now > self._expected + _STALL:
            self.stalls += 1
            self.health.bucket.drain(now)
            self.sweep.end(whole=False)
            self._respread(now)

    def _respread(self, now: float) -> None:
        overdue = self.agenda.overdue(now)
        span = min(self.policy.freshness, len(overdue) / self.health.bucket.rate)
        for item in overdue:
            self.agenda.put(item, now + span * self._dice.random())

    async def _work(self, item: Record | Sweep) -> None:
        try:
            if isinstance(item, Record):
                await self._look(item)
            else:
                await self._take_next_page(item)
        except MisuseError as error:
            self.stop(error)
        except Exception as error:  # noqa: BLE001 - an error in gemtune must not end the watch of other jobs
            _log.exception("the watcher stumbled over %s", getattr(item, "name", "the list of tuned models"))
            now = moment()
            self.agenda.put(item, now.clock + _QUARANTINE)
            if isinstance(item, Record):
                self._tell(item, [_stumbled(item, error, now)])
            else:
                item.end(whole=False)
        finally:
            item.looking = False
            self.in_flight -= 1
            self._pay()
            self.wake()

    def _pay(self) -> None:
        """Take the tokens of requests beyond one a look, which some services need."""
        for _ in range(self.ask.requests.total() - self._paid):
            self.health.bucket.take(anyio.current_time())
            self._paid += 1

    async def _look(self, record: Record) -> None:
        history = record.history
        assert history is not None  # noqa: S101 - the service's record is never due
        source = record.source
        try:
            seen = await self.service.look(history.name, history.work.name, source, self.ask)
        except (CallError, CredentialsError) as error:
            now = moment()
            told: list[Event] = []
            blamed = self.health.failed(error, now, self._dice.random(), record)
            if blamed:
                told = history.fault(error, source, now)
                record.failures = 0
            elif isinstance(error, PermissionDenied):
                self._plan_sweep(now.clock, check=True)  # is it this job, or are we not let in at all?
        else:
            now = moment()
            record.failures, record.denied_since = 0, None
            if self.health.answered(now):
                self._respread(now.clock)
            told = history.observe(seen)
        self._follow(record, history, told, now)

    def _follow(self, record: Record, history: History, told: list[Event], now: Moment) -> None:
        """Tell what is new of a job, and plan the next look at it."""
        if record.discarded:
            return
        self._tell(record, told)
        look = history.next_look(now, self.policy, self._dice.random())
        if look is None:
            self.agenda.drop(record)
            return
        record.source, after = look.source, look.after
        if record.failures:
            after = backoff(record.failures, self._dice.random())
        elif record.denied_since is not None and not history.rhythm.pressing:
            after = _DENIED
        elif self._is_light(record, now.clock):
            self._rest(record, now.clock)
            return
        self.agenda.put(record, now.clock + after, pressing=history.rhythm.pressing)

    def _tell(self, record: Record, told: list[Event]) -> None:
        self.board.tell(record, told)
        for event in told:
            if isinstance(event, events.StateChanged):
                _log.info("%s: %s -> %s", event.job, event.old, event.new)
            elif is_terminal(event) or isinstance(event, events.Restarted | events.Degraded | events.Recovered):
                _log.info("%s: %s", event.job, event.kind)

    def _plan_sweep(self, now: float, *, check: bool = False) -> None:
        """Plan a sweep now if there is none planned; to check whether the service is well, one is made in any case."""
        wanted = self.planner.sweeps(self.board.live, now) or (check and not self.planner.refused)
        going_on = self.sweep.looking or self.sweep.pages is not None
        if wanted and not going_on and (self.sweep.due is None or self.sweep.due > now + 1):
            self.agenda.put(self.sweep, now, pressing=True)

    async def _take_next_page(self, sweep: Sweep) -> None:
        pages, pause = sweep.pages, self.policy.terminal_freshness
        if pages is None:
            pages = self.service.list_jobs(self.filter, self.ask, light=not self.planner.refused)
            sweep.begin(pages, anyio.current_time())
        sweep.taken += 1
        whole = False
        try:
            page = await anext(pages)
        except (CallError, CredentialsError) as error:
            pause = self._sweep_failed(error, pause)
        else:
            if self.health.answered(moment()):
                self._respread(anyio.current_time())
            sweep.seen += await self._take_page(page.items)
            whole = page.next_page_token is None or (sweep.seen >= self.board.live and not self.planner.discovering)
            pause = self.planner.pause(sweep.taken if whole else sweep.expected, self.health.bucket.rate)
            if not whole:
                self.agenda.put(sweep, sweep.next_page(anyio.current_time(), pause), pressing=True)
                return
        sweep.end(whole=whole)
        await self._plan_next_sweep(sweep, pause)

    async def _plan_next_sweep(self, sweep: Sweep, pause: float) -> None:
        now = anyio.current_time()
        self.planner.swept(sweep.taken, self.board.live, now)
        await self._rouse(now)
        wait = self.planner.wait(self.board.live, now)
        if wait is not None:
            self.agenda.put(sweep, max(sweep.began + pause, now + wait), pressing=True)

    def _sweep_failed(self, error: CallError | CredentialsError, pause: float) -> float:
        """Return the seconds to the next sweep."""
        if isinstance(error, BadRequest | NotFound) and not isinstance(error, CredentialsError):
            if not self.planner.refused:
                self.planner.refused = True
                _log.info("no sweeps of the list (%s): jobs are looked at one by one", error.message)
                return 0.0
            return max(pause, _QUARANTINE)
        now = moment()
        if isinstance(error, PermissionDenied):
            self.planner.forgo(now.clock)
        self.health.failed(error, now, self._dice.random(), None)
        return pause

    async def _take_page(self, entries: Sequence[Listed]) -> int:
        """Take in a page of the list; return how many of its jobs are watched and have not ended."""
        seen = 0
        for first in range(0, len(entries), _SLICE):
            now = moment()
            for entry in entries[first : first + _SLICE]:
                record = self.board.records.get(entry.job) or self._discover(entry, now)
                if record is not None:
                    seen += not record.finished
                    record.covered = now.clock
                    self._take_light(record, entry, now)
            await anyio.lowlevel.checkpoint()
        return seen

    def _take_light(self, record: Record, entry: Listed, now: Moment) -> None:
        history = record.history
        if history is None or history.rhythm.pressing or record.looking:
            return
        if entry.state == history.state and entry.created == record.created:
            return  # the usual case by far
        record.created = entry.created
        self._follow(record, history, history.observe(entry.seen(now)), now)

    def _discover(self, entry: Listed, now: Moment) -> Record | None:
        ended = entry.state is not None and entry.state.terminal
        unwanted = not self.planner.discovering or entry.job in self.board.dismissed
        if unwanted or (ended and entry.created < self.began - _MINUTE):
            return None
        record = Record(History(entry.job, seeks=True))
        record.source = Source.WORK
        assert record.history is not None  # noqa: S101 - just made
        self.board.add(record, [record.history.added(now, Origin.DISCOVERED)])
        self.agenda.put(record, now.clock)
        return record


def _rests(record: Record) -> bool:
    """Return whether only a sweep tells of a job."""
    return record.due is None and not record.looking and not record.finished


def _shown(record: Record) -> float:
    return -math.inf if record.covered is None else record.covered


def _stumbled(record: Record, error: Exception, now: Moment) -> events.Degraded:
    history = record.history
    return events.Degraded(
        job=record.name,
        cursor=history.cursor if history is not None else "",
        observed_at=now.utc,
        error=type(error).__name__,
        message="an error in gemtune itself; see the log",
        status=None,
        failures=1,
    )
