"""The machine of a batch: workers over one input, a limiter that says when, a journal in front of every result.

One task pulls a row, waits for a permit, and gives both to an idle worker, or to a new one: so rows are pulled only as
permits free up, and there are never more workers than items were under way at a time. An item that failed for now
keeps its worker and stands in the limiter's line again.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
from anyio.abc import TaskGroup

from gemtune.batch.inputs import Item, make_item, repeated
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.index import Places, RecentKeys, Seen
from gemtune.batch.journal.writer import Commit
from gemtune.batch.outbox import Outbox
from gemtune.batch.progress import Progress
from gemtune.batch.result import BatchResult
from gemtune.batch.source import END, Source
from gemtune.config import RetryPolicy
from gemtune.errors import (
    CallError,
    DeadlineExceeded,
    Failure,
    GemtuneError,
    InvalidInput,
    JournalMismatch,
)
from gemtune.http.permits import holding
from gemtune.limiter.limiter import Limiter, Permit
from gemtune.limiter.verdict import Verdict
from gemtune.loops import current_time
from gemtune.types import GenerateContentResponse

_ONCE: Final = RetryPolicy(attempts=1)
_SKIPS_AT_ONCE: Final = 256
_SHARE: Final = 8
"""Which part of the limit one batch takes in one go, before others that share the limiter have their turn."""
_AHEAD: Final = 4
"""How many times the limit may be begun and not yet taken by the consumer: room for restoring the order."""
_AHEAD_AT_LEAST: Final = 16
_AHEAD_BYTES: Final = 64 * 1024 * 1024


_CLOSE: Final = 0.001
"""Seconds by which clocks and timers may differ."""


class Asks(Protocol):
    """What a batch needs of a client."""

    @property
    def generate_content(self) -> Callable[..., Awaitable[GenerateContentResponse]]:
        """Ask once."""


@attrs.define(eq=False)
class _Seat:
    """Where an idle worker waits for an item and its permit, or for the word that there are no more."""

    taken: anyio.Event = attrs.field(factory=anyio.Event)
    work: tuple[Item, Permit] | None = None

    def give(self, work: tuple[Item, Permit] | None) -> None:
        self.work = work
        self.taken.set()

    async def wait(self) -> tuple[Item, Permit] | None:
        try:
            await self.taken.wait()
        except BaseException:
            if self.work is not None:
                self.work[1].unsent()
            raise
        return self.work


@attrs.define(eq=False, kw_only=True)
class Run:
    """One run over an input.

    Args:
        client: Whom to ask through.
        model: The model's name.
        shared: Arguments of ``generate_content`` for all items.
        source: The rows.
        limiter: Who says when.
        outbox: Where results go.
        progress: Where everything is counted.
        item_timeout: Seconds for one item, or infinite.
        met: The keys that were met before.
        held: Which items of the input the journal held.
        journal: What holds the outcomes of earlier runs.
        commit: The way into the journal.
        reason: Why the run ended before the input did.
        verdict: What the limiter said to that.
        met_by: The item that met the reason, where it was one; it has no outcome, as it is not at fault.
        stopping: Whether nothing new begins.
        holds: What the next item waits for, and once there is none, the end of the run.
        tasks: All tasks of the run; the consumer's block enters and leaves it.
    """

    client: Asks
    model: str
    shared: Mapping[str, Any]
    source: Source
    limiter: Limiter
    outbox: Outbox
    progress: Progress
    item_timeout: float = math.inf
    met: Places | RecentKeys = attrs.field(factory=RecentKeys)
    held: Places = attrs.field(factory=Places)
    journal: Journal | None = None
    commit: Commit | None = None
    reason: BaseException | None = None
    verdict: Verdict | None = None
    met_by: Item | None = None
    stopping: bool = False
    holds: str = "input"
    tasks: TaskGroup = attrs.field(factory=anyio.create_task_group)
    _workers: TaskGroup = attrs.field(factory=anyio.create_task_group)
    _work_scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    _pulled: int = 0
    _idle: list[_Seat] = attrs.field(factory=list)
    _exhausted: bool = False

    async def run(self, timeout: float) -> None:
        """Work until the input has ended, ``stop`` or ``abort`` is called; complete the journal in any case."""
        try:
            with anyio.move_on_after(timeout) as clock:
                await self._work_all()
            if clock.cancelled_caught and self.reason is None:
                self.reason = DeadlineExceeded(f"the batch was not done within {timeout:g} s")
        finally:
            with anyio.CancelScope(shield=True):
                if self.commit is not None:
                    await self.commit.finish()
            self.outbox.end()

    def stop(self, reason: BaseException | None, met_by: Item | None = None) -> None:
        """Begin nothing more; what is in flight finishes, what is parked is given up."""
        if self.reason is None:
            self.reason, self.met_by = reason, met_by
        self.stopping = True
        self._settle()

    def abort(self, reason: BaseException) -> None:
        """Give up everything at once."""
        self.reason = reason
        self.stopping = True
        self._work_scope.cancel()

    def _settle(self) -> None:
        if self.stopping and not self.progress.in_flight:
            self._work_scope.cancel()

    async def _work_all(self) -> None:
        async with anyio.create_task_group() as outer:
            if self.commit is not None:
                outer.start_soon(self.commit.run)
            with self._work_scope:  # its own, as a task group on trio has none before it is entered
                async with self._workers as workers:
                    workers.start_soon(self._pull_all)
            outer.cancel_scope.cancel()

    async def _work(self, item: Item, permit: Permit) -> None:
        """Ask for one item after the other."""
        try:
            with holding(self.limiter):
                while True:
                    await self._answer(item, permit)
                    work = await self._next()
                    if work is None:
                        return
                    item, permit = work
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self.stop(error, item)

    async def _next(self) -> tuple[Item, Permit] | None:
        """Stand by for the next item; None if there are no more."""
        if self._exhausted:
            return None
        seat = _Seat()
        self._idle.append(seat)
        return await seat.wait()

    # The input

    async def _pull_all(self) -> None:
        """Give every item of the input to a worker, as permits free up."""
        try:
            try:
                while (item := await self._pull()) is not None:
                    if item.error is None:
                        await self._begin(item)
                    else:
                        item.position = self.outbox.begin()
                        result = BatchResult(key=item.name, index=item.index, error=item.error, attempts=0)
                        self._finish(item, result, current_time())
            finally:
                self._exhausted, self.holds = True, "last replies"
                await self.source.aclose()
        except Exception as error:  # noqa: BLE001 - it ends the run, and is raised where results are read
            self.stop(error)
        for seat in self._idle:
            seat.give(None)

    async def _begin(self, item: Item) -> None:
        """Wait for a permit, and give the item to a worker."""
        self.holds = "limiter"
        permit = await self.limiter.acquire(self.limiter.estimate(item.size))
        if self.stopping:
            permit.unsent()
            return
        item.position = self.outbox.begin()
        self.progress.in_flight += 1
        if self._idle:
            self._idle.pop().give((item, permit))
        else:
            self._workers.start_soon(self._work, item, permit)
        if self.outbox.begun % max(1, self.limiter.limit // _SHARE) == 0:
            await anyio.lowlevel.checkpoint()

    @property
    def _far_ahead(self) -> bool:
        outbox = self.outbox
        return outbox.held >= _AHEAD_BYTES or outbox.ahead >= max(_AHEAD_AT_LEAST, _AHEAD * self.limiter.limit)

    async def _pull(self) -> Item | None:
        """Return the next item that is not in the journal yet, or None at the end."""
        while not self.stopping:
            if self._far_ahead:
                self.holds = "consumer"
                await self.outbox.space()
                continue
            self.holds = "input"
            row = await self.source.next()
            if row is END:
                break
            item = make_item(row, self._pulled, self.model)
            self._pulled += 1
            first = self.met.add(item.index, item.key)
            if first is not None:
                item = repeated(item, first)
                self.met.add(item.index, None)
            if self.journal is None or not await self._held(self.journal, item):
                return item
            self.held.add(item.index, None)
            self.progress.skipped += 1
            if self.progress.skipped % _SKIPS_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        return None

    async def _held(self, journal: Journal, item: Item) -> bool:
        """Return whether the journal holds the item; refuse one that it holds with another content."""
        index = journal.index
        if index.must_load(item.index, item.key):
            await anyio.to_thread.run_sync(journal.recall, item.index)
        if item.error is None:
            try:
                item.digest = item.content_digest()
            except InvalidInput as error:
                item.error = item.refused(error)
        seen = index.meet(item.index, item.key, item.digest)
        if seen is Seen.CHANGED:
            raise JournalMismatch(
                f"{item.row}{',' if item.key is not None else ''} was answered before with another content: "
                "use the input that the journal was begun with, or another journal"
            )
        return seen is Seen.DONE

    # The model

    async def _answer(self, item: Item, permit: Permit) -> None:
        """Ask until there is an outcome, or the run stops."""
        begun = permit.sent_at
        deadline = begun + self.item_timeout
        failures = 0
        while True:
            sent = permit.sent_at
            response, error, verdict = await self._attempt(item, permit, failures, deadline - sent)
            if verdict is not None and verdict.action != "fail":
                if verdict.action == "stop":
                    self.verdict = self.verdict or verdict
                    self.stop(error, item)
                if self.stopping:
                    self._settle()
                    return
                failures += verdict.counted
                again = await self._parked(item, verdict, deadline)
                if again is not None:
                    permit = again
                    continue
                if self.stopping:
                    return
                error = _late(self.item_timeout, error)
            if isinstance(error, CallError):
                error.attempts = item.attempts
            now = current_time()
            result = BatchResult(
                key=item.name,
                index=item.index,
                response=response,
                error=error,
                attempts=item.attempts,
                seconds=now - begun,
                latency=now - sent,
            )
            self._finish(item, result, now)
            self._settle()
            return

    async def _attempt(
        self, item: Item, permit: Permit, failures: int, left: float
    ) -> tuple[GenerateContentResponse | None, GemtuneError | None, Verdict | None]:
        """Ask once, and return the permit with what came of it."""
        limit = None if left == math.inf else max(left, 0.001)
        self._count(item, 1)
        try:
            contents, options = item.asked(self.shared)
            response = await self.client.generate_content(self.model, contents, timeout=limit, retry=_ONCE, **options)
        except CallError as error:
            if not error.attempts:
                self._count(item, -1)
            if isinstance(error, DeadlineExceeded) and current_time() >= permit.sent_at + left - _CLOSE:
                permit.cancelled()  # our own deadline says nothing about the service
                return None, _late(self.item_timeout, error), None
            return None, error, permit.failed(error, failures)
        except GemtuneError as error:
            permit.unsent()
            self._count(item, -1)
            if not isinstance(error, InvalidInput):
                raise
            return None, item.refused(error), None
        except BaseException:
            permit.cancelled()
            raise
        else:
            usage = response.usage_metadata
            tokens = usage.prompt_token_count if usage is not None else 0
            permit.success(tokens or None)
            return response, None, None
        finally:
            self.progress.in_flight -= 1

    def _count(self, item: Item, requests: int) -> None:
        item.attempts += requests
        self.progress.requests += requests

    async def _parked(self, item: Item, verdict: Verdict, deadline: float) -> Permit | None:
        """Wait in the limiter's line again; return None if the item's time runs out, or the run stops."""
        if current_time() >= deadline:
            return None
        self.progress.parked += 1
        try:
            with anyio.move_on_at(deadline):
                if verdict.delay:
                    await anyio.sleep(verdict.delay)
                permit = await self.limiter.acquire(self.limiter.estimate(item.size))
                if not self.stopping:
                    self.progress.in_flight += 1
                    return permit
                permit.unsent()
        finally:
            self.progress.parked -= 1
        return None

    # The outcome

    def _finish(self, item: Item, result: BatchResult, now: float) -> None:
        """Hand an outcome on; nothing is awaited between the reply and the journal's buffer."""
        self.progress.count(result, now)
        if self.commit is None:
            self.outbox.put(item.position, result)
        else:
            self.commit.put(item.position, result, item.key, item.digest)


def _late(seconds: float, last: GemtuneError | None) -> DeadlineExceeded:
    met = f"; the last attempt met: {last.message}" if last is not None else ""
    return DeadlineExceeded(f"the item was not answered within {seconds:g} s{met}", failure=Failure.AMBIGUOUS)
