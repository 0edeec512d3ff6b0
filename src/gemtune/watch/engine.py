"""The engine: one scheduler, and at most ``max_in_flight`` requests at a time.

::

    run ── dispatch ── agenda: is anything due? may a request be made? (``Service``)
             │
             └─ a task for each request ── look at a job     ─┐
                                       └── page of a sweep   ─┴─ observe or fault ── roster.follow: report, next look

No task and no timer belongs to a single job or a single subscriber: ten thousand jobs that rest cost one sweep. A look
that fails is a fact about its job or about the service; it never ends the watch, and it concerns no other job. kopf
keeps a task and a queue for each object, which is right for hundreds of them.

While the service is out, one request at a time asks whether it is back, and whatever has become due meanwhile is
spread.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Final

import anyio
import anyio.abc
import attrs

from gemtune import events
from gemtune.errors import CallError, CredentialsError, MisuseError, PermissionDenied
from gemtune.looks.reporting import log_look
from gemtune.looks.service import Ask, JobService, moment
from gemtune.story.observation import Moment
from gemtune.watch.agenda import Due
from gemtune.watch.record import WatchedJob
from gemtune.watch.roster import DENIED, QUARANTINE, SLICE, Roster, rests
from gemtune.watch.sweep import ListSweep

_log = logging.getLogger("gemtune.watch")

# Seconds by which the scheduler may wake late before the machine counts as having slept.
_STALL: Final = 5.0


@attrs.define(eq=False)
class Engine:
    """Looks at the jobs when they are due, and reports what is new."""

    service: JobService
    ask: Ask
    roster: Roster
    sweep: ListSweep
    in_flight: int = attrs.field(default=0, init=False)
    stalls: int = attrs.field(default=0, init=False)
    # Requests for which the bucket gave a token.
    _paid: int = attrs.field(default=0, init=False)
    _expected: float = attrs.field(default=math.inf, init=False)
    _woken: anyio.Event | None = attrs.field(default=None, init=False)
    _workers: anyio.abc.TaskGroup | None = attrs.field(default=None, init=False)

    async def run(self) -> None:
        """Watch until cancelled."""
        board = self.roster.board
        try:
            async with anyio.create_task_group() as self._workers:
                self.admit(list(board.jobs.values()))  # those that were added before the watch began
                while not board.closed:
                    pause = self._dispatch(anyio.current_time())
                    self._expected = anyio.current_time() + pause
                    self._woken = anyio.Event()
                    with anyio.move_on_after(pause):
                        await self._woken.wait()
                    self._recover(anyio.current_time())
        except Exception as error:  # noqa: BLE001 - the readers are told
            _log.exception("the watcher cannot continue")
            board.close(error)
        finally:
            board.running, self._workers = False, None
            board.close()

    def wake(self) -> None:
        """Have the scheduler look again at what is due."""
        if self._woken is not None:
            self._woken.set()

    def admit(self, jobs: Sequence[WatchedJob]) -> None:
        """Give jobs their first time."""
        if self._workers is None:
            return  # run() begins with all that are there
        now = anyio.current_time()
        self.sweep.plan(now)
        self.roster.admit(jobs, now)
        self.wake()

    def attend(self, jobs: Iterable[WatchedJob]) -> None:
        """Look soon at the jobs whose steps somebody has begun to want."""
        if self._workers is not None:
            policy = self.roster.policy
            soon = anyio.current_time() + max(policy.min_interval, min(self.roster.share, policy.freshness))
            self.admit([job for job in jobs if rests(job) or (job.due or soon) > soon])

    def stop(self, error: BaseException | None = None) -> None:
        """End the watch; the readers are told of an error once they have read what there is."""
        self.roster.board.close(error)
        if self._workers is not None:
            self._workers.cancel_scope.cancel()

    def watched_steps(self) -> int:
        """Return how many jobs are looked at one by one."""
        return len(self.roster.agenda) + self.in_flight - (self.sweep.due is not None or self.sweep.looking)

    def overdue(self) -> int:
        """Return how many jobs wait for a request to be allowed."""
        return len(self.roster.agenda.overdue(anyio.current_time())) if self._workers is not None else 0

    def _dispatch(self, now: float) -> float:
        """Start what may start now; return the seconds until something may."""
        breaker, bucket, workers = self.roster.health.breaker, self.roster.health.bucket, self._workers
        agenda, put_off = self.roster.agenda, 0
        while workers is not None and self.in_flight < (1 if breaker.opened else self.roster.policy.max_in_flight):
            if breaker.opened and now < breaker.probe_at:
                return breaker.probe_at - now
            due = agenda.next_due()
            if due is None:
                return math.inf
            if due > now and not breaker.opened:
                return due - now
            wait = bucket.wait(now)
            if wait > 0:
                return wait
            # In an outage the next item is the probe, whenever it is due.
            item = agenda.take(None if breaker.opened else now)
            if item is None or (isinstance(item, WatchedJob) and self.roster.is_covered(item, now)):
                put_off += 1
                if put_off == SLICE:
                    return 0.0
                continue
            item.looking = True
            bucket.take(now)
            self._paid += 1
            self.in_flight += 1
            workers.start_soon(self._work, item)
        return math.inf

    def _recover(self, now: float) -> None:
        """After a sleep of the machine, or a stall, spread what has become due meanwhile."""
        # Otherwise everything would be asked at once, the moment that the laptop is opened.
        if now > self._expected + _STALL:
            self.stalls += 1
            self.roster.health.bucket.drain(now)
            self.sweep.passage.end(whole=False)
            self.roster.respread(now)

    async def _work(self, item: Due) -> None:
        try:
            if isinstance(item, WatchedJob):
                await self._look(item)
            else:
                await self.sweep.take_next_page()
        except MisuseError as error:
            self.stop(error)
        except Exception as error:  # noqa: BLE001 - an error in gemtune must not end the watch of other jobs
            _log.exception("the watcher stumbled over %s", getattr(item, "name", "the list of jobs"))
            now = moment()
            self.roster.agenda.put(item, now.clock + QUARANTINE)
            # A probe takes the next item whenever it is due, and whatever stumbled has not said when the next one is.
            self.roster.health.breaker.put_off(now.clock + QUARANTINE)
            if isinstance(item, WatchedJob):
                self.roster.report(item, [_stumbled(item, error, now)])
            else:
                self.sweep.passage.end(whole=False)
        finally:
            item.looking = False
            self.in_flight -= 1
            self._pay()
            self.wake()

    def _pay(self) -> None:
        """Take the tokens of requests beyond one a look, which some services need."""
        for _ in range(self.ask.requests.total() - self._paid):
            self.roster.health.bucket.take(anyio.current_time())
            self._paid += 1

    async def _look(self, job: WatchedJob) -> None:
        history, looks, health = job.history, job.looks, self.roster.health
        source, hint = looks.source, 0.0
        try:
            seen = await self.service.look(history.name, history.work.name, source, self.ask)
        except (CallError, CredentialsError) as error:
            now = moment()
            reported: list[events.Event] = []
            blamed = health.failed(error, now, self.roster.dice(), job)
            hint = health.hint(error)
            if job.discarded:
                return
            log_look(_log, history, source, (), error)
            # Only what is the job's own fault may count against it: in an outage all looks fail alike.
            if blamed:
                reported = history.fault(error, source, now)
                looks.failures = 0
            elif isinstance(error, PermissionDenied):
                self.sweep.plan(now.clock, check=True)  # is it this job, or are we not let in at all?
                hint = DENIED  # the history does not know of this look, and would have it repeated at once
        else:
            now = moment()
            looks.answered()
            if health.answered(now):
                self.roster.respread(now.clock)
            if job.discarded:
                return  # somebody may have added it again: then another record continues its story
            reported = history.observe(seen)
            log_look(_log, history, source, reported)
        self.roster.follow(job, reported, now, hint)


def _stumbled(job: WatchedJob, error: Exception, now: Moment) -> events.Degraded:
    return events.Degraded(
        job=job.name,
        cursor=job.history.cursor,
        observed_at=now.utc,
        error=type(error).__name__,
        message="an error in gemtune itself; see the log",
        status=None,
        failures=1,
    )
