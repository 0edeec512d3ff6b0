"""How a batch of the Gemini API is found again whose creation was in doubt.

A batch with an input file, or with a display name that nobody else uses, is known by it. A batch whose requests came
with its creation, under a name that somebody chose, is known by nothing: the lists show its name, its model, how many
requests it has and when it was created, which another batch may share. That is evidence and no proof. Two that fit, or
one whose time does not lie within this call, make the outcome ambiguous, and nothing is sent on the chance.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import AmbiguousOutcome, Failure
from gemtune.pager import Pages
from gemtune.protocol.batches import gemini
from gemtune.protocol.call import Call
from gemtune.protocol.names import same_model
from gemtune.remedy import ClientCall, Remedy
from gemtune.resources.batches.service import InlineInput, PlacedInput
from gemtune.resources.drafts import off_loop
from gemtune.types.batches import GenerateContentBatch

LARGEST_PAGE: Final = 1000
_LARGE: Final = 100_000
"""Bytes of lines that are turned into the body of a creation in a thread."""
_OLDER: Final = timedelta(days=1)
"""However wrong this machine's clock is, a batch that is older by this much is not of this call."""
_SKEW: Final = timedelta(seconds=2)
_LONGEST_NAME: Final = 512


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(eq=False)
class BatchCreation:
    """One logical creation of a batch.

    Args:
        batches: Returns the pages of the list of batches.
        model: The model that it asks.
        placed: Its requests.
        display_name: Its display name.
        given: Whether somebody chose this name, so that other batches may have it.
        begun: When this call began.
    """

    batches: Callable[..., Pages[GenerateContentBatch]]
    model: str
    placed: PlacedInput | InlineInput
    display_name: str = attrs.field()
    given: bool = attrs.field(kw_only=True)
    begun: datetime = attrs.field(factory=_now, init=False)

    @display_name.validator
    def _check(self, _: object, value: object) -> None:
        if not (isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME):
            checks.refuse("display_name", f"a string of 1 to {_LONGEST_NAME} characters", value)

    async def call(self, priority: int | None) -> Call[GenerateContentBatch]:
        """Return what is sent, the same on every attempt."""
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

    async def look(self, timeout: float) -> GenerateContentBatch | None:
        """Return the batch that an earlier attempt has created; None if it is not in the list.

        Raises:
            AmbiguousOutcome: There are some of which nobody can say whether one is it.
        """
        listed = self.batches(page_size=LARGEST_PAGE, timeout=timeout).list()
        fitting = [batch async for batch in listed if self._fits(batch)]
        if not fitting:
            return None
        if not self._by_evidence or (len(fitting) == 1 and self._within_this_call(fitting[0])):
            return fitting[0]
        found = ", ".join(batch.name for batch in fitting[:3])
        raise AmbiguousOutcome(
            f"a batch {self.display_name!r} on {self.model} may have been created, and {len(fitting)} of this name, "
            f"model and size may be it: {found}",
            Remedy("compare their times with ", ClientCall("batches.get", fitting[0].name)),
            resource=self.model,
            failure=Failure.FATAL,
        )

    @property
    def _by_evidence(self) -> bool:
        return self.given and isinstance(self.placed, InlineInput)

    def _fits(self, batch: GenerateContentBatch) -> bool:
        if isinstance(self.placed, PlacedInput):
            return batch.input == self.placed.address
        if batch.display_name != self.display_name or not same_model(batch.model or self.model, self.model):
            return False
        if not self.given:
            return True
        # While the service counts, there is no number yet.
        same_size = batch.counts.total in {0, self.placed.count}
        return same_size and not (batch.create_time is not None and batch.create_time < self.begun - _OLDER)

    def _within_this_call(self, batch: GenerateContentBatch) -> bool:
        created = batch.create_time
        return created is not None and self.begun - _SKEW <= created <= _now() + _SKEW
