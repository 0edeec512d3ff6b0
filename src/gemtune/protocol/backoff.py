"""Whether and when a failed attempt is made again: pure functions of the failure, the effect and the dice.

Failure classes by method classes (the numbers are extra attempts, never more than the policy allows)::

                 NOT_SENT   REJECTED   AMBIGUOUS
    READ         policy     policy     policy (500 and unreadable replies: 2 and 1)
    CREATE       policy     policy     policy, after looking whether it exists
    BILLED       policy     policy     2 (unreadable replies: 1)
    WRITE        policy     policy     none: AmbiguousOutcome

The backoff is full jitter, U(0, min(maximum, base * 2^n)): tenacity's own exponential jitter has none at its cap.
"""

from __future__ import annotations

from gemtune.config import RetryPolicy
from gemtune.errors import CallError, Failure, MalformedResponse, QuotaExhausted
from gemtune.protocol.call import Effect

# For a quota per minute without a hint: half of its window is the shortest wait that makes sense.
_MINUTE_WITHOUT_HINT = 30.0


def extra_attempts(error: CallError, effect: Effect, policy: RetryPolicy) -> int:
    """Return how many attempts this failure allows beyond the first."""
    most = policy.attempts - 1
    if error.failure is Failure.FATAL:
        return 0
    if error.failure is not Failure.AMBIGUOUS:
        return most
    if effect is Effect.WRITE:
        return 0
    if isinstance(error, MalformedResponse):
        return min(most, 1)  # a reply that reads wrong twice reads wrong always
    if effect is Effect.BILLED or error.status == 500:
        return min(most, 2)
    return most


def is_ambiguous_write(error: CallError, effect: Effect) -> bool:
    """Return whether a failed write may have been carried out, so that only the caller can decide."""
    return effect is Effect.WRITE and error.failure is Failure.AMBIGUOUS


def too_long(error: CallError, policy: RetryPolicy) -> bool:
    """Return whether the server asks for a longer wait than the policy accepts."""
    return error.retry_after is not None and error.retry_after > policy.max_hint


def delay(error: CallError, failures: int, policy: RetryPolicy, dice: float) -> float:
    """Return the seconds to wait before the next attempt.

    Args:
        error: The failure of the last attempt.
        failures: How many attempts have failed, at least 1.
        policy: The caller's policy.
        dice: A random number in [0, 1).

    Returns:
        Full jitter over the backoff; never less than the server's hint, spread by up to a fifth of it (at most 5 s),
        so that callers who got the same hint do not return together.
    """
    # Nothing was sent, so that nobody was burdened: the next connection may be tried soon.
    if error.failure is Failure.NOT_SENT:
        base = policy.initial / 4
    elif isinstance(error, QuotaExhausted):
        base = policy.initial * 2
    else:
        base = policy.initial
    # 60 doublings are beyond every maximum, and 1,024 would overflow.
    backoff = dice * min(policy.maximum, base * 2.0 ** min(failures - 1, 60))
    hint = error.retry_after
    if hint is None and isinstance(error, QuotaExhausted) and error.scope == "minute":
        hint = min(_MINUTE_WITHOUT_HINT, policy.max_hint)
    if hint is None:
        return backoff
    return max(hint, backoff) + dice * min(hint / 5, 5.0)


def cost(error: CallError) -> int:
    """Return what a retry takes from the client's budget (the figures of the AWS standard mode)."""
    return 5 if isinstance(error, QuotaExhausted) else 14
