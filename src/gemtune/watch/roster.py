"""The roster: which job is looked at when, and what is reported of a look.

A job is either looked at one by one, at a time of its own in the agenda, or it *rests*: it has no time, costs nothing,
and only a sweep of the list tells of it. It rests if sweeps are made, nobody wants to know of each of its steps, and
nothing is to be confirmed; it is roused when no sweep has shown it for two times the freshness. Sweeps are made:

==========================  ================================================================================
jobs are discovered         always
``coalesce="always"``       if there is any job
``coalesce="auto"``         for 9 jobs and more, and not for 5 minutes after a sweep that took more pages than
                            there are jobs (a list with thousands of models of others)
``coalesce="never"``        never; nor if the service gives no list
==========================  ================================================================================

Batches are looked at one by one in any case: the list is that of tuning jobs, and they count for nothing in this table.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import anyio.lowlevel
import attrs

from gemtune.config import WatchPolicy
from gemtune.events import Event
from gemtune.looks.followers import Followers
from gemtune.looks.known import KnownJob
from gemtune.looks.reporting import log_events
from gemtune.story.cursor import parse_cursor
from gemtune.story.history import History
from gemtune.story.observation import Moment, Source
from gemtune.story.schedule import affordable, recheck
from gemtune.watch.agenda import Agenda, Due
from gemtune.watch.board import Board
from gemtune.watch.record import WatchedJob
from gemtune.watch.service import Service

_log = logging.getLogger("gemtune.watch")

# Jobs that are dealt with before others may run.
SLICE: Final = 100
# Seconds without a look at a job over which gemtune itself has stumbled.
QUARANTINE: Final = 60.0
# Seconds without a look at a forbidden job, until it is known whether we are let in at all.
DENIED: Final = 30.0
_HANDFUL: Final = 8
# Seconds without sweeps after one that cost more pages than there are jobs.
_POOR_FOR: Final = 300.0


@attrs.define
class ListPlan:
    """Whether one list may stand for many looks, and how often it is asked for: a pure decision.

    Args:
        policy: The caller's wishes.
        discovering: Whether jobs are to be found in the list, so that it is asked for in any case.
    """

    policy: WatchPolicy
    discovering: bool = False
    # Seconds between two passages through the list, as long as they are whole.
    _passage: float = attrs.field(default=0.0, init=False)
    # Whether the service cannot make the list light, or gives no list.
    refused: bool = attrs.field(default=False, init=False)
    _poor_until: float = attrs.field(default=0.0, init=False)

    def sweeps(self, live: int, now: float) -> bool:
        """Return whether ``live`` jobs are to be swept."""
        return self.wait(live, now) == 0.0

    def wait(self, live: int, now: float) -> float | None:
        """Return the seconds until ``live`` jobs are worth a sweep; None if they are not."""
        if self.discovering:
            return 0.0
        enough = live > (0 if self.policy.coalesce == "always" else _HANDFUL)
        if self.refused or self.policy.coalesce == "never" or not enough:
            return None
        return max(self._poor_until - now, 0.0)

    def swept(self, pages: int, live: int, now: float) -> None:
        """Take in what a sweep has cost: many models of others may make it dearer than single looks."""
        if self.policy.coalesce == "auto" and pages > max(live, 1):
            self._poor_until = now + _POOR_FOR

    def took(self, seconds: float) -> None:
        """Take in how far apart two passages are; 0 if the last one was broken off."""
        self._passage = seconds

    def forgo(self, now: float) -> None:
        """Take in that the list is not for us at present."""
        self._poor_until = now + _POOR_FOR

    def pause(self, pages: int, rate: float) -> float:
        """Return the seconds to the next sweep, which takes at most half of the requests."""
        return max(self.policy.terminal_freshness, 2 * pages / rate)

    @property
    def longest_absence(self) -> float:
        """The seconds after which a job that no sweep has shown is looked at on its own."""
        # In a long list, a job is shown once in a passage at best, and that is no reason to look at it.
        return max(2 * self.policy.freshness, 1.5 * self._passage)


@attrs.define(eq=False)
class Roster:
    """Gives every job its time, and reports what a look at it has brought.

    Args:
        policy: The caller's wishes.
        board: The jobs.
        plan: What is known of the list.
        health: How the service is, and how fast it may be asked.
        handles: The handles of the same client, which show what is learnt here.
    """

    policy: WatchPolicy
    board: Board
    plan: ListPlan
    health: Service
    handles: Followers | None = None
    agenda: Agenda[Due] = attrs.field(factory=Agenda, init=False)
    dice: Callable[[], float] = attrs.field(default=random.random, init=False)
    spectators: int = attrs.field(default=0, init=False)
    """How many displays show the jobs at present."""

    def admit(self, jobs: Sequence[WatchedJob], now: float) -> None:
        """Give jobs their first time, so that many of them make no burst."""
        for job, due in zip(jobs, self._spread(len(jobs), now), strict=True):
            if self._is_light(job, now):
                self._rest(job, now)
            elif not (job.finished or job.looking):
                self.agenda.put(job, due)

    @property
    def share(self) -> float:
        """Seconds between two looks at each of the jobs that are looked at one by one, with the requests allowed."""
        return affordable(len(self.agenda) + 1, self.health.bucket.rate)

    def is_covered(self, job: WatchedJob, now: float) -> bool:
        """Return whether a job may rest although its time has come, because a sweep has shown it lately."""
        return _shown(job) + self.plan.longest_absence > now and self._is_light(job, now)

    def follow(self, job: WatchedJob, reported: list[Event], now: Moment, hint: float = 0.0) -> None:
        """Report what is new of a job, and plan the next look at it.

        Args:
            job: The job.
            reported: What is new.
            now: The time.
            hint: Seconds to wait at least, because the service asked for it or forbade the look.
        """
        self.report(job, reported)
        if self.handles is not None:
            self.handles.saw(job.history, reported)
        steps = not job.history.work.apart or self.board.wants_steps(job)
        policy = self.policy.while_somebody_watches(self.board.live) if self.spectators else self.policy
        look = job.history.next_look(now, policy, self.dice(), self.share, steps=steps)
        if look is None:
            self.agenda.drop(job)
            return
        job.looks.source, after = look.source, look.after
        # The service's trouble outweighs the job's own schedule: a job that cannot be looked at is asked ever less.
        if job.looks.failures:
            if job.history.work.apart and job.looks.failures % 2:
                job.looks.source = Source.JOB  # perhaps only the work cannot be seen
            after = recheck(job.looks.failures, self.dice())
        elif self._is_light(job, now.clock):
            self._rest(job, now.clock)
            return
        due = now.clock + max(after, hint)
        # Only a list is read while a job has its time. It has shown no steps, so it is no reason to look later.
        self.agenda.put(job, due if job.due is None else min(job.due, due), pressing=job.history.rhythm.pressing)

    def discard(self, job: WatchedJob, now: Moment) -> None:
        """Look at a job no more, and forget it but for the cursor of its readers."""
        cursor = parse_cursor(self.board.cursor_of(job))
        self.agenda.drop(job)
        reported = job.detach(now)
        self.board.discard(job, reported, cursor)
        if self.handles is not None:
            self.handles.saw(job.history, reported)

    def report(self, job: WatchedJob, reported: list[Event]) -> None:
        """Put what is new of a job on the board and into the log."""
        self.board.report(job, reported)
        known = KnownJob(job.history) if self.handles is None else self.handles.known(job.history)
        log_events(_log, known.unknown(job.history, reported))

    def history_of(self, name: str) -> History | None:
        """Return the history of a watched job."""
        job = self.board.watched.get(name) if name in self.board.jobs else None
        return job.history if job is not None else None

    def respread(self, now: float) -> None:
        """Spread over some time what has become due while nothing could be asked, or was put off because it failed."""
        failed = (job for job in self.board.jobs.values() if job.looks.failures)
        put_off = (job for job in failed if job.due is not None and job.due > now)
        overdue = [*self.agenda.overdue(now), *put_off]
        span = min(self.policy.freshness, len(overdue) / self.health.bucket.rate)
        for item in overdue:
            self.agenda.put(item, now + span * self.dice())

    async def rouse(self, now: float) -> None:
        """Give the jobs that rest a time again, if there are no more sweeps or the last ones have not shown them."""
        latest = now - self.plan.longest_absence if self.plan.sweeps(self.board.listed, now) else math.inf
        absent = [job for job in self.board.jobs.values() if rests(job) and _shown(job) <= latest]
        for number, (job, due) in enumerate(zip(absent, self._spread(len(absent), now), strict=True), 1):
            if rests(job):  # others may have run since, and given it a time
                self.agenda.put(job, due)
            if number % SLICE == 0:
                await anyio.lowlevel.checkpoint()

    def _is_light(self, job: WatchedJob, now: float) -> bool:
        """Return whether a list is enough for a job."""
        rhythm = job.history.rhythm
        # A list shows no 404, no 403, no reason and no last snapshots, which is what these wait for.
        if job.looks.failures or job.looks.denied_since is not None or rhythm.pressing or rhythm.blank:
            return False
        return job.listed and self.plan.sweeps(self.board.listed, now) and not self.board.wants_steps(job)

    def _rest(self, job: WatchedJob, now: float) -> None:
        """Leave a job to the sweeps."""
        self.agenda.drop(job)
        job.looks.covered = now

    def _spread(self, count: int, now: float) -> Iterator[float]:
        """Yield times for so many jobs, so that they make no burst."""
        span = min(self.policy.freshness, count / self.health.bucket.rate) if count > self.policy.burst else 0.0
        return (now + span * number / count for number in range(count))


def rests(job: WatchedJob) -> bool:
    """Return whether only a sweep tells of a job."""
    return job.due is None and not job.looking and not job.finished


def _shown(job: WatchedJob) -> float:
    return -math.inf if job.looks.covered is None else job.looks.covered
