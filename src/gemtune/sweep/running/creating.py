"""Has the jobs of points created, each exactly once, one after the other, as many at a time as there is room for.

Before a creation is sent, the journal says that it may be: after a kill its job is looked for under the point's own id,
and adopted or created with it. A creation that may have been sent before is never sent again without that search.

Once the sweep is cancelled nothing is created any more, however far a search or a creation has come before it is sent.
What may exist is still looked for, because its job is to be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import attrs

from gemtune.errors import (
    AlreadyExists,
    BadRequest,
    CallError,
    CredentialsError,
    Failure,
    GemtuneError,
    QuotaExhausted,
    TuningUnavailable,
)
from gemtune.resources.attempts import NotWanted
from gemtune.sweep.events import PointEnded, PointLeftOut, PointPlanned, PointStarted
from gemtune.sweep.journal.lines import point_line
from gemtune.sweep.point import PointState
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.planning import (
    AskSource,
    CreateNext,
    LeaveOut,
    NothingMore,
    SweepSituation,
    UncreatedPoint,
    WaitFor,
    next_step,
)
from gemtune.sweep.running.quota import CreationHold
from gemtune.sweep.running.record import PointRecord

_ADOPTED_AT_ONCE: Final = 8
_FOR_GOOD: Final = frozenset({"none", "billing"})
"""Quotas that no waiting fills again."""


@attrs.define(eq=False)
class Creating:
    """Creates jobs until no further one will be created.

    Args:
        parts: What the tasks share.
        made: Makes a point of what the source chose, by its number.
        begun: Called with a point whose job is there.
    """

    parts: SweepParts
    made: Callable[[int, object], PointRecord]
    begun: Callable[[PointRecord], None]
    hold: CreationHold = attrs.field(factory=CreationHold, init=False)
    requests: int = attrs.field(default=0, init=False)
    refused: int = attrs.field(default=0, init=False)
    _busy: set[int] = attrs.field(factory=set, init=False)
    _exhausted: bool = attrs.field(default=False, init=False)
    _missing: set[int] = attrs.field(factory=set, init=False)
    """Points that were looked for after the sweep was cancelled, and have no job."""
    _accepted: bool = attrs.field(default=False, init=False)
    _complaint: str = attrs.field(default="", init=False)
    """What the service had against the last point, as long as it has accepted none."""

    async def run(self) -> None:
        """Create jobs until there are no more to be created."""
        board = self.parts.board
        await self._adopt_all()
        while True:
            step = next_step(self._situation(), board.budget)
            board.waiting_for = ""
            match step:
                case NothingMore():
                    return
                case AskSource():
                    await self._ask()
                case LeaveOut(number, reason):
                    await self._leave_out(board.records[number], reason)
                case CreateNext(number):
                    await self._create(board.records[number])
                case WaitFor(seconds, why):
                    board.waiting_for = why
                    with anyio.move_on_after(seconds):
                        await board.news.change()

    def _situation(self) -> SweepSituation:
        parts, records = self.parts, self.parts.board.records.values()
        closing, away = bool(parts.closing), self._busy | self._missing
        waiting = [each for each in records if not each.ended and each.job is None and each.number not in away]
        if closing:
            waiting = [each for each in waiting if each.may_exist]
        # What may have been created comes first, and holds its part of the budget already.
        waiting.sort(key=lambda each: (not each.may_exist, each.number))
        total = parts.most if parts.source.total is None else parts.source.total
        # A study that resumes is told of all that is over before it is asked for more.
        caught_up = all(each.told for each in records if each.replayed)
        return SweepSituation(
            now=anyio.current_time(),
            planned=[_uncreated(each, parts.board.most_evaluated) for each in waiting],
            evaluating=parts.board.budget.money is not None
            and any(each.to_evaluate for each in records if parts.metrics),
            more_later=not caught_up,
            active=sum(1 for each in records if not each.ended and (each.job is not None or each.number in self._busy)),
            ended=parts.ended,
            places=None if closing else parts.places,
            hold=self.hold,
            more=not (closing or self._exhausted) and (total is None or len(parts.board.records) < total),
        )

    async def _adopt_all(self) -> None:
        """Look for the jobs that earlier runs may have created, several at a time: each search takes its seconds."""
        doubtful = [each for each in self.parts.board.records.values() if each.may_exist and each.job is None]
        doubtful = [each for each in doubtful if not each.ended]
        self._busy |= {each.number for each in doubtful}
        failures: list[Exception] = []
        limit = anyio.Semaphore(_ADOPTED_AT_ONCE)

        async def adopt(record: PointRecord) -> None:
            async with limit:
                try:
                    if not failures:
                        await self._create(record)
                except Exception as error:  # noqa: BLE001 - raised below, and not as a group
                    failures.append(error)

        async with anyio.create_task_group() as tasks:
            for record in doubtful:
                tasks.start_soon(adopt, record)
        if failures:
            raise failures[0]

    async def _ask(self) -> None:
        parts = self.parts
        number = max(parts.board.records, default=-1) + 1
        values = await parts.source.ask(number)
        if values is None:
            self._exhausted = True
            return
        record = self.made(number, values)
        await parts.journal.note(point_line(number, "asked", values=dict(values)))
        parts.board.records[number] = record
        parts.board.news.report(PointPlanned(point=record.point))

    async def _leave_out(self, record: PointRecord, reason: str) -> None:
        record.state, record.reason = PointState.LEFT_OUT, reason
        self.parts.board.news.report(PointLeftOut(point=record.point, reason=reason))
        await self.parts.tell(record)

    async def _create(self, record: PointRecord) -> None:
        # Counted before: a place that becomes free while the request is under way may be the one that it was refused.
        parts, fresh, ended = self.parts, not record.may_exist, self.parts.ended
        self._busy.add(record.number)
        try:
            train, measured = await parts.data.ready()
            record.state = PointState.WAITING
            parts.board.hold(record, record.tokens)
            if fresh:
                await parts.write(record, "creating")
                record.may_exist = True
            self.requests += 1
            job = await parts.service.create(
                record.point, record.job_id, train, measured, fresh=fresh, wanted=lambda: not parts.closing
            )
        except NotWanted:
            await self._give_up(record, fresh=fresh)
            return
        except GemtuneError as error:
            if not await self._survive(record, error, ended, fresh=fresh):
                raise
            return
        finally:
            self._busy.discard(record.number)
            parts.board.news.ring()
        self._accepted, self.hold = True, CreationHold()
        record.job = job
        self.begun(record)
        parts.board.news.report(PointStarted(point=record.point, job=job.name, adopted=job.adopted))
        await parts.write(record, "created", job=job.name)

    async def _survive(self, record: PointRecord, error: GemtuneError, ended: int, *, fresh: bool) -> bool:
        """Take in that a creation has failed; return whether the sweep can do without it, for now or for good."""
        if isinstance(error, TuningUnavailable):  # the service has said no, in our words
            await self._not_there(record, fresh=fresh)
        if isinstance(error, CredentialsError) or not isinstance(error, CallError):
            return False
        now, hint = anyio.current_time(), error.retry_after
        # What may exist is looked for first. An error of that look proves nothing, so that only the first creation of
        # an id, which looks for nothing, can be known not to have happened.
        if isinstance(error, QuotaExhausted):
            await self._not_there(record, fresh=fresh)
            self.refused += 1
            self.hold = self.hold.full(now, ended, hint, self.parts.dice())
            return error.scope not in _FOR_GOOD
        if isinstance(error, BadRequest):
            await self._not_there(record, fresh=fresh)
            return await self._refuse(record, error)
        if isinstance(error, AlreadyExists):
            return fresh  # then somebody has used our id, which only we know: the next attempt looks
        if error.failure is Failure.FATAL:
            await self._not_there(record, fresh=fresh)
            return False
        if error.failure is Failure.NOT_SENT:
            await self._not_there(record, fresh=fresh)
        self.hold = self.hold.out(now, hint, self.parts.dice(), error.message)
        return True

    async def _give_up(self, record: PointRecord, *, fresh: bool) -> None:
        """Leave a point that the sweep was cancelled before; what was looked for stays in doubt for the next run."""
        self._missing.add(record.number)
        record.state = PointState.PLANNED
        await self._not_there(record, fresh=fresh)

    async def _not_there(self, record: PointRecord, *, fresh: bool) -> None:
        if not fresh:
            return
        record.may_exist = False
        self.parts.board.hold(record, 0.0)
        await self.parts.write(record, "refused")

    async def _refuse(self, record: PointRecord, error: BadRequest) -> bool:
        """Let a point fail that the service refuses; what it says of two different points is not about either."""
        complaint = error.message.replace(record.job_id, "")
        if not self._accepted and self._complaint == complaint:
            return False
        self._complaint = complaint
        record.state, record.reason = PointState.FAILED, str(error)
        if not record.may_exist:  # or else the next run looks again
            await self.parts.write_end(record)
        end = PointEnded(point=record.point, job="", state=record.state, reason=record.reason)
        self.parts.board.news.report(end)
        await self.parts.tell(record)
        return True


def _uncreated(record: PointRecord, evaluation: float) -> UncreatedPoint:
    """Return a point without a job, as the decision sees it."""
    if record.may_exist:
        return UncreatedPoint(record.number)
    return UncreatedPoint(record.number, record.tokens, evaluation)
