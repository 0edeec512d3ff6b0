"""The local engine: workers over one input, and a limiter that says when.

::

    intake ──item──> _pull_all ──item, permit──> worker ──result──> Run.finish
                        │  waits for the limiter     │
                        └───── Stop, RunTally ───────┘

One task pulls a row, waits for a permit, and gives both to an idle worker, or starts a new one. So rows are pulled only
as permits free up, and there are never more workers than items were under way at a time: no queue between the two
could grow, and none has to be bounded. A worker keeps its task for the next item, as a task for each would be felt.
An item that failed for now keeps its worker and stands in the limiter's line again.

The input side (``Intake``) and the answer side (``Answering``) know nothing of each other. They meet in three places:
the ``Stop`` that ends both, the ``RunTally`` that both count in, and the outbox, where an item has its position before
it is asked.
"""

from __future__ import annotations

from typing import Final

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import TaskGroup

from gemtune.batch.engines.answering import Answering
from gemtune.batch.engines.run import Run
from gemtune.batch.inputs import Item
from gemtune.batch.intake import Intake
from gemtune.batch.report import held_back
from gemtune.batch.result import BatchResult
from gemtune.limiter.limiter import Limiter, Permit

_SHARE: Final = 8
"""Which part of the limit one batch takes in one go, before others that share the limiter have their turn."""
_AHEAD: Final = 4
"""How many times the limit may be begun and not yet taken by the consumer: room for restoring the order."""
_AHEAD_AT_LEAST: Final = 16
_AHEAD_BYTES: Final = 64 * 1024 * 1024
_REPLAYS_AHEAD: Final = 1024
"""How many outcomes of the journal may wait for the consumer: four lots, so that one is read while one is taken."""


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
class LocalEngine:
    """Asks for each item from here, with one call.

    Args:
        intake: The items.
        answering: Asks for each.
        limiter: Says when.
        holds: What the next item waits for, and once there is none, the end of the run.
    """

    intake: Intake
    answering: Answering
    limiter: Limiter
    holds: str = "input"
    _run: Run = attrs.field(init=False)
    _workers: TaskGroup = attrs.field(factory=anyio.create_task_group)
    _idle: list[_Idle] | None = attrs.field(factory=list)

    async def work(self, run: Run) -> None:
        """Ask for every item of the input; cancelled by the run once it is to stop."""
        self._run = run
        async with self._workers as workers:
            workers.start_soon(self._pull_all)

    @property
    def busy(self) -> bool:
        """Whether a request is in flight."""
        return self.answering.tally.in_flight > 0

    def held_back(self, run: Run) -> str:
        """Return what holds the run back."""
        return held_back(self.holds, run.tally, self.limiter, run.outbox)

    # The input

    async def _pull_all(self) -> None:
        """Give every item of the input to a worker, as permits free up."""
        try:
            try:
                while (item := await self._pull()) is not None:
                    if self._run.hand_over(item):
                        continue
                    if item.error is None:
                        await self._begin(item)
                    else:
                        # A row that cannot be asked needs no permit: it would take its place in somebody's quota.
                        item.position = self._run.outbox.begin()
                        result = BatchResult(key=item.name, index=item.index, error=item.error, attempts=0)
                        self._finish(item, result)
            finally:
                self.holds = "last replies"
                # In the task that has read it: a generator that holds a cancel scope can be closed by no other.
                await self.intake.aclose()
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self._run.stop.begin(error)
        self._run.settle()
        idle, self._idle = self._idle or [], None
        for worker in idle:
            worker.hand(None)

    async def _pull(self) -> Item | None:
        """Return the next item once there is room for its result, or None at the end."""
        while not self._run.stop.begun:
            # Looked at before each row and not once per lot, as replies of 4 MB fill the room within a few items.
            if self._far_ahead:
                self.holds = "consumer"
                await self._run.outbox.space()
                continue
            self.holds = "input"
            return await self.intake.next()
        return None

    @property
    def _far_ahead(self) -> bool:
        outbox = self._run.outbox
        if outbox.held >= _AHEAD_BYTES or outbox.replays >= _REPLAYS_AHEAD:
            return True
        return outbox.ahead >= max(_AHEAD_AT_LEAST, _AHEAD * self.limiter.limit)

    async def _begin(self, item: Item) -> None:
        """Wait for a permit, and give the item to a worker."""
        self.holds = "limiter"
        permit = await self.limiter.acquire(self.limiter.estimate(item.size))
        if self._run.stop.begun:  # while it stood in line
            permit.unsent()
            return
        # From here to the worker nothing is awaited, so that a permit is never without somebody who returns it.
        item.position = self._run.outbox.begin()
        self._run.tally.in_flight += 1
        if self._idle:
            # The one that became idle last, so that those that a larger limit once needed stay out of the way.
            self._idle.pop().hand((item, permit))
        else:
            self._workers.start_soon(self._work, item, permit)
        # With permits free and rows at hand nothing above waits, and without this the loop would stand still for all.
        if self._run.outbox.begun % max(1, self.limiter.limit // _SHARE) == 0:
            await anyio.lowlevel.checkpoint()

    # The answers

    async def _work(self, item: Item, permit: Permit) -> None:
        """Ask for one item after the other."""
        try:
            while True:
                result = await self.answering.answer(item, permit)
                if result is not None:
                    self._finish(item, result)
                self._run.settle()
                work = None if result is None else await self._next()
                if work is None:
                    return
                item, permit = work
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self._run.stop.begin(error, item)
            self._run.settle()

    async def _next(self) -> tuple[Item, Permit] | None:
        """Stand by for the next item; None if there are no more."""
        if self._idle is None:
            return None
        idle = _Idle()
        self._idle.append(idle)
        return await idle.wait()

    def _finish(self, item: Item, result: BatchResult) -> None:
        self._run.finish(item.position, result, item.key, item.digest)
