"""The way of an input to the service: lots of items, parts of lots, and each part once, with its intent on the disk."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.engines.run import Run
from gemtune.batch.engines.server.delivery import Delivery
from gemtune.batch.engines.server.filling import Packed, Packing, Spool
from gemtune.batch.engines.server.job import PartJob, PartJobs
from gemtune.batch.engines.server.post import Post
from gemtune.batch.engines.server.results import Results
from gemtune.batch.inputs import Item
from gemtune.batch.intake import Intake
from gemtune.batch.journal.parts import InputOrder, SentPart, SentParts, Turn, move_rows, sent_lines
from gemtune.batch.journal.sent import PartNote
from gemtune.errors import CallError

_log = logging.getLogger("gemtune.batch")
_LOT: Final = 256
_LOT_BYTES: Final = 4 * 1024 * 1024
_MOST_JOBS: Final = 100
"""Batches at a time where the service knows no limit: more would not be faster, and each has its files here."""
_COLLECTING: Final = 2
"""Parts that may wait for the consumer before no further one is sent."""


async def note(run: Run, part: SentPart, state: str, *, on_disk: bool = True) -> None:
    """Write into the journal how far a part is."""
    part.state = state
    if run.writer is not None:
        line = PartNote(part.mark, part.count, state, part.input, part.batch).to_line()
        await run.writer.record(line, on_disk=on_disk)


@attrs.define(eq=False, kw_only=True)
class PartSending:
    """Sends the items of an input in parts.

    Args:
        run: The run.
        intake: The items.
        packing: Puts items into parts.
        post: Talks to the service.
        parts: The index of what is sent.
        turns: In the order of the input: what stands at each place; None if results come as completed.
        delivery: Hands on items that cannot be asked.
        jobs: The parts on their way, by their numbers.
        begin: Called with a part whose batch exists.
        input_over: Set once the input has ended.
        own: Whether requests are kept, to be asked from here.
        holds: What the next item waits for.
    """

    run: Run
    intake: Intake
    packing: Packing
    post: Post
    parts: SentParts
    turns: InputOrder | None
    delivery: Delivery
    jobs: PartJobs
    begin: Callable[[PartJob], None]
    input_over: anyio.Event
    own: bool
    holds: str = ""
    _run_id: str = attrs.field(factory=lambda: uuid.uuid4().hex[:12], init=False)
    _sent: int = attrs.field(default=0, init=False)
    _ahead: list[Item] = attrs.field(factory=list, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    async def everything(self) -> None:
        """Send every item of the input, and close it."""
        try:
            over = False
            while not over and not self.run.stop.begun:
                await self._room()
                over = await self._one()
        finally:
            self.holds = ""
            # In the task that has read it: a generator that holds a cancel scope can be closed by no other.
            await self.intake.aclose()
            self.input_over.set()
            if self.turns is not None:
                self.turns.tell()

    def changed(self) -> None:
        """Take in that a batch has ended, or has been handed on."""
        self._changed.set()
        self._changed = anyio.Event()

    async def _room(self) -> None:
        """Wait until one more batch may run, and the results of the others are being taken."""
        most = min(self.packing.service.limits.jobs or _MOST_JOBS, _MOST_JOBS)
        while self.run.tally.jobs >= most or (self.turns is None and self.delivery.active >= _COLLECTING):
            self.holds = "batches"
            await self._changed.wait()

    async def _one(self) -> bool:
        """Fill a part and have a batch created for it; return whether the input has ended."""
        part = self.parts.begin(f"gemtune-{self._run_id}-{self._sent}")
        job = self.jobs[part.number] = PartJob(part, Spool.open(wire=True, own=self.own), Results(self.packing.service))
        self.packing.spools[part.number] = job.spool
        over = await self._fill(part)
        if part.count and not self.run.stop.begun:
            self._sent += 1
            await self._submit(job)
        else:
            await anyio.to_thread.run_sync(self.parts.end, part)
            job.close()
            if not self.run.stop.begun:
                del self.jobs[part.number]
        return over

    async def _fill(self, part: SentPart) -> bool:
        """Put items into a part until it is full; return whether the input has ended."""
        over = False
        while not over and not self.run.stop.begun:
            lot = self._ahead
            self._ahead = []
            if not lot:
                lot, over = await self._lot()
            packed = await anyio.to_thread.run_sync(self.packing.pack, part, lot)
            await self._packed(part, packed)
            if packed.rest:
                self._ahead = packed.rest
                return False
        return over

    async def _lot(self) -> tuple[list[Item], bool]:
        """Return the next items, and whether they are the last."""
        self.holds = "input"
        lot: list[Item] = []
        size = 0
        try:
            while len(lot) < _LOT and size < _LOT_BYTES:
                item = await self.intake.next()
                if item is None:
                    return lot, True
                lot.append(item)
                size += item.size
            return lot, False
        finally:
            self.holds = ""

    async def _packed(self, part: SentPart, packed: Packed) -> None:
        if self.run.writer is not None and packed.lines:
            await self.run.writer.record(packed.lines, on_disk=False)
        if self.turns is None:
            for item in packed.needless:
                await self.delivery.at_once(item)
            return
        turns = [Turn(item.index, part.number, item.index, None) for item in packed.sent]
        turns += [Turn(item.index, before, n, None) for item, before, n in packed.met]
        turns += [Turn(item.index, None, None, attrs.evolve(item, contents="", own=None)) for item in packed.needless]
        await anyio.to_thread.run_sync(self.turns.add, turns)
        self.turns.tell()

    async def _submit(self, job: PartJob) -> None:
        """Have the batch of a part created, once; a part for which there is never room goes in halves."""
        part = job.part
        if part.count > 1 and job.spool.size > self.packing.most_bytes:  # its other half did not fit
            await self._submit_halves(job)
            return
        await note(self.run, part, "intended")
        try:
            await self.post.place(part, job.spool.wire, job.spool.size)
            # On the disk before anything that may be paid for is sent: after a kill, the next run asks for the mark.
            await note(self.run, part, "placed")
            job.refused = await self.post.create(part)
        except CallError:
            if part.doubtful:
                raise  # what could not be found out now, such as with another credential, the next run finds out
            await note(self.run, part, "void", on_disk=False)
            await self.post.discard(part)
            raise
        if job.refused:
            await note(self.run, part, "void", on_disk=False)
            if part.count > 1:
                _log.warning(
                    "the service has no room for a batch of %d requests, although nothing else is in its queue: "
                    "it is sent in halves, and later batches are no larger; the service said: %s",
                    part.count,
                    job.refused,
                )
                await self.post.discard(part)
                await self._submit_halves(job)
                return
        else:
            await note(self.run, part, "created")
            job.spool.sent()
        self.begin(job)

    async def _submit_halves(self, job: PartJob) -> None:
        """Send a part as two, and let the parts that follow be no larger than these."""
        halves = await anyio.to_thread.run_sync(self._halved, job)
        self.packing.most_bytes = max(half.spool.size for half in halves)
        for half in halves:
            lines = sent_lines(self.parts, half.part, _LOT)
            while self.run.writer is not None and (some := await anyio.to_thread.run_sync(next, lines, b"")):
                await self.run.writer.record(some, on_disk=False)
        job.halved = True
        job.ready.set()
        for half in halves:
            await self._room()
            if self.run.stop.begun:
                return
            await self._submit(half)

    def _halved(self, job: PartJob) -> list[PartJob]:
        first, second, count, cut = job.spool.halve()
        halves = []
        for spool in (first, second):
            part = self.parts.begin(f"gemtune-{self._run_id}-{self._sent}")
            self._sent += 1
            half = self.jobs[part.number] = PartJob(part, spool, Results(self.packing.service))
            self.packing.spools[part.number] = spool
            halves.append(half)
        into = halves[0].part, halves[1].part
        last = move_rows(self.parts, job.part, *into, count, cut)
        if self.turns is not None:
            self.turns.move(job.part, *into, last)
        del self.jobs[job.part.number], self.packing.spools[job.part.number]
        job.close()
        if self.jobs.over:
            self.jobs.close()
        return halves
