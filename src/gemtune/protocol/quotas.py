"""The quotas that a 429 names, read in one place: for the error's scope, and for the rates that a limiter learns.

The Gemini API names them in a QuotaFailure (``GenerateRequestsPerMinutePerProjectPerModel-FreeTier``), older replies in
the metadata of an ErrorInfo (``quota_limit``). Neither form is documented; what a name means is read from its words.

Vertex AI says most of it in the message alone, and tells apart what was used up:

=================================================================  ===========  =====================================
"Resource exhausted, please try again later."                      shared       the capacity of all who pay as they go
"Too many requests. Exceeded the Provisioned Throughput."          provisioned  the throughput that was bought
"... quota limits: aiplatform.googleapis.com/                      tuning       the jobs that may be tuned at a time
global_concurrent_tuning_jobs"
"... generate_content_requests_per_minute_per_project_per_..."     minute       a quota, as on the Gemini API
=================================================================  ===========  =====================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from gemtune.checks import is_number

_DAILY: Final = re.compile(r"PerDay|Daily|per[ _]day", re.IGNORECASE)
_MINUTELY: Final = re.compile(r"PerMinute|per[ _]minute", re.IGNORECASE)
_TUNING: Final = re.compile(r"concurrent[ _]?tuning[ _]?jobs", re.IGNORECASE)
_PROVISIONED: Final = re.compile(r"provisioned throughput", re.IGNORECASE)
_SHARED: Final = re.compile(r"resource (?:has been )?exhausted\W+please try again later", re.IGNORECASE)
_TOKENS: Final = re.compile(r"token", re.IGNORECASE)
_ZERO: Final = re.compile(r"\blimit: 0\b")
_BILLING: Final = re.compile(r"spend|billing account|credits? (?:are|is) depleted|prepay", re.IGNORECASE)
_SCOPES: Final = (
    ("none", _ZERO),
    ("tuning", _TUNING),
    ("day", _DAILY),
    ("minute", _MINUTELY),
    ("billing", _BILLING),
    ("provisioned", _PROVISIONED),
    ("shared", _SHARED),
)
_GREATEST: Final = 1e12


@attrs.frozen
class NamedQuota:
    """One quota that was exceeded.

    Args:
        words: Its id, metric and description.
        value: How much it allows, or None if the reply does not say.
    """

    words: str
    value: float | None = None

    @property
    def minutely(self) -> bool:
        """Whether it is a quota per minute."""
        return _MINUTELY.search(self.words) is not None

    @property
    def of_tokens(self) -> bool:
        """Whether it counts tokens; the others count requests."""
        return _TOKENS.search(self.words) is not None


def named_quotas(details: Iterable[object]) -> Iterator[NamedQuota]:
    """Yield the quotas that an error's details name, in their order.

    Args:
        details: The ``details`` of the error, whatever the server put there.
    """
    for detail in details:
        if not isinstance(detail, Mapping):
            continue
        violations = detail.get("violations")
        for item in violations if isinstance(violations, list) else ():
            if isinstance(item, Mapping):
                names = (item.get("quotaId"), item.get("quotaMetric"), item.get("description"))
                yield NamedQuota(" ".join(str(name) for name in names if name), _amount(item.get("quotaValue")))
        metadata = detail.get("metadata")
        if isinstance(metadata, Mapping) and "quota_limit" in metadata:
            words = f"{metadata.get('quota_limit')} {metadata.get('quota_metric', '')}"
            yield NamedQuota(words, _amount(metadata.get("quota_limit_value")))


def scope_of(message: str, details: Iterable[object]) -> str:
    """Return what the error is about: a word of ``QuotaExhausted.scope``."""
    quotas = list(named_quotas(details))
    if any(quota.value == 0 for quota in quotas):
        return "none"
    words = " ".join([message, *(quota.words for quota in quotas)])
    # A reply that names several is about the longest, which waiting a minute does not lift.
    return next((scope for scope, pattern in _SCOPES if pattern.search(words)), "unknown")


def _amount(value: object) -> float | None:
    if not is_number(value) and not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < _GREATEST else None
