"""The input side of a run: the next item that is still to be asked."""

from __future__ import annotations

from typing import Final

import anyio.lowlevel
import attrs

from gemtune.batch.inputs import END, Inputs, Item, ModelName, make_item, repeated
from gemtune.batch.keys import Keys, Known, RecentKeys
from gemtune.batch.progress import RunTally
from gemtune.batch.report import Stop
from gemtune.errors import InvalidInput, JournalMismatch
from gemtune.remedy import Argument, Remedy

OTHER_INPUT: Final = (
    Remedy("use the input that the journal was begun with"),
    Remedy("name another ", Argument("journal")),
)
_SKIPS_AT_ONCE: Final = 256
"""How many items are passed over before others have their turn on the event loop."""


@attrs.define(eq=False)
class Intake:
    """Pulls rows, makes items of them, and passes over or hands over what the journal holds.

    Args:
        inputs: The rows.
        model: The model that they are for.
        model_name: Returns the name under which the service knows a model that a row names.
        tally: Where what is passed over is counted.
        stop: Ends the input before its end.
        keys: What is known of the items: everything with a journal, or the last keys without one.
        hands_over: Whether what the journal holds is returned as well, with its place there (``resume="all"``).
    """

    inputs: Inputs
    model: str
    model_name: ModelName
    tally: RunTally
    stop: Stop
    keys: Keys | RecentKeys
    hands_over: bool = True
    _pulled: int = attrs.field(default=0, init=False)

    async def next(self) -> Item | None:
        """Return the next item, or None at the end or after a stop; it may hold an error, or the span of its outcome.

        Raises:
            JournalMismatch: The journal holds the item with another content.
            JournalError: There is no room for the index of the keys.
            Exception: Whatever the input raised.
        """
        while not self.stop.begun and (row := await self.inputs.next()) is not END:
            item = make_item(row, self._pulled, self.model, self.model_name)
            self._pulled += 1
            known = self.keys.meet(item.index, item.key)
            if known is not None and known.place is not None:
                # Two results with one key could not be told apart, and the journal would hold one of them.
                item = repeated(item, known.place)
                known = self.keys.meet(item.index, None)
            if isinstance(self.keys, RecentKeys) or not self._is_held(item, known, self.keys):
                return item
            self.tally.skipped += 1
            if self.hands_over and known is not None:
                item.held = known.span
                return item
            # A resumed run passes over a million rows without waiting for anything.
            if self.tally.skipped % _SKIPS_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        return None

    def _is_held(self, item: Item, known: Known | None, keys: Keys) -> bool:
        """Return whether the journal holds the item, and give it the digest by which a journal will know it."""
        if item.error is None:
            try:
                # Even for a new item: its line will need the digest, and the row is at hand only now.
                item.digest = item.content_digest()
            except InvalidInput as error:
                item.error = item.refused(error)
        if not was_answered(item, known):
            return False
        keys.confirm(item.index, item.key)
        return True

    async def aclose(self) -> None:
        """Close the input, if it is ours to close."""
        await self.inputs.aclose()


def was_answered(item: Item, known: Known | None) -> bool:
    """Return whether what a journal knows of an item, whose digest is known, is its outcome.

    Raises:
        JournalMismatch: The journal holds the item with another content.
    """
    if known is None or known.digest is None:
        return False
    # The key is the same and the question is not: the old answer would be passed off as an answer to the new one.
    if known.digest != item.digest:
        raise JournalMismatch(
            f"{item.row}{',' if item.key is not None else ''} was answered before with another content",
            *OTHER_INPUT,
        )
    return True
