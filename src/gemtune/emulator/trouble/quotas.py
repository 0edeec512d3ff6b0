"""How much the emulated service takes: quotas, a limit of concurrency, latency and overload.

===================  =============================================  ==========================================
rule                 admits                                         tells whoever is refused
===================  =============================================  ==========================================
``MinuteWindow``     a number in each minute of the clock           the seconds to the end of the minute
``PerDay``           a number from midnight to midnight             the seconds to midnight in California
``TokenBucket``      a steady rate, with a burst                    the seconds until there is enough
``ConcurrencyCap``   a number at the same time                      nothing, or a fixed number of seconds
===================  =============================================  ==========================================

The documentation says "per minute" and does not say which of the first three that is, so a test chooses. A request
must be admitted by every rule, and only then counts in any: what one refuses costs nothing in another.

Everything here takes the time as an argument, in seconds, so that it serves a simulation as well as the emulator.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Protocol

import attrs

from gemtune.emulator.messages.errors import SERVICE, RpcError, quota_exceeded
from gemtune.emulator.world.clock import SECOND, Clock

MINUTE = 60.0
DAY = 86_400.0
# Quotas per day begin anew at midnight in California (winter time), as documented.
_MIDNIGHT = 8 * 3600.0


class QuotaRule(Protocol):
    """What a quota decides; ``take`` and ``leave`` come in pairs, and only for what all quotas admit."""

    def refuse(self, now: float, tokens: int, model: str) -> RpcError | None:
        """Return the error for one more request, or None if it may come in."""

    def take(self, tokens: int) -> None:
        """Count a request in."""

    def leave(self) -> None:
        """Count a request out."""


def _exceeded(model: str, limit: float, wait: float, *, tokens: bool, per: str) -> RpcError:
    metric, name = "requests", "GenerateRequestsPer{}PerProjectPerModel-FreeTier"
    if tokens:
        metric, name = "input_token_count", "GenerateContentInputTokensPerModelPer{}-FreeTier"
    return quota_exceeded(
        model, round(limit), wait, metric=f"{SERVICE}/generate_content_free_tier_{metric}", quota_id=name.format(per)
    )


@attrs.define(kw_only=True)
class MinuteWindow:
    """A quota of requests, or of input tokens, in each minute of the clock; a refusal says how long that still lasts.

    Args:
        limit: in a minute; may be changed while it is used.
        tokens: count input tokens instead of requests.
    """

    limit: float = attrs.field(validator=attrs.validators.gt(0))
    tokens: bool = False
    _span: float = attrs.field(default=MINUTE, init=False)
    _offset: float = attrs.field(default=0.0, init=False)
    _per: str = attrs.field(default="Minute", init=False)
    _window: float = attrs.field(default=-math.inf, init=False)
    _used: float = attrs.field(default=0.0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> RpcError | None:
        window = (now - self._offset) // self._span
        if window != self._window:
            self._window, self._used = window, 0.0
        # A single request larger than the quota would never get in otherwise: it may be the first of its minute.
        if self._used == 0 or self._used + (tokens if self.tokens else 1) <= self.limit:
            return None
        ends = (window + 1) * self._span + self._offset
        return _exceeded(model, self.limit, ends - now, tokens=self.tokens, per=self._per)

    def take(self, tokens: int) -> None:
        self._used += tokens if self.tokens else 1

    def leave(self) -> None:
        """Do nothing: what was used stays used."""


@attrs.define(kw_only=True)
class PerDay(MinuteWindow):
    """A quota of requests, or of input tokens, from midnight to midnight in California."""

    _span: float = attrs.field(default=DAY, init=False)
    _offset: float = attrs.field(default=_MIDNIGHT, init=False)
    _per: str = attrs.field(default="Day", init=False)


@attrs.define(kw_only=True)
class TokenBucket:
    """A quota of requests, or of input tokens, that refills evenly; a refusal says how long it takes until it suffices.

    Args:
        limit: in a minute; may be changed while it is used.
        burst: seconds of the quota that may be used at once.
        tokens: count input tokens instead of requests.
        least_hint: the shortest delay told, in seconds.
    """

    limit: float = attrs.field(validator=attrs.validators.gt(0))
    burst: float = attrs.field(default=1.0, validator=attrs.validators.gt(0))
    tokens: bool = False
    least_hint: float = 1.0
    _level: float = attrs.field(default=math.inf, init=False)
    _at: float = attrs.field(default=0.0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> RpcError | None:
        rate = self.limit / MINUTE
        size = max(1.0, rate * self.burst)
        self._level = min(size, self._level + max(0.0, now - self._at) * rate)
        self._at = now
        # As above: what is larger than the bucket waits for a full one, and then puts it into debt.
        missing = min(tokens if self.tokens else 1, size) - self._level
        if missing <= 1e-9:  # a caller that waits exactly as told must not be refused for a rounding error
            return None
        return _exceeded(model, self.limit, max(self.least_hint, missing / rate), tokens=self.tokens, per="Minute")

    def take(self, tokens: int) -> None:
        self._level -= tokens if self.tokens else 1

    def leave(self) -> None:
        """Do nothing: what was used stays used."""


@attrs.define(kw_only=True)
class ConcurrencyCap:
    """A limit of requests at the same time.

    Args:
        limit: at the same time; may be changed while it is used.
        hint: seconds told in ``RetryInfo`` to whoever is refused; None tells nothing, as the service does.
        status: ``RESOURCE_EXHAUSTED`` (429) or ``UNAVAILABLE`` (503).
    """

    limit: int = attrs.field(validator=attrs.validators.gt(0))
    hint: float | None = None
    status: str = attrs.field(
        default="RESOURCE_EXHAUSTED", validator=attrs.validators.in_(("RESOURCE_EXHAUSTED", "UNAVAILABLE"))
    )
    in_flight: int = attrs.field(default=0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> RpcError | None:  # noqa: ARG002 - a Quota's
        if self.in_flight < self.limit:
            return None
        details: list[dict[str, object]] = []
        if self.hint is not None:
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": f"{self.hint:.9g}s"}]
        return RpcError(self.status, _CROWDED[self.status], details)

    def take(self, tokens: int) -> None:  # noqa: ARG002 - a Quota's
        self.in_flight += 1

    def leave(self) -> None:
        self.in_flight -= 1


_CROWDED = {
    "RESOURCE_EXHAUSTED": "Resource has been exhausted (e.g. check quota).",
    "UNAVAILABLE": "The model is overloaded. Please try again later.",
}


@attrs.frozen(kw_only=True)
class Latency:
    """How long an answer takes: a lognormal distribution, and more of it under overload.

    Args:
        median: in seconds.
        sigma: of the distribution's logarithm; 0 for always the same.
        capacity: requests in flight up to which nothing slows down; None for any number.
    """

    median: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    sigma: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    capacity: int | None = None

    @property
    def mean(self) -> float:
        """The mean of the distribution, without overload."""
        return self.median * math.exp(self.sigma**2 / 2)

    def draw(self, dice: random.Random, in_flight: int) -> float:
        """Return the seconds of one answer; with twice the capacity in flight, twice as many."""
        seconds = self.median * math.exp(dice.gauss(0.0, self.sigma)) if self.sigma else self.median
        return seconds if self.capacity is None else seconds * max(1.0, in_flight / self.capacity)


@attrs.define
class Load:
    """All that limits generateContent: every quota must admit a request, and an answer takes its time.

    Args:
        quotas: asked in this order; the first that refuses answers.
        latency: how long an answer takes.
        seed: of the latencies.
    """

    quotas: list[QuotaRule] = attrs.field(factory=list)
    latency: Latency = attrs.field(factory=Latency)
    seed: int = 0
    in_flight: int = attrs.field(default=0, init=False)
    admitted: int = attrs.field(default=0, init=False)
    refused: int = attrs.field(default=0, init=False)
    _dice: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - not for secrets

    def enter(self, now: float, tokens: int = 1, model: str = "") -> float:
        """Let one request in and return the seconds its answer takes.

        Raises:
            RpcError: 429 or 503 of the first quota that refuses it.
        """
        for quota in self.quotas:
            error = quota.refuse(now, tokens, model)
            if error is not None:
                self.refused += 1
                raise error
        for quota in self.quotas:
            quota.take(tokens)
        self.in_flight += 1
        self.admitted += 1
        return self.latency.draw(self._dice, self.in_flight)

    async def serve(self, clock: Clock, tokens: int, model: str, seconds: float = 0.0) -> None:
        """Wait as long as an answer takes, and so many seconds more."""
        seconds += self.enter(clock.now() / SECOND, tokens, model)
        try:
            if seconds:
                await clock.sleep(seconds)
        finally:
            self.leave()

    def leave(self) -> None:
        """Let a request out, answered or gone."""
        self.in_flight -= 1
        for quota in self.quotas:
            quota.leave()


def load_of(given: Load | Iterable[QuotaRule]) -> Load:
    """Return a load; quotas alone become one."""
    return given if isinstance(given, Load) else Load(list(given))
