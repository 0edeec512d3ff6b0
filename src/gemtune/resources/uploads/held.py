"""What a thread opens and closes, and what is closed whenever the task that waits for it is cancelled.

A task of asyncio can be cancelled while a thread opens a file for it, or in the moment between: then nobody gets the
file, and nobody would close it. So the file belongs to an object that was there before. Whoever closes it first is
right, and a thread that opens it after that closes it again.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class Held(Generic[T]):
    """Something that is opened once and closed once; both block, and may be called from any thread.

    Args:
        make: Opens it.
    """

    make: Callable[[], AbstractContextManager[T]]
    _manager: AbstractContextManager[T] | None = attrs.field(default=None, init=False)
    _over: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def open(self) -> T:
        """Open it.

        Raises:
            InterruptedError: It was closed before.
        """
        if self._over:
            raise InterruptedError
        manager = self.make()
        value = manager.__enter__()
        with self._lock:  # not before: whoever closes it must not wait for what it takes to open it
            if not self._over:
                self._manager = manager
                return value
        error = InterruptedError()
        with suppress(BaseException):
            manager.__exit__(InterruptedError, error, None)
        raise error

    def close(self, error: BaseException | None = None) -> None:
        """Close it, or see to it that it is never opened.

        Args:
            error: Why its user did not come to an end.
        """
        with self._lock:
            self._over = True
            manager, self._manager = self._manager, None
        if manager is None:
            return
        if error is None:
            manager.__exit__(None, None, None)
            return
        with suppress(BaseException):  # the error is on its way already
            manager.__exit__(type(error), error, error.__traceback__)


@asynccontextmanager
async def held(make: Callable[[], AbstractContextManager[T]], *, abandon: bool = False) -> AsyncIterator[T]:
    """Open something in a thread, and close it in a thread when the block ends.

    Args:
        make: Opens it.
        abandon: Whether a cancelled task leaves the thread that opens it to itself, because that may take long.
    """
    holding = Held(make)
    try:
        yield await anyio.to_thread.run_sync(holding.open, abandon_on_cancel=abandon)
        await anyio.to_thread.run_sync(holding.close)
    except BaseException as error:
        try:
            with anyio.CancelScope(shield=True):  # it takes no longer than to close a file
                await anyio.to_thread.run_sync(holding.close, error)
        finally:
            holding.close(error)  # a task of asyncio can be cancelled again before the thread has begun
        raise
