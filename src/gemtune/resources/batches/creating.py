"""How a batch of the Gemini API is created once, though the service knows no idempotency key and chooses the names.

A batch whose input file was uploaded for it alone, or with a display name that nobody else uses, is known by it. Any
other is known by nothing: its requests came with the creation, or lie in a file that may be asked as often as somebody
likes, and its name is one that somebody chose. The lists show its name, its model, its file, how many requests it has
and when it was created, which another batch may share. That is evidence and no proof.

1. After a failure that leaves open whether the service acted, the batch is looked for in the list, and again
   ``SETTLED`` seconds later, as a list may lag behind. Only if it is in neither the creation is sent once more.
2. Two batches can still come to be: the service may act on an attempt that it seemed to have lost, after everybody has
   looked. So after a creation that was in doubt the list is read once more. Of several batches the oldest stays, and
   the others are cancelled, seconds old.
3. Where there is only evidence, two batches that fit, or one whose time does not lie within this call, make the outcome
   ambiguous. Nothing is sent on the chance, and nothing is cancelled but what is of this call for certain.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import anyio
import attrs

from gemtune import checks
from gemtune.config import RetryPolicy
from gemtune.errors import AmbiguousOutcome, CallError, DeadlineExceeded, Failure
from gemtune.http.caller import Caller
from gemtune.pager import Pages
from gemtune.protocol.batches import gemini
from gemtune.protocol.call import Call
from gemtune.protocol.names import same_model
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.attempts import Attempts, time_left
from gemtune.resources.batches.service import InlineInput, PlacedInput
from gemtune.resources.drafts import off_loop
from gemtune.resources.vertex.labels import SETTLED, age, keep_oldest
from gemtune.types.batches import GenerateContentBatch

LARGEST_PAGE: Final = 1000
_LARGE: Final = 100_000
"""Bytes of lines that are turned into the body of a creation in a thread."""
_OLDER: Final = timedelta(days=1)
"""However wrong this machine's clock is, a batch that is older by this much is not of this call."""
_SKEW: Final = timedelta(seconds=2)
_LONGEST_NAME: Final = 512
_NAMED: Final = 10
"""So many batches are named in a message."""

_log = logging.getLogger("gemtune")


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(eq=False)
class BatchSearch:
    """The search for batches of which one may have been created.

    Args:
        batches: Returns the pages of the list of batches.
        fits: Returns whether a batch may be it.
    """

    batches: Callable[..., Pages[GenerateContentBatch]]
    fits: Callable[[GenerateContentBatch], bool]

    async def certain(self, timeout: float | None) -> list[GenerateContentBatch]:
        """Return the batches that fit, the oldest first; none only if there is surely none."""
        return await self._within(timeout, None)

    async def settled(self, name: str, timeout: float | None) -> list[GenerateContentBatch]:
        """Return the batches that fit, one of which is known, once others had the time to appear as well."""
        return await self._within(timeout, name)

    async def _within(self, timeout: float | None, known: str | None) -> list[GenerateContentBatch]:
        with anyio.move_on_after(timeout):
            found = await self._pass()
            if all(batch.name == known for batch in found):
                await anyio.sleep(SETTLED)
                found = await self._pass()
            return found
        raise DeadlineExceeded(f"the list of batches was not searched in {timeout:g} s", failure=Failure.AMBIGUOUS)

    async def _pass(self) -> list[GenerateContentBatch]:
        listed = self.batches(page_size=LARGEST_PAGE).list()
        found = {batch.name: batch async for batch in listed if self.fits(batch)}
        return sorted(found.values(), key=age)


@attrs.frozen(eq=False)
class BatchCreation:
    """One logical creation of a batch.

    Args:
        batches: Returns the pages of the list of batches.
        cancel: Cancels a batch.
        model: The model that it asks.
        placed: Its requests.
        display_name: Its display name.
        given: Whether somebody chose this name, so that other batches may have it.
        own: Whether its input file was uploaded for it, so that no other batch has it.
        begun: When this call began.
    """

    batches: Callable[..., Pages[GenerateContentBatch]]
    cancel: Callable[[str], Awaitable[None]]
    model: str
    placed: PlacedInput | InlineInput
    display_name: str = attrs.field()
    given: bool = attrs.field(kw_only=True)
    own: bool = attrs.field(kw_only=True)
    begun: datetime = attrs.field(factory=_now, init=False)

    @display_name.validator
    def _check(self, _: object, value: object) -> None:
        if not (isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME):
            checks.refuse("display_name", f"a string of 1 to {_LONGEST_NAME} characters", value)

    async def _call(self, priority: int | None) -> Call[GenerateContentBatch]:
        # The same on every attempt.
        if priority is not None:
            checks.whole("priority", priority, least=-(2**63), most=2**63 - 1)
        create = partial(self._inline if isinstance(self.placed, InlineInput) else self._placed, priority)
        return await off_loop(isinstance(self.placed, InlineInput) and len(self.placed.lines) > _LARGE, create)

    def _inline(self, priority: int | None) -> Call[GenerateContentBatch]:
        lines = self.placed.lines.splitlines() if isinstance(self.placed, InlineInput) else []
        items = b",".join(map(gemini.inline_item, lines))
        return gemini.create_inline(self.model, display_name=self.display_name, items=items, priority=priority)

    def _placed(self, priority: int | None) -> Call[GenerateContentBatch]:
        address = self.placed.address if isinstance(self.placed, PlacedInput) else ""
        source = gemini.from_file(address)
        return gemini.create_batch(self.model, display_name=self.display_name, input=source, priority=priority)

    async def run(
        self, caller: Caller, priority: int | None, timeout: float | None, retry: RetryPolicy | None
    ) -> GenerateContentBatch:
        """Create the batch, whatever becomes of single attempts.

        Raises:
            AmbiguousOutcome: Nobody could say whether it was created.
            CallError: It was not.
        """
        call = await self._call(priority)
        begun, how = anyio.current_time(), Remedy("look whether it is in ", ClientCall("batches.list"))
        met: set[str] = set()

        async def look(left: float) -> GenerateContentBatch | None:
            if (found := await self._look(left)) is not None:
                met.add(found.name)
            return found

        attempts = Attempts(caller, look, (how,))
        made = await attempts.run(call, timeout, retry)
        if not attempts.doubted:
            return made
        return await self._only(made, time_left(timeout, begun), replied=made.name not in met)

    async def _look(self, timeout: float) -> GenerateContentBatch | None:
        """Return the batch that an earlier attempt has created; None only if there is surely none.

        Raises:
            AmbiguousOutcome: There are some of which nobody can say whether one is it.
        """
        found = await self.search.certain(timeout)
        if not found:
            return None
        if not self._by_evidence or (len(found) == 1 and self._within_this_call(found[0])):
            return found[0]
        raise self._unclear(found)

    async def _only(self, made: GenerateContentBatch, timeout: float | None, *, replied: bool) -> GenerateContentBatch:
        """Return the oldest batch that fits, and cancel every other one.

        Args:
            made: The batch.
            timeout: Seconds to look for others.
            replied: Whether a creation has brought it, and not a look.
        """
        try:
            found = await self.search.settled(made.name, timeout)
        except CallError as error:
            _log.warning("%s was created; whether it is the only one is not known: %s", made.name, error)
            return made
        every = {batch.name: batch for batch in [made, *found]}
        if len(every) > 1 and self._by_evidence:
            if not replied:
                raise self._unclear(list(every.values()))
            # The one whose reply was read is ours for certain, and the only one that may be cancelled: if another is
            # an earlier attempt's, that one is left; if it is somebody else's, nothing was paid.
            del every[made.name]
            raise self._unclear(list(every.values()), f"; {made.name} {await self._undone(made)}")
        return await keep_oldest(every.values(), lambda batch: batch.done, self.cancel)

    async def _undone(self, made: GenerateContentBatch) -> str:
        """Cancel a batch, and say what became of that."""
        try:
            await self.cancel(made.name)
        except CallError as error:
            return f"was created as well and could not be cancelled ({error.message})"
        return "was cancelled"

    def _unclear(self, found: Sequence[GenerateContentBatch], what: str = "") -> AmbiguousOutcome:
        names = ", ".join(batch.name for batch in found[:_NAMED])
        return AmbiguousOutcome(
            f"a batch {self.display_name!r} on {self.model} may have been created, and of {len(found)} with this name, "
            f"model and size nobody can say whether it is one of them: {names}{what}",
            Remedy("compare their times with ", ClientCall("batches.get", found[0].name)),
            resource=self.model,
            failure=Failure.FATAL,
        )

    @property
    def search(self) -> BatchSearch:
        """The search for what this call has created."""
        return BatchSearch(self.batches, self._fits)

    @property
    def _by_evidence(self) -> bool:
        return self.given and not self.own

    def _fits(self, batch: GenerateContentBatch) -> bool:
        address = self.placed.address if isinstance(self.placed, PlacedInput) else ""
        named = batch.display_name == self.display_name
        if not self._by_evidence:
            return batch.input == address if self.own else named
        if not named or batch.input != address or not same_model(batch.model or self.model, self.model):
            return False
        # While the service counts, there is no number yet; of a file it was not counted here.
        same_size = isinstance(self.placed, PlacedInput) or batch.counts.total in {0, self.placed.count}
        return same_size and not (batch.create_time is not None and batch.create_time < self.begun - _OLDER)

    def _within_this_call(self, batch: GenerateContentBatch) -> bool:
        created = batch.create_time
        return created is not None and self.begun - _SKEW <= created <= _now() + _SKEW
