"""A permit for each attempt of a generate call, where the client was given a limiter.

The limiter itself lives floors above; this is all that the http floor knows of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import anyio

from gemtune.errors import CallError, DeadlineExceeded, Failure, GemtuneError
from gemtune.http.wire import StreamReply
from gemtune.loops import current_time

T = TypeVar("T")


class Permit(Protocol):
    """The right to have one request in flight; it ends in one of these ways."""

    def success(self, usage_tokens: int | None) -> None:
        """End it after a reply."""

    def failed(self, error: CallError) -> object:
        """End it after a failure."""

    def unsent(self) -> None:
        """End it before anything was sent."""

    def cancelled(self) -> None:
        """End it after something was sent, without a reply."""


class Permits(Protocol):
    """What a client asks of a limiter."""

    def estimate(self, nbytes: int) -> int:
        """Return the input tokens of a request of so many bytes."""

    async def acquire(self, tokens: int = 0) -> Permit:
        """Wait for a permit."""


_held: ContextVar[object] = ContextVar("gemtune_held_limiter", default=None)


@contextmanager
def holding(limiter: object) -> Iterator[None]:
    """Within it, calls ask this limiter for no permit: the caller holds one already."""
    token = _held.set(limiter)
    try:
        yield
    finally:
        _held.reset(token)


async def permitted(limiter: Permits, size: int, deadline: float, attempt: Callable[[], Awaitable[T]]) -> T:
    """Make one attempt with a permit; none is held while backing off.

    Args:
        limiter: Where the permit comes from.
        size: The request's body in bytes.
        deadline: The time of ``anyio.current_time`` at which the call must be done.
        attempt: The attempt.
    """
    if _held.get() is limiter:
        return await attempt()
    permit = await _acquired(limiter, size, deadline)
    with _ending(permit):
        result = await attempt()
        usage = getattr(result, "usage_metadata", None)
        permit.success(usage.prompt_token_count or None if usage else None)
        return result


async def permitted_stream(
    limiter: Permits, size: int, deadline: float, attempt: Callable[[], Awaitable[StreamReply]]
) -> StreamReply:
    """The same for a stream, which holds its permit until it is closed."""
    if _held.get() is limiter:
        return await attempt()
    permit = await _acquired(limiter, size, deadline)

    def closed(*, complete: bool) -> None:
        if complete:
            permit.success(None)
        else:
            permit.cancelled()

    with _ending(permit):
        reply = await attempt()
        reply.on_close = closed
        return reply


@contextmanager
def _ending(permit: Permit) -> Iterator[None]:
    try:
        yield
    except CallError as error:
        permit.failed(error)
        raise
    except GemtuneError:
        # A credential or an argument was wrong before anything was sent.
        permit.unsent()
        raise
    except BaseException:
        permit.cancelled()
        raise


async def _acquired(limiter: Permits, size: int, deadline: float) -> Permit:
    try:
        with anyio.fail_after(deadline - current_time()):
            return await limiter.acquire(limiter.estimate(size))
    except TimeoutError:
        raise DeadlineExceeded(
            "the limiter gave no permit in time: allow more time, or raise its limits", failure=Failure.NOT_SENT
        ) from None
