"""The rows of the input, one at a time, from anything that can be iterated."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from operator import length_hint
from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gemtune.batch.items import Row
from gemtune.errors import InvalidInput

__all__ = ["END", "FedRows", "PlainRows", "make_source"]

END: Final = object()
"""What ``next`` returns after the last row."""


def make_source(inputs: object) -> PlainRows | FedRows:
    """Return the rows of an iterable or async iterable; a dict gives its items, as (key, row).

    Raises:
        InvalidInput: It is neither.
    """
    if isinstance(inputs, AsyncIterable):
        return FedRows(inputs)
    if isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes):
        return PlainRows(inputs.items() if isinstance(inputs, Mapping) else inputs)
    raise InvalidInput(
        f"inputs are an iterable or async iterable of prompts, not {type(inputs).__name__}: put one prompt in [ ]",
        field="inputs",
    )


def _total(inputs: object) -> int | None:
    hint = length_hint(inputs, -1)
    return hint if hint >= 0 else None


@attrs.define(eq=False)
class PlainRows:
    """Rows of an iterable, pulled when they are asked for."""

    inputs: Iterable[Row]
    _rows: Iterator[Row] | None = attrs.field(default=None, init=False)

    @property
    def total(self) -> int | None:
        """How many rows there are, where that is known."""
        return _total(self.inputs)

    def start(self, tasks: TaskGroup) -> None:
        """Nothing runs beside."""

    async def next(self) -> Row:
        """Return the next row, or END.

        Raises:
            Exception: Whatever the iterable raised.
        """
        if self._rows is None:
            self._rows = iter(self.inputs)
        return next(self._rows, END)

    def close(self) -> None:
        """Leave the iterable to its owner."""


@attrs.define(eq=False)
class FedRows:
    """Rows of an async iterable, one ahead.

    One task of its own iterates over it, because many async generators do not bear to be resumed by several.
    """

    inputs: AsyncIterable[Row]
    _receiver: MemoryObjectReceiveStream[Row] | None = attrs.field(default=None, init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

    @property
    def total(self) -> int | None:
        """How many rows there are, where that is known."""
        return _total(self.inputs)

    def start(self, tasks: TaskGroup) -> None:
        """Begin to iterate in a task."""
        sender, self._receiver = anyio.create_memory_object_stream[Row](0)
        tasks.start_soon(self._feed, sender)

    async def next(self) -> Row:
        """Return the next row, or END.

        Raises:
            Exception: Whatever the iterable raised.
        """
        try:
            return END if self._receiver is None else await self._receiver.receive()
        except anyio.EndOfStream:
            if self._failure is not None:
                raise self._failure from None
            return END

    async def _feed(self, sender: MemoryObjectSendStream[Row]) -> None:
        with sender:
            try:
                async for row in self.inputs:
                    await sender.send(row)
            except Exception as error:  # noqa: BLE001 - it is raised where the row was wanted
                self._failure = error
            finally:
                await self._close()

    async def _close(self) -> None:
        # In the task that has iterated over it, and in no scope of ours: it may hold scopes itself.
        if inspect.isasyncgen(self.inputs):
            try:
                await self.inputs.aclose()
            except Exception as error:  # noqa: BLE001 - as above
                self._failure = self._failure or error

    def close(self) -> None:
        """Let go of what ``start`` made."""
        if self._receiver is not None:
            self._receiver.close()
