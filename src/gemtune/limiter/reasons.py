"""Why the next request has to wait, in words."""

from __future__ import annotations

from typing import Final

_REASONS: Final = {
    "": "nothing waits",
    "rpm": "your ceiling of {rpm} requests per minute",
    "tpm": "your ceiling of {tpm} input tokens per minute",
    "learned rpm": "the requests per minute that the service allows",
    "learned tpm": "the input tokens per minute that the service allows",
    "gate": "a pause for all, as the service turned requests away: {left} more",
    "outage": "the service does not answer; one request at a time asks whether it is back",
}


def reason_of(
    binding: str, *, limit: int, ceiling: int, auto: bool, rpm: float | None, tpm: float | None, gate: float
) -> str:
    """Return what holds the next request back.

    Args:
        binding: The name of it, as in ``LimiterStatistics``.
        limit: How many requests may be in flight.
        ceiling: The most there may ever be.
        auto: Whether the limit is found out, and not given.
        rpm: The ceiling of requests per minute.
        tpm: The ceiling of input tokens per minute.
        gate: Seconds until the gate opens.
    """
    if binding != "concurrency":
        left = f"{gate:.0f} s" if gate >= 1 else "less than 1 s"
        return _REASONS[binding].format(rpm=rpm, tpm=tpm, left=left)
    if limit < ceiling:
        return f"{limit} requests are in flight, as many as the service is known to take"
    if not auto:
        return f"{limit} requests are in flight, as many as you allow"
    return f"{limit} requests are in flight, the most that 'auto' goes to"
