"""What the service's batches have left is asked from here: one call for each item, under the limiter, as ever.

The request is read back from the part's spool. Of a part that an earlier run has sent there is none: its requests come
with the input, and are spooled when it brings them. So such an item waits until the input has ended; if it was not in
it, nobody knows what it asks, and it fails with the reason that the service gave.
"""

from __future__ import annotations

import anyio
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from gemtune.batch.engines.answering import Answering
from gemtune.batch.engines.run import Run
from gemtune.batch.engines.server.job import PartJob
from gemtune.batch.inputs import Item
from gemtune.batch.journal.parts import SentParts, SentRow
from gemtune.limiter.limiter import Limiter, Permit


@attrs.define(eq=False)
class Finishing:
    """Asks for items from here.

    Args:
        run: Where outcomes go.
        answering: Asks for each.
        limiter: Says when.
        parts: What was sent.
        tasks: Where requests live.
        input_over: Set once the input has ended.
        asking: How many items are under way.
    """

    run: Run
    answering: Answering
    limiter: Limiter
    parts: SentParts
    tasks: TaskGroup
    input_over: anyio.Event
    asking: int = attrs.field(default=0, init=False)

    async def takes(self, job: PartJob, row: SentRow) -> bool:
        """Ask for an item that has no answer; return False if it cannot be asked, and so has failed."""
        asked = row.asked
        if asked is None:
            await self.input_over.wait()
            asked = await anyio.to_thread.run_sync(self.parts.asked, job.part, row.n)
        if asked is None:
            return False
        # Its place comes first, because in the order of the input the next one stands behind it.
        position = self.run.outbox.begin()
        request = await anyio.to_thread.run_sync(job.spool.request, asked)
        item = Item(row.place, row.key, request.contents, request, position=position, digest=row.digest, attempts=1)
        tally = self.run.tally
        tally.parked += 1
        try:
            permit = await self.limiter.acquire(self.limiter.estimate(item.size))
        finally:
            tally.parked -= 1
        if self.run.stop.begun:
            permit.unsent()
            return True
        tally.in_flight += 1
        self.asking += 1
        self.tasks.start_soon(self._answer, job, item, permit)
        return True

    async def _answer(self, job: PartJob, item: Item, permit: Permit) -> None:
        try:
            result = await self.answering.answer(item, permit)
            if result is not None:
                self.run.finish(item.position, result, item.key, item.digest)
                job.finished()
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self.run.stop.begin(error, item)
        finally:
            self.asking -= 1
        self.run.settle()
