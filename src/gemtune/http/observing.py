"""A call that is observed from its beginning to its end, which for a stream comes after the call has returned."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from gemtune.http.observer import CallWatch
from gemtune.http.stream import StreamReply

T = TypeVar("T")


async def observed(watch: CallWatch, call: Awaitable[T]) -> T:
    """Carry out a call under a watch."""
    with watch:
        try:
            result = await call
        except BaseException as error:
            watch.ended(None, error)
            raise
    if isinstance(result, StreamReply):
        result.watch = watch  # it has only begun
    else:
        watch.ended(result, None)
    return result
