"""Rows read ahead by a thread of their own, up to some rows and some bytes.

The thread is a daemon, because nothing can end a read from a terminal or a pipe, and whoever gives up waiting for one
must not have to wait for it after all when the process ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing
from typing import Final, Generic, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import attrs

T = TypeVar("T")

_ROWS: Final = 200
_BYTES: Final = 8 * 1024 * 1024


@attrs.frozen
class _End:
    error: BaseException | None = None


@attrs.define(eq=False)
class Ahead(Generic[T]):
    """Reads a generator that blocks.

    Args:
        rows: The generator; it is closed in the thread.
        read: Returns the bytes that it has read so far.
        at_once: Returns whether to hand on each row at once, as a pipe may let the next one wait; it may block.
    """

    rows: Iterator[T]
    read: Callable[[], int]
    at_once: Callable[[], bool]
    _buffer: deque[T | _End] = attrs.field(factory=deque, init=False, repr=False)
    _taken: int = attrs.field(default=0, init=False)
    _room: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _news: anyio.Event | None = attrs.field(default=None, init=False, repr=False)
    _closed: bool = attrs.field(default=False, init=False)

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        """Iterate over the rows, once."""
        token = anyio.lowlevel.current_token()
        threading.Thread(target=self._work, args=(token,), name="gemtune-rows", daemon=True).start()
        try:
            while True:
                row = await self._next()
                if isinstance(row, _End):
                    if row.error is not None:
                        raise row.error
                    return
                yield row
        finally:
            self._closed = True
            self._room.set()

    async def _next(self) -> T | _End:
        while not self._buffer:
            self._taken = self.read()
            self._news = news = anyio.Event()
            self._room.set()
            if not self._buffer:  # else the thread put in a row before it could see whom to wake
                await news.wait()
        return self._buffer.popleft()

    @property
    def _full(self) -> bool:
        # One row is always let in, however long it is: else a row of more than the room would wait for ever.
        return len(self._buffer) >= _ROWS or (bool(self._buffer) and self.read() - self._taken >= _BYTES)

    def _work(self, token: anyio.lowlevel.EventLoopToken) -> None:
        end = _End()
        try:
            with closing(self.rows):  # type: ignore[type-var]
                at_once = self.at_once()
                for row in self.rows:
                    self._buffer.append(row)
                    if self._closed:
                        return
                    # To wake the loop costs more than to read a row, so a file's rows come in lots.
                    if at_once or self._full:
                        self._wake(token)
                    self._wait()
        except BaseException as error:  # noqa: BLE001 - it is raised where the rows are read
            end = _End(error)
        self._buffer.append(end)
        self._wake(token)

    def _wait(self) -> None:
        while self._full and not self._closed:
            self._room.clear()
            if self._full and not self._closed:
                self._room.wait()

    def _wake(self, token: anyio.lowlevel.EventLoopToken) -> None:
        news = self._news
        if news is not None:
            self._news = None
            try:
                anyio.from_thread.run_sync(news.set, token=token)
            except RuntimeError:  # the loop has ended, and nobody reads any more
                self._closed = True
