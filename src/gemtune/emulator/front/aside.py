"""What is pure and long goes to a thread: one caller's megabyte must not keep everybody else waiting.

Reading 64 KiB of JSON takes about ten milliseconds. What is shorter is done at once, as a thread costs a tenth of one.
Handlers are not among this: they change the memory of the service, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack

import anyio.to_thread

LONG = 1 << 16
_Result = TypeVar("_Result")
_Args = TypeVarTuple("_Args")


async def aside(size: int, function: Callable[[Unpack[_Args]], _Result], *args: *_Args) -> _Result:
    """Call a function, in a thread if it has more than so many bytes to work on."""
    return await anyio.to_thread.run_sync(function, *args) if size > LONG else function(*args)


def weight(value: object) -> int:
    """Return roughly how many bytes of JSON a value makes; whatever is more than ``LONG`` is not looked at any more."""
    found, left = 0, [value]
    while left and found <= LONG:
        item = left.pop()
        if isinstance(item, dict):
            found += 16 * len(item)
            left.extend(item.values())
        elif isinstance(item, list | tuple):
            left.extend(item)
        else:
            found += len(item) if isinstance(item, str | bytes) else 16
    return found
