"""A list sweep: one passage through the list of all jobs, a page at a time.

A list shows names and states of a thousand jobs in one request, and no snapshots: enough to know that a job has ended
and must be looked at, and to discover jobs. The pages of a passage are spread over the time until the next one: pages
that follow each other at once would take all the requests that are allowed, and the ends that they show would wait for
theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import anyio
import anyio.lowlevel
import attrs

from gemtune.errors import BadRequest, CallError, CredentialsError, NotFound, PermissionDenied
from gemtune.events import Origin
from gemtune.looks.service import Ask, JobService, moment
from gemtune.pager import Pages
from gemtune.story.history import History
from gemtune.story.observation import Listed, Moment
from gemtune.watch.agenda import Due
from gemtune.watch.record import WatchedJob
from gemtune.watch.roster import QUARANTINE, SLICE, Roster

_log = logging.getLogger("gemtune.watch")

_MINUTE: Final = 60 * 10**9
# A million jobs; a list that is longer has no end, such as one of a gateway that makes up a new token for each page.
_MOST_PAGES: Final = 1000
# Pages beyond those of the last passage that are asked for without delay.
_AT_ONCE: Final = 20


@attrs.define(eq=False)
class Passage:
    """Where the passage through the list stands."""

    # The list; None between two passages.
    pages: Pages[Listed] | None = attrs.field(default=None, init=False)
    began: float = attrs.field(default=0.0, init=False)
    # Pages of this passage so far.
    taken: int = attrs.field(default=0, init=False)
    # Jobs on them that are watched and have not ended.
    seen: int = attrs.field(default=0, init=False)
    # Names that the list has yet to show, if they are still on it.
    missing: set[str] = attrs.field(factory=set, init=False)
    # How often the list was gone through to its end.
    completed: int = attrs.field(default=0, init=False)
    _usual: int = attrs.field(default=0, init=False)

    def begin(self, pages: Pages[Listed], candidates: set[str], now: float) -> None:
        """Begin at the first page."""
        self.pages, self.began, self.taken, self.seen = pages, now, 0, 0
        self.missing = candidates

    def end(self, *, whole: bool) -> None:
        """Leave the list, having gone through it or not; a passage after one that was broken off knows no delay."""
        self.pages, self.completed = None, self.completed + whole
        self._usual = self.taken if whole else 0

    @property
    def expected(self) -> int:
        """How many pages this passage will have, as far as is known."""
        return max(self.taken, self._usual)

    @property
    def endless(self) -> bool:
        """Whether it has taken more pages than any list has."""
        return self.taken >= _MOST_PAGES

    def next_page(self, now: float, pause: float, rate: float) -> float:
        """Return when the next page is due.

        The first passage is made without delay; in a list that has grown, so is what is new. But pages that come
        without end must leave at least half of the requests to the jobs.

        Args:
            now: The time.
            pause: Seconds between the beginnings of two passages.
            rate: Requests a second that are allowed.
        """
        if self.taken < self._usual:
            return max(now, self.began + pause * self.taken / self._usual)
        return now if self.taken - self._usual < _AT_ONCE else now + 2 / rate


@attrs.define(eq=False)
class ListSweep(Due):
    """Goes through the list; it is due when its next page is.

    Args:
        service: Gives the list.
        ask: How to ask.
        roster: Plans what follows from a page.
        filter: Which jobs are to be discovered; None discovers none.
        began: Since when (ns) a job must have been created to be discovered although it has ended.
    """

    service: JobService
    ask: Ask
    roster: Roster
    filter: str | None
    began: int
    passage: Passage = attrs.field(factory=Passage, init=False)

    def plan(self, now: float, *, check: bool = False) -> None:
        """Plan a sweep now if there is none planned; to check whether the service is well, one is made in any case."""
        plan = self.roster.plan
        wanted = plan.sweeps(self.roster.board.listed, now) or (check and not plan.refused)
        under_way = self.looking or self.passage.pages is not None
        if wanted and not under_way and (self.due is None or self.due > now + 1):
            self.roster.agenda.put(self, now, pressing=True)

    async def take_next_page(self) -> None:
        """Ask for the next page, take it in, and plan the one after it."""
        roster, passage, plan = self.roster, self.passage, self.roster.plan
        pages, pause = passage.pages, roster.policy.terminal_freshness
        if pages is None:
            pages = self.service.list_jobs(self.filter, self.ask, light=not plan.refused)
            passage.begin(pages, self._kept_for_the_list() if plan.discovering else set(), anyio.current_time())
        passage.taken += 1
        whole = False
        try:
            page = await anext(pages)
        except (CallError, CredentialsError) as error:
            pause = self._failed(error, pause)
        else:
            if roster.health.answered(moment()):
                roster.respread(anyio.current_time())
            passage.seen += await self._take_in(page.items)
            # Once all jobs were seen, the rest of the list is of others; who discovers must see it all the same.
            whole = page.next_page_token is None or (passage.seen >= roster.board.listed and not plan.discovering)
            pause = plan.pause(passage.taken if whole else passage.expected, roster.health.bucket.rate)
            if not (whole or passage.endless):
                now = anyio.current_time()
                await roster.rouse(now)  # the list may be long, and the jobs that it has yet to show wait for it
                due = passage.next_page(now, pause, roster.health.bucket.rate)
                roster.agenda.put(self, due, pressing=True)
                return
            if page.next_page_token is None:
                roster.board.swept(passage.missing)
        now = anyio.current_time()
        if passage.endless and not whole:
            _log.warning("the list of jobs has more than %d pages; it is left there", _MOST_PAGES)
            plan.forgo(now)
        passage.end(whole=whole)
        plan.took(pause if whole else 0.0)
        plan.swept(passage.taken, roster.board.listed, now)
        await roster.rouse(now)
        wait = plan.wait(roster.board.listed, now)
        if wait is not None:
            roster.agenda.put(self, max(passage.began + pause, now + wait), pressing=True)

    def _kept_for_the_list(self) -> set[str]:
        """Return the names that are remembered only because the list may show them."""
        board = self.roster.board
        return board.absent.shunned | {name for name, job in board.jobs.items() if job.past}

    def _failed(self, error: CallError | CredentialsError, pause: float) -> float:
        """Return the seconds to the next sweep."""
        plan = self.roster.plan
        if isinstance(error, BadRequest | NotFound) and not isinstance(error, CredentialsError):
            # Perhaps it does not take the mask: whole models would cost a thousand times as much, so no list at all.
            if not plan.refused:
                plan.refused = True
                _log.info("no sweeps of the list (%s): jobs are looked at one by one", error.message)
                return 0.0
            return max(pause, QUARANTINE)
        now = moment()
        if isinstance(error, PermissionDenied):
            plan.forgo(now.clock)
        self.roster.health.failed(error, now, self.roster.dice(), None)
        return pause

    async def _take_in(self, entries: Sequence[Listed]) -> int:
        """Take in a page of the list; return how many of its jobs are watched and have not ended."""
        seen = 0
        for first in range(0, len(entries), SLICE):
            now = moment()
            for entry in entries[first : first + SLICE]:
                self.passage.missing.discard(entry.job)
                job = self.roster.board.jobs.get(entry.job) or self._discover(entry, now)
                if job is not None:
                    seen += not job.finished
                    # Being shown is enough to rest on, whatever the state: a job that is gone is not shown.
                    job.looks.covered = now.clock
                    self._take_light(job, entry, now)
            await anyio.lowlevel.checkpoint()
        return seen

    def _take_light(self, job: WatchedJob, entry: Listed, now: Moment) -> None:
        history = job.history
        if history.rhythm.pressing or job.looking:
            return
        said = history.standing
        same = entry.state == history.state and entry.created == job.looks.created
        if same and entry.service_state == said.service_state and entry.reason == said.reason:
            return  # the usual case by far
        job.looks.created = entry.created
        self.roster.follow(job, history.observe(entry.seen(now)), now)

    def _discover(self, entry: Listed, now: Moment) -> WatchedJob | None:
        board = self.roster.board
        ended = entry.state is not None and entry.state.terminal
        unwanted = not self.roster.plan.discovering or board.absent.knows(entry.job)
        # The minute is for clocks that differ: of a job that ended just before the watch, nobody has had the end.
        if unwanted or (ended and entry.created < self.began - _MINUTE):
            return None
        job = WatchedJob(History(entry.job, seeks=True))
        if entry.about is not None:  # an operation, which is looked at from now on, does not say it before its end
            job.history.about = entry.about
        board.add(job, [job.history.added(now, Origin.DISCOVERED)])
        self.roster.agenda.put(job, now.clock)
        return job
