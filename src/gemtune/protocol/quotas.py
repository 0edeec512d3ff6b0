"""The quotas that a 429 names, read in one place: for the error's scope, and for the rates that a limiter learns.

The Gemini API names them in a QuotaFailure (``GenerateRequestsPerMinutePerProjectPerModel-FreeTier``), older replies in
the metadata of an ErrorInfo (``quota_limit``). Neither form is documented; what a name means is read from its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from gemtune.checks import is_number

_DAILY: Final = re.compile(r"PerDay|Daily|per day", re.IGNORECASE)
_MINUTELY: Final = re.compile(r"PerMinute|per minute", re.IGNORECASE)
_TOKENS: Final = re.compile(r"token", re.IGNORECASE)
_ZERO: Final = re.compile(r"\blimit: 0\b")
_BILLING: Final = re.compile(r"spend|billing account|credits? (?:are|is) depleted|prepay", re.IGNORECASE)
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
    """Return what the error is about: ``none``, ``day``, ``minute``, ``billing``, or ``unknown``."""
    quotas = list(named_quotas(details))
    if any(quota.value == 0 for quota in quotas):
        return "none"
    words = " ".join([message, *(quota.words for quota in quotas)])
    # A reply that names several is about the longest, which waiting a minute does not lift.
    for scope, pattern in (("none", _ZERO), ("day", _DAILY), ("minute", _MINUTELY), ("billing", _BILLING)):
        if pattern.search(words):
            return scope
    return "unknown"


def _amount(value: object) -> float | None:
    if not is_number(value) and not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < _GREATEST else None
