"""The rows of the input, one at a time, from anything that can be iterated."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from operator import length_hint
from typing import Any, Final

import attrs

from gemtune.batch.inputs import Row
from gemtune.batch.journal.index import Places
from gemtune.errors import InvalidInput

END: Final = object()
"""What ``Source.next`` returns after the last row."""


def _iterable(inputs: object) -> Iterable[Row] | AsyncIterable[Row]:
    what = type(inputs).__name__
    if isinstance(inputs, AsyncIterable):
        return inputs
    if isinstance(inputs, Mapping):
        return _rows_of(inputs)
    if isinstance(inputs, os.PathLike):
        raise _wrong(f"inputs are rows, not a path: read the file with gemtune.batch.files.FileRows({str(inputs)!r})")
    if callable(inputs) and not isinstance(inputs, Iterable):
        kind, name = "class" if isinstance(inputs, type) else "function", getattr(inputs, "__name__", what)
        raise _wrong(f"inputs is the {kind} {name}: call it, {name}()")
    if not isinstance(inputs, Iterable) or isinstance(inputs, str | bytes | bytearray | memoryview):
        raise _wrong(f"inputs are an iterable or async iterable of prompts, not {what}: put one prompt in [ ]")
    # Of pandas, polars, pyarrow ...: iterating over one gives the names of its columns, or the columns.
    if hasattr(type(inputs), "columns") and len(getattr(inputs, "shape", ())) == 2:
        raise _wrong(
            f'inputs is a data frame ({what}), not rows: give a column, frame["prompt"], or rows, '
            'zip(frame["id"], frame["prompt"])'
        )
    return inputs


def _rows_of(inputs: Mapping[Any, object]) -> Iterable[Row]:
    if "contents" in inputs:
        raise _wrong("inputs is one request: put it in [ ]")
    if inputs and all(isinstance(value, list | tuple) or hasattr(value, "shape") for value in inputs.values()):
        name = "prompt" if "prompt" in inputs else next(reversed([*inputs]))
        raise _wrong(
            f"inputs is a dict of columns ({', '.join(map(repr, inputs))}): give one, inputs[{name!r}], or rows, "
            f'zip(inputs["id"], inputs[{name!r}]); for a dict of prompts with several parts give inputs.items()'
        )
    return inputs.items()


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(what, field="inputs")


@attrs.define(eq=False)
class Source:
    """Rows, pulled when they are asked for; by one task, as many async generators do not bear to be resumed by several.

    Args:
        inputs: An iterable or async iterable of rows; a dict gives its items, as (key, row).
        places: Where the items stand whose rows were pulled, in a run with a journal; what its export is of.
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
