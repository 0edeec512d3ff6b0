"""One run of a batch, whoever asks: it begins, counts, publishes, stops and ends; an engine does the work in between.

::

    intake ──item──> engine ──outcome──> Run.finish ──> journal writer ──> outbox ──> the user's loop
                       └──────────────── Stop, RunTally ────────────────┘

The engine takes items from an intake and brings an outcome for each. Everything that is the same for all engines is
here: the run's time, the one door through which outcomes pass, the reasons to stop, and the way out, on which the
journal is completed whatever has happened.

Cancelled anywhere, a run leaves the journal whole: between an outcome and the journal's buffer nothing is awaited, and
the buffer is written in a shielded scope.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
import attrs

from gemtune.batch.acceptance import too_many
from gemtune.batch.inputs import Item
from gemtune.batch.journal.replay import JournalReplay
from gemtune.batch.journal.writer import JournalWriter
from gemtune.batch.keys import Key
from gemtune.batch.observer import RunWatch
from gemtune.batch.outbox import Outbox
from gemtune.batch.progress import RunTally
from gemtune.batch.report import Stop
from gemtune.batch.result import BatchResult
from gemtune.errors import BatchStopped, DeadlineExceeded, GemtuneError
from gemtune.loops import current_time


class BatchEngine(Protocol):
    """What brings the outcomes of a run."""

    async def work(self, run: Run) -> None:
        """Bring an outcome for every item, or as many as there are until the run stops; may be cancelled anywhere."""
        ...

    @property
    def busy(self) -> bool:
        """Whether something is under way that is to be waited for, although the run stops."""
        ...

    def held_back(self, run: Run) -> str:
        """Return in words what holds the run back at present; an empty string once nothing does."""
        ...


@attrs.define(eq=False, kw_only=True)
class Run:
    """One run over an input.

    Args:
        engine: Brings the outcomes.
        outbox: Where results go.
        tally: Where everything is counted.
        stop: What ends the run before its input does.
        max_failures: How many items may fail, or the greatest share of them, or None.
        spent: Returns the error that ends a run whose budget is used up, or None.
        watch: Is told of outcomes and of the end, if the client is observed.
        writer: The way into the journal, if there is one.
        replay: The way out of it, for what earlier runs have answered.
    """

    engine: BatchEngine
    outbox: Outbox
    tally: RunTally
    stop: Stop
    max_failures: float | None = None
    spent: Callable[[RunTally], BatchStopped | None] | None = None
    watch: RunWatch | None = None
    writer: JournalWriter | None = None
    replay: JournalReplay | None = None
    _left: bool = False
    _work_scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)

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
            self._cancelled()
            raise
        finally:
            try:
                # Left by break, by Ctrl-C or by an error: what was received was paid for, so the disk is waited for.
                with anyio.CancelScope(shield=True):
                    if self.replay is not None and not self._left:
                        await self.replay.finish()
                    if self.writer is not None:
                        await self.writer.finish()
            except BaseException:  # no shield holds off whoever cancels all tasks, as the end of a loop does
                self._cancelled()
                raise
            finally:
                self._end()

    def drain(self) -> None:
        """Begin nothing more; what is in flight finishes, what is parked is given up."""
        self.stop.begin(None)
        self.settle()

    def abort(self, reason: BaseException) -> None:
        """Give up everything at once."""
        self.stop.overrule(reason)
        self._work_scope.cancel()

    def leave(self) -> None:
        """Give up what is in flight, as nobody reads any more, and let go of the journal once it is complete."""
        self._left, self.stop.begun = True, True
        self._work_scope.cancel()
        self._let_go()

    def give_up(self) -> None:
        """End a run that could not begin."""
        self._cancelled()
        self._end()

    def settle(self) -> None:
        """End the run if it is to stop and nothing is under way any more."""
        if self.stop.begun and not self.engine.busy:
            self._work_scope.cancel()

    def hand_over(self, item: Item) -> bool:
        """Return whether the journal holds the outcome of an item; then it is on its way to the consumer."""
        if item.held is None or self.replay is None:
            return False
        self.replay.put(item, item.held)
        return True

    def finish(self, position: int, result: BatchResult, key: Key | None, digest: int) -> None:
        """Hand an outcome on; nothing is awaited between the reply and the journal's buffer."""
        self.tally.count(result, current_time())
        if self.watch is not None:
            self.watch.finished(result.error)
        if result.error is not None:
            why = too_many(self.max_failures, self.tally.failed, self.tally.finished)
            if why and not self.stop.begun:
                self.stop.begin(result.error, why=why)
        if self.spent is not None and not self.stop.begun and (enough := self.spent(self.tally)) is not None:
            self.stop.begin(enough)
        if self.writer is None:
            self.outbox.put(position, result)
        else:
            self.writer.put(position, result, key, digest)

    def _cancelled(self) -> None:
        # Somebody has cancelled all tasks. The consumer may live on, and must not take this for the end.
        self.stop.overrule(GemtuneError("the task of the batch was cancelled before the batch was done"))

    def _end(self) -> None:
        # Only now: before, the consumer would see an end while results are on their way to the file.
        self.outbox.end()
        self.tally.over = current_time()
        self._let_go()
        if self.watch is not None:
            self.watch.ended(self.stop.reason)

    def _let_go(self) -> None:
        # Not at the end of the run: until the consumer leaves, the journal is locked for an export.
        if self._left and self.outbox.over and self.writer is not None:
            self.writer.close()

    async def _work_all(self) -> None:
        async with anyio.create_task_group() as outer:
            if self.writer is not None:
                outer.start_soon(self.writer.run)
            if self.replay is not None:
                outer.start_soon(self.replay.run)
            with self._work_scope:  # its own, as a task group on trio has none before it is entered
                await self.engine.work(self)
            # The writer waits for news without an end. ``finish`` writes what it leaves.
            outer.cancel_scope.cancel()
