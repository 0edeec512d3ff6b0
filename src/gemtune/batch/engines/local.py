"""The machine of a batch: workers over one input, a limiter that says when, a journal in front of every result.

::

    intake ──item──> _pull_all ──item, permit──> worker ──result──> journal writer ──> outbox ──> the user's loop
                        │  waits for the limiter     │
                        └───── Stop, RunTally ───────┘

One task pulls a row, waits for a permit, and gives both to an idle worker, or starts a new one. So rows are pulled only
as permits free up, and there are never more workers than items were under way at a time: no queue between the two
could grow, and none has to be bounded. A worker keeps its task for the next item, as a task for each would be felt.
An item that failed for now keeps its worker and stands in the limiter's line again.

The input side (``Intake``) and the answer side (``Answering``) know nothing of each other. They meet in three places:
the ``Stop`` that ends both, the ``RunTally`` that both count in, and the outbox, where an item has its position before
it is asked.

Cancelled anywhere, a run leaves the journal whole: between a reply and the journal's buffer nothing is awaited, and
the buffer is written in a shielded scope.
"""

from __future__ import annotations

from typing import Final

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import TaskGroup

from gemtune.batch.acceptance import too_many
from gemtune.batch.engines.answering import Answering
from gemtune.batch.inputs import Item
from gemtune.batch.intake import Intake
from gemtune.batch.journal.writer import JournalWriter
from gemtune.batch.outbox import Outbox
from gemtune.batch.progress import RunTally
from gemtune.batch.report import Stop
from gemtune.batch.result import BatchResult
from gemtune.errors import DeadlineExceeded, GemtuneError
from gemtune.limiter.limiter import Limiter, Permit
from gemtune.loops import current_time

_SHARE: Final = 8
"""Which part of the limit one batch takes in one go, before others that share the limiter have their turn."""
_AHEAD: Final = 4
"""How many times the limit may be begun and not yet taken by the consumer: room for restoring the order."""
_AHEAD_AT_LEAST: Final = 16
_AHEAD_BYTES: Final = 64 * 1024 * 1024


@attrs.define(eq=False)
class _Idle:
    """A worker that waits for an item and its permit, or for the word that there are no more."""

    taken: anyio.Event = attrs.field(factory=anyio.Event)
    work: tuple[Item, Permit] | None = None

    def hand(self, work: tuple[Item, Permit] | None) -> None:
        self.work = work
        self.taken.set()

    async def wait(self) -> tuple[Item, Permit] | None:
        try:
            await self.taken.wait()
        except BaseException:
            if self.work is not None:  # handed over in the same moment in which the worker was cancelled
                self.work[1].unsent()
            raise
        return self.work


@attrs.define(eq=False, kw_only=True)
class Run:
    """One run over an input.

    Args:
        intake: The items.
        answering: Asks for each.
        limiter: Says when.
        outbox: Where results go.
        tally: Where everything is counted.
        stop: What ends the run before its input does.
        writer: The way into the journal, if there is one.
        holds: What the next item waits for, and once there is none, the end of the run.
    """

    intake: Intake
    answering: Answering
    limiter: Limiter
    outbox: Outbox
    tally: RunTally
    stop: Stop
    writer: JournalWriter | None = None
    holds: str = "input"
    _left: bool = False
    _workers: TaskGroup = attrs.field(factory=anyio.create_task_group)
    _work_scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    _idle: list[_Idle] | None = attrs.field(factory=list)

    async def run(self, timeout: float) -> None:
        """Work until the input has ended, ``drain`` or ``abort`` is called; complete the journal in any case."""
        try:
            # The clock is around the work alone: what is done when time is up still has to reach the journal.
            with anyio.move_on_after(timeout) as clock:
                await self._work_all()
            if clock.cancelled_caught:
                self.stop.begin(DeadlineExceeded(f"the batch was not done within {timeout:g} s"))
        except Exception as error:  # noqa: BLE001 - it is raised where results are read
            self.stop.overrule(error)
        except BaseException:
            # Somebody has cancelled all tasks. The consumer may live on, and must not take this for the end.
            self.stop.overrule(GemtuneError("the task of the batch was cancelled before the batch was done"))
            raise
        finally:
            # Left by break, by Ctrl-C or by an error: what was received was paid for, so the disk is waited for.
            with anyio.CancelScope(shield=True):
                if self.writer is not None:
                    await self.writer.finish()
            # Only now: before, the consumer would see an end while results are on their way to the file.
            self.outbox.end()
            self.tally.over = current_time()
            self._let_go()
            if self.answering.watch is not None:
                self.answering.watch.ended(self.stop.reason)

    def drain(self) -> None:
        """Begin nothing more; what is in flight finishes, what is parked is given up."""
        self.stop.begin(None)
        self._settle()

    def abort(self, reason: BaseException) -> None:
        """Give up everything at once."""
        self.stop.overrule(reason)
        self._work_scope.cancel()

    def leave(self) -> None:
        """Give up what is in flight, as nobody reads any more, and let go of the journal once it is complete."""
        self._left, self.stop.begun = True, True
        self._work_scope.cancel()
        self._let_go()

    def _let_go(self) -> None:
        # Not at the end of the run: until the consumer leaves, the journal is locked for an export.
        if self._left and self.outbox.over and self.writer is not None:
            self.writer.close()

    def _settle(self) -> None:
        """End the run if it is to stop and the last reply is here."""
        if self.stop.begun and not self.tally.in_flight:
            self._work_scope.cancel()

    async def _work_all(self) -> None:
        async with anyio.create_task_group() as outer:
            if self.writer is not None:
                outer.start_soon(self.writer.run)
            with self._work_scope:  # its own, as a task group on trio has none before it is entered
                async with self._workers as workers:
                    workers.start_soon(self._pull_all)
            # The writer waits for news without an end. ``finish`` writes what it leaves.
            outer.cancel_scope.cancel()

    # The input

    async def _pull_all(self) -> None:
        """Give every item of the input to a worker, as permits free up."""
        try:
            try:
                while (item := await self._pull()) is not None:
                    if item.error is None:
                        await self._begin(item)
                    else:
                        # A row that cannot be asked needs no permit: it would take its place in somebody's quota.
                        item.position = self.outbox.begin()
                        result = BatchResult(key=item.name, index=item.index, error=item.error, attempts=0)
                        self._finish(item, result)
            finally:
                self.holds = "last replies"
                # In the task that has read it: a generator that holds a cancel scope can be closed by no other.
                await self.intake.aclose()
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self.stop.begin(error)
        self._settle()
        idle, self._idle = self._idle or [], None
        for worker in idle:
            worker.hand(None)

    async def _pull(self) -> Item | None:
        """Return the next item once there is room for its result, or None at the end."""
        while not self.stop.begun:
            # Looked at before each row and not once per lot, as replies of 4 MB fill the room within a few items.
            if self._far_ahead:
                self.holds = "consumer"
                await self.outbox.space()
                continue
            self.holds = "input"
            return await self.intake.next()
        return None

    @property
    def _far_ahead(self) -> bool:
        outbox = self.outbox
        return outbox.held >= _AHEAD_BYTES or outbox.ahead >= max(_AHEAD_AT_LEAST, _AHEAD * self.limiter.limit)

    async def _begin(self, item: Item) -> None:
        """Wait for a permit, and give the item to a worker."""
        self.holds = "limiter"
        permit = await self.limiter.acquire(self.limiter.estimate(item.size))
        if self.stop.begun:  # while it stood in line
            permit.unsent()
            return
        # From here to the worker nothing is awaited, so that a permit is never without somebody who returns it.
        item.position = self.outbox.begin()
        self.tally.in_flight += 1
        if self._idle:
            # The one that became idle last, so that those that a larger limit once needed stay out of the way.
            self._idle.pop().hand((item, permit))
        else:
            self._workers.start_soon(self._work, item, permit)
        # With permits free and rows at hand nothing above waits, and without this the loop would stand still for all.
        if self.outbox.begun % max(1, self.limiter.limit // _SHARE) == 0:
            await anyio.lowlevel.checkpoint()

    # The answers

    async def _work(self, item: Item, permit: Permit) -> None:
        """Ask for one item after the other."""
        try:
            while True:
                result = await self.answering.answer(item, permit)
                if result is not None:
                    self._finish(item, result)
                self._settle()
                work = None if result is None else await self._next()
                if work is None:
                    return
                item, permit = work
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self.stop.begin(error, item)
            self._settle()

    async def _next(self) -> tuple[Item, Permit] | None:
        """Stand by for the next item; None if there are no more."""
        if self._idle is None:
            return None
        idle = _Idle()
        self._idle.append(idle)
        return await idle.wait()

    def _finish(self, item: Item, result: BatchResult) -> None:
        """Hand an outcome on; nothing is awaited between the reply and the journal's buffer."""
        self.tally.count(result, current_time())
        if self.answering.watch is not None:
            self.answering.watch.finished(result.error)
        if result.error is not None:
            why = too_many(self.answering.max_failures, self.tally.failed, self.tally.finished)
            if why and not self.stop.begun:
                self.stop.begin(result.error, why=why)
        if self.writer is None:
            self.outbox.put(item.position, result)
        else:
            self.writer.put(item.position, result, item.key, item.digest)
