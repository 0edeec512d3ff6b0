"""A permit of the client's limiter for each attempt of a generate call.

A permit ends once, in the way its attempt ended, and the limiter learns from that: a reply, a failure, nothing sent, or
given up. None is held while a call backs off, so that waiting for a retry keeps nobody else from sending.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from gemtune.errors import CallError, DeadlineExceeded, Failure, GemtuneError
from gemtune.http.stream import StreamReply
from gemtune.limiter.limiter import Limiter, Permit
from gemtune.loops import current_time

T = TypeVar("T")


async def permitted(limiter: Limiter, size: int, deadline: float, attempt: Callable[[], Awaitable[T]]) -> T:
    """Make one attempt with a permit; a stream holds it until it is closed.

    Args:
        limiter: Where the permit comes from.
        size: The request's body in bytes.
        deadline: The time of ``anyio.current_time`` at which the call must be done.
        attempt: The attempt.

    Raises:
        DeadlineExceeded: There was no permit in time; nothing was sent.
    """
    permit = await _acquired(limiter, size, deadline)
    # From here on the permit ends in every case: one that is lost would lower the limit for good.
    try:
        result = await attempt()
        if isinstance(result, StreamReply):
            result.on_close = _end_with_stream(permit)
        else:
            usage = getattr(result, "usage_metadata", None)
            # The service's own count corrects the estimate that was made from the size.
            permit.success(usage.prompt_token_count or None if usage else None)
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
    return result


def _end_with_stream(permit: Permit) -> Callable[..., None]:
    def closed(*, complete: bool, failure: CallError | None) -> None:
        if failure is not None:
            permit.failed(failure)
        elif complete:
            permit.success(None)
        else:
            permit.cancelled()  # left early: that says nothing about the service

    return closed


async def _acquired(limiter: Limiter, size: int, deadline: float) -> Permit:
    try:
        with anyio.fail_after(deadline - current_time()):
            return await limiter.acquire(limiter.estimate(size))
    except TimeoutError:
        raise DeadlineExceeded(
            "the limiter gave no permit in time: allow more time, or raise its limits", failure=Failure.NOT_SENT
        ) from None
