"""What is sent can be seen: one line on the logger ``gemtune.http`` for each request, at DEBUG.

It names the method, what the request is about, the status, the milliseconds, the attempt and the service's id of the
request. Headers, bodies and query parameters stay out of it, and with them every credential and every prompt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from gemtune.protocol.call import Call
from gemtune.protocol.said import clean

R = TypeVar("R")

_log = logging.getLogger("gemtune.http")
_IDS = ("x-goog-request-id", "x-request-id", "x-cloud-trace-context")


def logged(call: Call[Any], attempt: int, exchange: Awaitable[R]) -> Awaitable[R]:
    """Return an exchange that is logged once it is over; without DEBUG it is the same one, and costs nothing."""
    return _logged(call, attempt, exchange) if _log.isEnabledFor(logging.DEBUG) else exchange


async def _logged(call: Call[Any], attempt: int, exchange: Awaitable[R]) -> R:
    began, outcome = time.perf_counter(), "cancelled"
    status: int | None = None
    number: str | None = None
    try:
        reply: Any = await exchange
        status = reply.status
        number = next((clean(reply.headers[key], limit=100) for key in _IDS if key in reply.headers), None)
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        spent = 1000 * (time.perf_counter() - began)
        about, said = call.resource or "no resource", outcome if status is None else f"HTTP {status}"
        fields = {
            "method": call.method,
            "resource": call.resource,
            "attempt": attempt,
            "status": status,
            "error": outcome if status is None else None,
            "ms": round(spent, 1),
            "request_id": number,
        }
        line = "%s %s: %s in %.0f ms, attempt %d, request id %s"
        _log.debug(line, call.method, about, said, spent, attempt, number or "none", extra=fields)
    result: R = reply
    return result
