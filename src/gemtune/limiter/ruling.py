"""What a failed attempt means for the item, for the run, and for the limits: pure functions of the error.

::

    error                                              signal      the item
    429 that names a quota per minute                  RATE        again, not counted, with all others
    429 that names none (of Vertex AI: for what all
    share, or for the throughput that was bought),
    503 in JSON                                        CROWDED     again, not counted, after the hint if there is one
    429 for what was spent in the last minutes         SPENT       again, not counted; stops the run if it stays so
    no connection, connection lost, time-out,
    500, 502, 504, unreadable reply                    TROUBLE     again, counted unless nothing else succeeds either
    429 per day, limit 0, a spending cap, no credit
    (402, too); untrusted certificate; 401, 403, 404
    or a failed precondition about the model, the
    credential or the service                          DOOMED      stop the run
    403, 404, a failed precondition otherwise, and
    what is not on this list (405, 418, 501, ...)      REFUSED     fails; stops the run if all meet the same
    400, 413, 415, 422, every other error              ITEM        fails; the same if nothing was ever answered
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

import attrs

from gemtune import errors
from gemtune.errors import CallError, Failure
from gemtune.protocol.quotas import NamedQuota, named_quotas


class Signal(enum.Enum):
    """What a failed attempt says about the service."""

    RATE = "rate"
    """Too many in a minute: close the gate until the time told."""
    SPENT = "spent"
    """Too much was spent in the last minutes: pause until that is over."""
    CROWDED = "crowded"
    """Too many at once, or bad luck: which of them, the share of such refusals tells."""
    TROUBLE = "trouble"
    """It does not work; many in a row are an outage."""
    ITEM = "item"
    """The service is well, and this one request is wrong."""
    REFUSED = "refused"
    """Not permitted, not found or not ready: one thing that this request names, or what all of them need."""
    DOOMED = "doomed"
    """No request of this run can succeed."""


@attrs.frozen(kw_only=True)
class Ruling:
    """What is to become of an item whose attempt failed.

    Args:
        action: ``retry``: put it back at the front; ``fail``: it is its own fault, or its attempts are used up;
            ``stop``: nothing of this run can succeed.
        counted: Whether the attempt counts against the item; pass the sum as ``failures`` to the next ``failed``.
        guessed: With ``stop``: whether it was concluded from many failures alike, and the items may be to blame.
        delay: Seconds that this item should wait by itself before it is tried again; other items need not.
        reset_after: With ``stop``: seconds until the quota is there again, where that is known.
        reason: Why, in words.
    """

    action: Literal["retry", "fail", "stop"]
    counted: bool = False
    guessed: bool = False
    delay: float = 0.0
    reset_after: float | None = None
    reason: str = ""


def signal_of(error: CallError, longest_hint: float) -> Signal:
    """Return what an error says about the service.

    Args:
        error: The failure of one attempt.
        longest_hint: Seconds that a run is ready to wait; a longer hint dooms it.
    """
    if isinstance(error, errors.QuotaExhausted):
        return _quota_signal(error, longest_hint)
    if isinstance(error, _DOOMED) or (isinstance(error, errors.BadRequest) and _BAD_KEY.search(error.message)):
        return Signal.DOOMED
    if isinstance(error, _REFUSED) or error.reason == "FAILED_PRECONDITION":
        return _refusal_signal(error)
    if error.failure is Failure.FATAL:
        # What is not known to be about the request may be about anything, and then all meet it.
        known = not isinstance(error, errors.ApiError) or error.status in _ABOUT_THE_REQUEST
        return Signal.ITEM if known else Signal.REFUSED
    if error.failure is Failure.REJECTED:
        return Signal.CROWDED
    return Signal.TROUBLE


_DOOMED = (errors.Unauthenticated, errors.TLSVerificationError, errors.UnexpectedRedirect)
_REFUSED = (errors.PermissionDenied, errors.NotFound)
_ABOUT_THE_REQUEST = frozenset({None, 400, 411, 413, 414, 415, 416, 422, 431})
_BAD_KEY = re.compile(r"API key (?:not valid|expired)", re.IGNORECASE)
# google.api.ErrorReason (https://cloud.google.com/apis/design/errors), as far as it is about who asks whom.
_OF_THE_RUN = re.compile(
    r"API_KEY_|ACCESS_TOKEN_|CONSUMER_|SERVICE_DISABLED|USER_PROJECT_DENIED|BILLING_DISABLED|CREDENTIALS_MISSING|"
    r"ACCOUNT_STATE_INVALID|USER_BLOCKED_BY_ADMIN|LOCATION_"
)
_OF_THE_ITEM = re.compile(r"\bfiles?\b", re.IGNORECASE)
_OF_ALL_ITEMS = re.compile(
    r"models?\b|models/|\bendpoints?\b|API version|unregistered callers|API key|authentication scopes|quota project|"
    r"use project|has not been used in project|location is not supported|billing",
    re.IGNORECASE,
)


# The words for what waiting does not lift: "exceeded its monthly spending cap", "prepayment credits are depleted".
_UNTIL_PAID = re.compile(r"\bcaps?\b|month|deplet|prepay|billing account|balance|credit", re.IGNORECASE)


def words_of(error: CallError) -> str:
    """Return what the service said, without what was put before it: the method, the model, the status."""
    before, _, said = error.message.partition(": ")
    return said if said and "failed with HTTP" in before else error.message


_CROWDS = {
    "shared": "the capacity that all who pay as they go share",
    "provisioned": "your Provisioned Throughput",
}


def _refusal_signal(error: CallError) -> Signal:
    if error.reason and _OF_THE_RUN.match(error.reason):
        return Signal.DOOMED
    said = words_of(error)
    if _OF_THE_ITEM.search(said):
        return Signal.ITEM
    return Signal.DOOMED if _OF_ALL_ITEMS.search(said) else Signal.REFUSED


def _quota_signal(error: errors.QuotaExhausted, longest_hint: float) -> Signal:
    hint = error.retry_after
    if error.scope == "none" or error.status == 402 or (hint is not None and hint > longest_hint):
        return Signal.DOOMED
    if error.scope == "billing":
        return Signal.DOOMED if _UNTIL_PAID.search(words_of(error)) else Signal.SPENT
    if error.scope == "day":
        # One reply can name both quotas with a short delay (googleapis/python-genai#2044): that is worth one wait.
        both = hint is not None and minute_quota(error) is not None
        return Signal.RATE if both else Signal.DOOMED
    # A hint alone does not say what it is about: it holds for this item, and for all only in a surge of refusals.
    return Signal.RATE if error.scope == "minute" else Signal.CROWDED


def minute_quota(error: CallError) -> NamedQuota | None:
    """Return the quota per minute that an error names, in its details or else in its words; of several the first."""
    named = (*named_quotas(getattr(error, "details", ())), NamedQuota(words_of(error)))
    return next((quota for quota in named if quota.minutely), None)


def crowd_of(error: CallError) -> str:
    """Return in words what is used up, if the service says that; an empty string if not."""
    return _CROWDS.get(getattr(error, "scope", ""), "")


def seconds_to_reset(error: CallError, wall: float) -> float | None:
    """Return the seconds until a quota is there again, as far as is known.

    Args:
        error: The quota error.
        wall: Seconds since 1970.

    Returns:
        The server's own delay if it is longer than a minute quota's; for a quota per day the time to midnight in
        California (the documentation's reset, https://ai.google.dev/gemini-api/docs/rate-limits).
    """
    if error.retry_after is not None and error.retry_after > 60:
        return error.retry_after
    if getattr(error, "scope", "") != "day":
        return error.retry_after
    midnight = ((wall - _california_hours(wall) * 3600) // 86400 + 1) * 86400
    return midnight + _california_hours(midnight + 8 * 3600) * 3600 - wall


def _california_hours(wall: float) -> int:
    """How many hours California is behind UTC; by its rule, because the time zone's file would be read in the loop."""
    year = datetime.fromtimestamp(wall, UTC).year
    begins = _sunday(datetime(year, 3, 8, 10, tzinfo=UTC))
    ends = _sunday(datetime(year, 11, 1, 9, tzinfo=UTC))
    return 7 if begins <= wall < ends else 8


def _sunday(day: datetime) -> float:
    return (day + timedelta(days=6 - day.weekday())).timestamp()
