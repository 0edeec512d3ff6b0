"""One run of a sweep: it takes up what earlier runs have left, keeps the tasks going, and ends with one error or none.

Leaving it in whatever way touches no job. It ends when no further job will be created, all have ended, and every model
that is to be evaluated has been; or at the first error that waiting does not mend.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from gemtune.errors import GemtuneError, InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.resources.given import ModelLike
from gemtune.sweep.events import PointPlanned
from gemtune.sweep.journal.folder import SweepJournal
from gemtune.sweep.journal.leaving import remove_if_no_job
from gemtune.sweep.journal.lines import point_line
from gemtune.sweep.point import SweepPoint
from gemtune.sweep.running.creating import Creating
from gemtune.sweep.running.following import Following
from gemtune.sweep.running.parts import SweepParts
from gemtune.sweep.running.record import PointRecord
from gemtune.sweep.running.resuming import still_wanted, take_up
from gemtune.sweep.running.scoring import Scoring
from gemtune.sweep.running.stopping import Stopping
from gemtune.sweep.space import hyperparameters_of
from gemtune.types import Hyperparameters
from gemtune.watch import Watcher


@attrs.define(eq=False)
class SweepRun:
    """One run of a sweep.

    Args:
        parts: What its tasks share.
        base_model: The model that is tuned.
        shared: The hyperparameters that all points share.
    """

    parts: SweepParts
    base_model: ModelLike
    shared: Hyperparameters | None
    over: bool = attrs.field(default=False, init=False)
    error: Exception | None = attrs.field(default=None, init=False)
    watcher: Watcher | None = attrs.field(default=None, init=False)
    creating: Creating = attrs.field(init=False)
    stopping: Stopping = attrs.field(init=False)
    scoring: Scoring = attrs.field(init=False)
    _left: bool = attrs.field(default=False, init=False)
    _group: anyio.abc.TaskGroup | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.creating = Creating(self.parts, self._made, self._begun)
        self.stopping = Stopping(self.parts, self._start)
        self.scoring = Scoring(self.parts, self.base_model)

    async def prepare(self) -> None:
        """Take up what earlier runs have left, and plan the points that are known from the beginning."""
        parts = self.parts
        parts.source.begin(parts.journal.id)
        await anyio.to_thread.run_sync(self.scoring.take_up)
        for number, known in still_wanted(parts.journal.known, parts.most).items():
            await take_up(parts, self._made(number, known.values), known)
        total = parts.source.total if parts.ahead else 0
        fresh: list[PointRecord] = []
        for number in range(total or 0):
            if parts.most is not None and len(parts.board.records) + len(fresh) >= parts.most:
                break
            if number in parts.board.records:
                continue
            values = await parts.source.ask(number)
            if values is None:
                break
            fresh.append(self._made(number, values))
        await parts.journal.note(*(point_line(one.number, "asked", values=dict(one.point.values)) for one in fresh))
        for record in fresh:
            parts.board.records[record.number] = record
            parts.board.news.report(PointPlanned(point=record.point))

    async def run(self) -> None:
        """Run until all is done, until an error ends it, or until somebody leaves it."""
        self.parts.board.began = anyio.current_time()
        cancelled = False
        try:
            if not self._left:
                async with self.parts.service.watch() as watcher:
                    self.watcher = watcher
                    await self._tasks(watcher)
        except Exception as error:  # noqa: BLE001 - raised where the sweep is read
            self.fail(error)
        except BaseException:
            cancelled = True
            raise
        finally:
            try:
                # Whoever leaves waits for that: the folder is free for the next run, and nothing is left behind.
                with anyio.CancelScope(shield=True):
                    over = self.parts.board.finished or self.error is not None
                    in_the_way = over and self.parts.without_jobs
                    await anyio.to_thread.run_sync(_let_go, self.parts.journal, self.scoring, in_the_way)
            finally:
                # No shield holds off whoever cancels all tasks, as the end of a loop does.
                self.end(cancelled=cancelled)

    def end(self, *, cancelled: bool) -> None:
        """Let go of the journal, and let whoever reads it know that it has ended.

        Args:
            cancelled: Whether its task was cancelled. The reader may live on, and must not take this for the end.
        """
        self.parts.journal.close()
        if cancelled and not self._left and self.error is None:
            what = "the task of the sweep was cancelled before the sweep was done; its jobs continue"
            self.error = GemtuneError(what)
        board = self.parts.board
        self.over, board.over_at, board.waiting_for = True, anyio.current_time(), ""
        board.news.ring()

    def leave(self) -> None:
        """End the run now; the jobs continue."""
        self._left = True
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def fail(self, error: Exception) -> None:
        """End the run with an error, if it is the first."""
        if self.error is None:
            self.error = error
        self.leave()

    async def cancel(self, reason: str) -> None:
        """Begin nothing more, and have every job cancelled that has not ended."""
        await self.stopping.give_up(reason, *self.parts.board.records.values())
        # Only now: what could not be written down has no effect at all.
        self.parts.closing = reason
        # Jobs that have come meanwhile; what comes from now on is given up as it comes.
        await self.stopping.give_up(reason, *self.parts.board.records.values())
        self.parts.board.news.ring()

    async def _tasks(self, watcher: Watcher) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            for record in self.parts.board.records.values():
                if record.job is not None:
                    watcher.add(record.job)
                    if record.stopping and not record.ended:
                        self._start(self.stopping.cancel, record)
                if self.parts.closing:  # since before there was anything to cancel with
                    self._start(self._give_up_late, record)
            following = Following(self.parts, watcher, self.stopping)
            group.start_soon(self._guarded, following.run)
            group.start_soon(self._guarded, self.scoring.run)
            await self._guarded(self._whole)
            group.cancel_scope.cancel()

    async def _whole(self) -> None:
        board = self.parts.board
        await self.creating.run()
        while not self._settled():
            await board.news.change()
        await self.scoring.all()
        board.finished = True

    def _settled(self) -> bool:
        for each in self.parts.board.records.values():
            if self.parts.closing and each.job is None and not each.ended:
                continue
            # The curves of earlier runs are part of the picture, and come from the service again.
            if not (each.ended and each.told and (each.followed or each.job is None)):
                return False
        return not self.scoring.waiting()

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        # Errors are values here: a task group would wrap them into a group of errors.
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised where the sweep is read
            self.fail(error)

    def _start(self, work: Callable[[PointRecord], object], record: PointRecord) -> None:
        async def one() -> None:
            await work(record)  # type: ignore[misc]

        if self._group is not None:
            self._group.start_soon(self._guarded, one)

    def _begun(self, record: PointRecord) -> None:
        if self.watcher is not None and record.job is not None:
            self.watcher.add(record.job)
        if self.parts.closing:
            self._start(self._give_up_late, record)

    async def _give_up_late(self, record: PointRecord) -> None:
        await self.stopping.give_up(self.parts.closing, record)

    def _made(self, number: int, values: object) -> PointRecord:
        chosen: Mapping[str, float | int] = dict(values)  # type: ignore[call-overload]
        used = hyperparameters_of(chosen, self.shared)
        board, point = self.parts.board, SweepPoint(number=number, values=chosen, hyperparameters=used)
        if board.costs.tokens(used) is None and board.budget.limited:
            what = f"the budget cannot be kept: the service would choose how many epochs point {number} takes"
            raise InvalidInput(what, Remedy("set ", Argument("epoch_count")), field="epoch_count")
        job_id = f"{self.parts.journal.id}-{number}"
        return PointRecord(point, job_id, board.most_tokens(used), board.costs.passes(used))


def _let_go(journal: SweepJournal, scoring: Scoring, in_the_way: bool) -> None:
    journal.close(wait=True)
    scoring.close()
    if in_the_way and journal.folder is not None:
        remove_if_no_job(journal.folder, whole=journal.made)
