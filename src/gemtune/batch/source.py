"""The rows of the input, one at a time, from anything that can be iterated."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from operator import length_hint
from typing import Final

import attrs

from gemtune.batch.index import Places
from gemtune.batch.items import Row
from gemtune.errors import InvalidInput

__all__ = ["END", "Source"]

END: Final = object()
"""What ``Source.next`` returns after the last row."""


def _iterable(inputs: object) -> Iterable[Row] | AsyncIterable[Row]:
    if isinstance(inputs, AsyncIterable) or (isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes)):
        return inputs.items() if isinstance(inputs, Mapping) else inputs
    raise InvalidInput(
        f"inputs are an iterable or async iterable of prompts, not {type(inputs).__name__}: put one prompt in [ ]",
        field="inputs",
    )


@attrs.define(eq=False)
class Source:
    """Rows, pulled when they are asked for; by one task, as many async generators do not bear to be resumed by several.

    Args:
        inputs: An iterable or async iterable of rows; a dict gives its items, as (key, row).
        places: Where the items stand whose rows were pulled; this is what the journal's export is of.
    """

    inputs: Iterable[Row] | AsyncIterable[Row] = attrs.field(converter=_iterable)
    places: Places = attrs.field(factory=Places, init=False)
    _rows: Iterator[Row] | AsyncIterator[Row] | None = attrs.field(default=None, init=False)

    @property
    def total(self) -> int | None:
        """How many rows there are, where that is known."""
        hint = length_hint(self.inputs, -1)
        return hint if hint >= 0 else None

    async def next(self) -> Row:
        """Return the next row, or END.

        Raises:
            Exception: Whatever the iterable raised.
        """
        if self._rows is None:
            self._rows = aiter(self.inputs) if isinstance(self.inputs, AsyncIterable) else iter(self.inputs)
        if isinstance(self._rows, AsyncIterator):
            return await anext(self._rows, END)
        return next(self._rows, END)

    async def aclose(self) -> None:
        """Close an async generator, which nobody else can end in this task; leave all else to its owner."""
        if inspect.isasyncgen(self._rows):
            await self._rows.aclose()
