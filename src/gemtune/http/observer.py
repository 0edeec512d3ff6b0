"""The seam for telemetry: who is told how a call goes, as a protocol that knows nothing of what is done with it.

``Caller.repeat`` reports each call to a ``CallObserver``, if the client has one: that it begins, each attempt that is
followed by another, and its end. A stream ends when its connection is given back, which may be long after the call
has returned. Nothing here waits, and nobody who observes can change what becomes of a call.
"""

from __future__ import annotations

from typing import Any, Protocol

from gemtune.errors import CallError
from gemtune.protocol.call import Call


class CallWatch(Protocol):
    """One call, as its observer sees it."""

    def __enter__(self) -> object:
        """Take what happens from here to ``__exit__`` in this context for a part of the call."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave the context as it was; the call need not have ended."""
        ...

    def repeated(self, error: CallError, attempt: int, delay: float) -> None:
        """Take in that an attempt failed, and that another one follows after so many seconds."""
        ...

    def arrived(self, piece: object) -> None:
        """Take in a piece of a streamed reply."""
        ...

    def ended(self, result: object, error: BaseException | None) -> None:
        """Take in the end; only the first one counts."""
        ...


class CallObserver(Protocol):
    """Whoever observes the calls of a client."""

    def begun(self, call: Call[Any]) -> CallWatch | None:
        """Return the watch over a call that begins now, or None if it is of no interest."""
        ...
