"""What holds a request back, in words for whoever looks at a run."""

from __future__ import annotations

from typing import Final

from gemtune.limiter.control import Control

_WAITS_FOR: Final = {
    "": "nothing waits",
    "rpm": "your ceiling of {rpm} requests per minute",
    "tpm": "your ceiling of {tpm} input tokens per minute",
    "learned rpm": "the requests per minute that the service allows",
    "learned tpm": "the input tokens per minute that the service allows",
    **dict.fromkeys(("lease", "leased rpm", "leased tpm"), "the quota that all actors share"),
    "gate": "the service is pushing back{why}: everybody pauses, {left} more",
    "outage": "the service does not answer; one request at a time asks whether it is back",
}


def reason_of(binding: str, control: Control, *, auto: bool, now: float) -> str:
    """Return what holds the next request back, in words.

    Args:
        binding: The name of it, as in ``LimiterStatistics``.
        control: What holds it back.
        auto: Whether the limit is found out, and not given.
        now: The time.
    """
    crowd = control.heard.crowd
    if binding in {"rpm", "tpm"}:
        return _WAITS_FOR[binding].format(**{binding: f"{control.meters.ceiling(binding):.10g}"})
    if binding != "concurrency":
        gate = control.gate.opens_at - now
        why = f", as {crowd} is used up" if crowd else ""
        return _WAITS_FOR[binding].format(left=f"{gate:.0f} s" if gate >= 1 else "less than 1 s", why=why)
    if control.allowed < control.adaptive.ceiling:
        why = f"; when it pushed back last, {crowd} was used up" if crowd else ""
        return f"{control.allowed} requests are in flight, as many as the service is known to take{why}"
    if not auto:
        return f"{control.allowed} requests are in flight, as many as you allow"
    return f"{control.allowed} requests are in flight, the most that 'auto' goes to"
