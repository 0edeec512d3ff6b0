"""What goes to the service and comes from it, with patience: what passes is waited for, everything else is raised."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import IO, Final, TypeVar

import anyio
import anyio.to_thread
import attrs

from gemtune.batch.engines.server.filling import spooling
from gemtune.batch.engines.server.waiting import next_look, passes, pause
from gemtune.batch.journal.parts import SentPart
from gemtune.batch.progress import RunTally
from gemtune.config import ONCE
from gemtune.errors import AmbiguousOutcome, CallError, NotFound, QuotaExhausted
from gemtune.loops import current_time
from gemtune.resources.batches.service import BatchService, PlacedInput
from gemtune.types.batches import GenerateContentBatch

T = TypeVar("T")

_log = logging.getLogger("gemtune.batch")
_UNDER_WAY: Final = 5.0
"""Seconds for which a creation may still be on its way although whoever sent it was killed."""
_REFUSALS: Final = 3
"""Refusals in a row, in over a minute, until a part counts as larger than the queue: one may be a passing load."""
_DOUBT: Final = 30.0
"""Seconds for which a batch has to be unknown until it counts as deleted: not every server has heard of a new one."""


@attrs.define(eq=False)
class Post:
    """Talks to the service about the batches of one run.

    Args:
        service: The service.
        model: The model's name.
        tally: Where batches are counted.
        waits: Why nothing more is sent at present, in words; empty if nothing is in the way.
        dice: Returns random numbers in [0, 1).
    """

    service: BatchService
    model: str
    tally: RunTally
    waits: str = attrs.field(default="", init=False)
    dice: Callable[[], float] = random.random
    _freed: anyio.Event = attrs.field(factory=anyio.Event, init=False, repr=False)

    async def place(self, part: SentPart, file: IO[bytes], size: int) -> None:
        """Upload the input of a part."""

        async def place() -> PlacedInput:
            await anyio.to_thread.run_sync(file.seek, 0)
            return await self.service.place(file, size, part.mark)

        part.input = (await self._patiently(f"uploading {part.count:,} requests", place)).address

    async def create(self, part: SentPart) -> str:
        """Create the batch of a part, once there is room for it.

        Returns:
            Why there never will be, in the service's words: it was refused with nothing else in the queue. Else "".

        Raises:
            AmbiguousOutcome: It could not be found out whether it exists.
            CallError: Waiting does not help. It surely does not exist, unless the part says that this is in doubt.
        """
        self.tally.jobs_waiting += 1
        try:
            batch = await self._patiently("creating a batch", _CreatedOnce(self.service, self.model, part, self.tally))
        except _TooLarge as refusal:
            return str(refusal)
        finally:
            self.tally.jobs_waiting -= 1
        part.batch = batch.name
        self.tally.requests += part.count
        return ""

    async def find(self, part: SentPart, written: float) -> bool:
        """Return whether the batch of a part exists, which an earlier run may have created; then it has its name.

        Args:
            part: A part whose batch has no name.
            written: Seconds since that run has written last.
        """
        batch = await self._patiently("looking for a batch", lambda: self.service.find(part.mark))
        if batch is None and part.state == "placed" and written < _UNDER_WAY:
            # It had begun to create it, and was killed: what it sent may not have arrived yet.
            await anyio.sleep(_UNDER_WAY - written)
            batch = await self._patiently("looking for a batch", lambda: self.service.find(part.mark))
        if batch is not None:
            part.batch = batch.name
        return batch is not None

    async def ended(self, part: SentPart) -> GenerateContentBatch | None:
        """Wait for the end of a part's batch and return it; None if the service does not know it any more."""
        since = current_time()
        unknown: float | None = None
        while True:
            try:
                batch = await self._patiently("looking at a batch", lambda: self.service.get(part.batch))
            except NotFound:
                unknown = current_time() if unknown is None else unknown
                if current_time() - unknown >= _DOUBT:
                    return None
            else:
                unknown = None
                if batch.done:
                    return batch
            await anyio.sleep(next_look(current_time() - since, self.tally.jobs, self.dice()))

    async def fetch(self, batch: GenerateContentBatch, file: IO[bytes]) -> None:
        """Download the results of a batch; the file is empty if there are none."""

        async def fetch() -> int:
            await anyio.to_thread.run_sync(_emptied, file)
            return await self.service.fetch(batch, file)

        try:
            with spooling():
                await self._patiently("downloading results", fetch)
        except NotFound as error:
            # The service keeps them for some days. What is gone is gone, and each item says so.
            _log.warning("the results of %s are gone: %s", batch.name, error.message)
            await anyio.to_thread.run_sync(_emptied, file)

    async def discard(self, part: SentPart) -> None:
        """Delete the input of a part; the service does so itself, so that a failure is no harm."""
        if part.input:
            try:
                await self.service.discard(PlacedInput(part.input))
            except CallError as error:
                _log.debug("the input %s was not deleted: %s", part.input, error.message)

    def freed(self) -> None:
        """Take in that a batch has ended, so that there may be room for another one."""
        self._freed.set()
        self._freed = anyio.Event()

    async def _patiently(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await call()
            except CallError as error:
                if not passes(error):
                    raise
                failures += 1
                seconds = pause(error, failures, self.dice())
                room = isinstance(error, QuotaExhausted)
                until = f"again in {seconds:.0f} s" + (" or when a batch ends" if room and self.tally.jobs else "")
                self.waits = f"{what}: {'no room at the service' if room else error.message}; {until}"
                _log.info("%s; the service said: %s", self.waits, error.message)
            try:
                with anyio.move_on_after(seconds):
                    await (self._freed.wait() if room else anyio.sleep_forever())
            finally:
                self.waits = ""


@attrs.define(eq=False)
class _CreatedOnce:
    """The creation of one batch, as often as it takes: after a doubt somebody looks for it before the next attempt."""

    service: BatchService
    model: str
    part: SentPart
    tally: RunTally
    _refused: int = attrs.field(default=0, init=False)

    async def __call__(self) -> GenerateContentBatch:
        part = self.part
        # The service looks for it within one call. Here the calls are minutes apart, and each may have left a doubt.
        found = await self.service.find(part.mark) if part.doubtful else None
        if found is not None:
            return found
        part.doubtful = True
        try:
            # One attempt: without room, who waits for a batch to end is here, and says so.
            return await self.service.create(self.model, PlacedInput(part.input), part.mark, retry=ONCE)
        except QuotaExhausted as error:
            part.doubtful = False  # the service has refused it, and said so
            self._refused += 1
            if self._refused >= _REFUSALS and await self._alone():
                raise _TooLarge(error.message) from None
            raise
        except CallError as error:
            part.doubtful = passes(error) or isinstance(error, AmbiguousOutcome)
            raise

    async def _alone(self) -> bool:
        """Return whether no batch waits or runs at the service, anybody's, so that there is as much room as ever."""
        if self.tally.jobs:
            return False
        try:
            async for page in self.service.list(retry=ONCE):
                if not all(batch.done for batch in page):
                    return False
        except CallError:
            return False  # unknown, so that it is waited for as before
        return True


class _TooLarge(Exception):
    """A batch was refused for want of room, with nothing else in the queue."""


def _emptied(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()
