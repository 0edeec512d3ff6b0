"""From lines of results to outcomes: judged as a reply of the local engine's is, and handed on as there is room.

As completed, a part is delivered when its results are here: replies first, then what failed. In the order of the input
it is the input that leads: each place says which part has its item, and is waited for. What a part holds and the input
has not brought (rows that are gone from it since an earlier run) comes at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.acceptance import Acceptance, ending_of
from gemtune.batch.engines.run import Run
from gemtune.batch.engines.server.finishing import Finishing
from gemtune.batch.engines.server.job import PartJob
from gemtune.batch.inputs import Item
from gemtune.batch.journal.parts import InputOrder, SentParts, SentRow, Turn
from gemtune.batch.result import BatchResult
from gemtune.errors import GemtuneError, NotAnswered
from gemtune.protocol.status import error_of_status
from gemtune.types import GenerateContentResponse
from gemtune.types.batches import BatchReply
from gemtune.types.operations import Status

_LOT: Final = 64
_UNKNOWN: Final = 2
"""UNKNOWN, of google.rpc.Code."""
_AHEAD: Final = 1024
"""How many results may be begun and not yet taken by the consumer."""
_AHEAD_BYTES: Final = 64 * 1024 * 1024


@attrs.define(eq=False)
class Delivery:
    """Hands on what came back.

    Args:
        run: Where outcomes go.
        parts: What was sent.
        acceptance: What is taken for an answer.
        shared: What framed the requests.
        finishing: Asks from here for what has no answer; None if that is a failure.
        active: How many parts are being handed on.
        full: Whether it waits for the consumer.
    """

    run: Run
    parts: SentParts
    acceptance: Acceptance
    shared: Mapping[str, Any]
    finishing: Finishing | None
    active: int = attrs.field(default=0, init=False)
    full: bool = attrs.field(default=False, init=False)

    @property
    def stopped(self) -> bool:
        """Whether nothing more is handed on: the user wants to see the error. What was drained is handed on."""
        return self.run.stop.begun and self.run.stop.reason is not None

    async def at_once(self, item: Item) -> None:
        """Hand on an item that needs no batch: the journal has its outcome, or it cannot be asked."""
        await self._room()
        if self.run.hand_over(item):
            return
        result = BatchResult(key=item.name, index=item.index, error=item.error, attempts=0)
        self.run.finish(self.run.outbox.begin(), result, item.key, item.digest)

    async def whole(self, job: PartJob) -> None:
        """Hand on everything of a part that has no outcome, unless the run stops."""
        self.active += 1
        try:
            lots = self.parts.rows(job.part, _LOT)
            while (lot := await anyio.to_thread.run_sync(next, lots, None)) is not None:
                if not await self._rows(job, lot):
                    return
        finally:
            self.active -= 1
            self.run.settle()

    async def in_order(self, places: InputOrder, jobs: Mapping[int, PartJob], input_over: anyio.Event) -> None:
        """Hand on everything in the order of the input."""
        after = -1
        while not self.stopped:
            over, news = input_over.is_set(), places.news
            found = await anyio.to_thread.run_sync(places.next, after, _LOT)
            if not found and over:
                break
            if not found:
                await news.wait()
            for number, group in groupby(found, key=lambda turn: turn.part):
                turns = [*group]
                # A part that was sent in halves is none any more: the places are asked for anew, which know them.
                if number is not None and number not in jobs:
                    break
                if not await self._in_turn(None if number is None else jobs[number], turns):
                    break
                after = turns[-1].place
        for job in [*jobs.values()]:
            await job.ready.wait()
            await self.whole(job)

    async def _in_turn(self, job: PartJob | None, turns: list[Turn]) -> bool:
        if job is None:
            for turn in turns:
                if turn.item is not None:
                    await self.at_once(turn.item)
            return True
        await job.ready.wait()
        if job.halved:
            return False
        numbers = [turn.n for turn in turns if turn.n is not None]
        self.active += 1
        try:
            rows = await anyio.to_thread.run_sync(self.parts.take, job.part, numbers)
            await self._rows(job, rows)
        finally:
            self.active -= 1
            self.run.settle()
        return True

    async def _rows(self, job: PartJob, rows: list[SentRow]) -> bool:
        """Hand on items of a part; return whether the run still wants more."""
        while rows:
            replies = await anyio.to_thread.run_sync(job.results.read, rows)
            for row, reply in zip(rows, replies, strict=False):
                await self._room()
                if self.stopped:
                    return False
                await self._row(job, row, reply)
            rows = rows[len(replies) :]
        return True

    async def _row(self, job: PartJob, row: SentRow, reply: BatchReply | None) -> None:
        response, error = self._judged(job, row, reply)
        self.run.tally.in_flight -= 1
        if error is not None and self.finishing is not None and await self.finishing.takes(job, row):
            return
        seconds = job.results.seconds
        result = BatchResult(
            key=row.place if row.key is None else row.key,
            index=row.place,
            response=response,
            error=error,
            seconds=seconds,
            latency=seconds,
        )
        self.run.finish(self.run.outbox.begin(), result, row.key, row.digest)
        job.finished()

    def _judged(
        self, job: PartJob, row: SentRow, reply: BatchReply | None
    ) -> tuple[GenerateContentResponse | None, GemtuneError | None]:
        if reply is None:
            return None, _unanswered(job)
        if reply.response is None:
            return None, error_of_status(reply.error or Status(code=_UNKNOWN), job.part.batch)
        response = reply.response
        ending = ending_of(response)
        try:
            refusal = self.acceptance.refusal(response, ending)
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            # Nobody knows whether it is an answer. It was paid for, so it is kept, and the next run judges it.
            self.run.stop.begin(error, Item(row.place, row.key, ""))
            refusal = None
        # As long as it can be asked from here, it is not its last reply.
        settled = refusal is not None and self.finishing is None and self.acceptance.settles(response)
        if refusal is None or settled:
            self.run.tally.ended(ending, settled or self.acceptance.lacks(response, ending, None, self.shared))
            return response, None
        self.run.tally.paid(response.usage_metadata)
        return None, refusal

    async def _room(self) -> None:
        outbox = self.run.outbox
        try:
            while max(outbox.ahead, outbox.replays) >= _AHEAD or outbox.held >= _AHEAD_BYTES:
                if self.stopped:
                    return
                self.full = True
                await outbox.space()
        finally:
            self.full = False


def _unanswered(job: PartJob) -> NotAnswered:
    part, ending = job.part, job.results.ending
    if job.refused:
        return NotAnswered(f"the service has no room for it, although nothing else is in its queue: {job.refused}")
    why = {
        "": "the service does not know it any more: it was deleted, or is too old",
        "EXPIRED": "the service did not get to it in time",
        "CANCELLED": "somebody cancelled it",
    }.get(ending, f"it ended as {ending} without a result for the item")
    said = f" ({job.results.said})" if job.results.said else ""
    error = NotAnswered(f"{part.batch or part.mark} has no answer: {why}{said}", resource=part.batch or None)
    error.batch_state = ending
    return error
