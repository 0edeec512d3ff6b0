"""How much the emulated service takes: quotas, a limit of concurrency, latency and overload.

Everything here takes the time as an argument, in seconds, so that it serves a simulation as well as the emulator.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Protocol

from attrs import define, field, frozen, validators

from gemtune.emulator.messages.errors import SERVICE, ApiError, quota_exceeded
from gemtune.emulator.world.clock import SECOND, Clock

MINUTE = 60.0
DAY = 86_400.0
# Quotas per day begin anew at midnight in California (winter time), as documented.
_MIDNIGHT = 8 * 3600.0


class Quota(Protocol):
    """What a quota decides; ``take`` and ``leave`` come in pairs, and only for what all quotas admit."""

    def refuse(self, now: float, tokens: int, model: str) -> ApiError | None:
        """The error for one more request, or None where it may come in."""

    def take(self, tokens: int) -> None:
        """Let a request in."""

    def leave(self) -> None:
        """See a request out."""


def _exceeded(model: str, limit: float, wait: float, *, tokens: bool, per: str) -> ApiError:
    metric, name = "requests", "GenerateRequestsPer{}PerProjectPerModel-FreeTier"
    if tokens:
        metric, name = "input_token_count", "GenerateContentInputTokensPerModelPer{}-FreeTier"
    return quota_exceeded(
        model, round(limit), wait, metric=f"{SERVICE}/generate_content_free_tier_{metric}", quota_id=name.format(per)
    )


@define(kw_only=True)
class MinuteWindow:
    """So many requests, or input tokens, in each minute of the clock; refused with the time to its end.

    Args:
        limit: in a minute; may be changed while it is used.
        tokens: count input tokens instead of requests.
    """

    limit: float = field(validator=validators.gt(0))
    tokens: bool = False
    _span: float = field(default=MINUTE, init=False)
    _offset: float = field(default=0.0, init=False)
    _per: str = field(default="Minute", init=False)
    _window: float = field(default=-math.inf, init=False)
    _used: float = field(default=0.0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> ApiError | None:
        window = (now - self._offset) // self._span
        if window != self._window:
            self._window, self._used = window, 0.0
        if self._used == 0 or self._used + (tokens if self.tokens else 1) <= self.limit:
            return None
        ends = (window + 1) * self._span + self._offset
        return _exceeded(model, self.limit, ends - now, tokens=self.tokens, per=self._per)

    def take(self, tokens: int) -> None:
        self._used += tokens if self.tokens else 1

    def leave(self) -> None:
        """Nothing: what was used stays used."""


@define(kw_only=True)
class PerDay(MinuteWindow):
    """So many requests, or input tokens, from midnight to midnight in California."""

    _span: float = field(default=DAY, init=False)
    _offset: float = field(default=_MIDNIGHT, init=False)
    _per: str = field(default="Day", init=False)


@define(kw_only=True)
class TokenBucket:
    """So many requests, or input tokens, in a minute, evenly; refused with the time until enough have come in.

    Args:
        limit: in a minute; may be changed while it is used.
        burst: seconds of the quota that may be used at once.
        tokens: count input tokens instead of requests.
        least_hint: the shortest delay told, in seconds.
    """

    limit: float = field(validator=validators.gt(0))
    burst: float = field(default=1.0, validator=validators.gt(0))
    tokens: bool = False
    least_hint: float = 1.0
    _level: float = field(default=math.inf, init=False)
    _at: float = field(default=0.0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> ApiError | None:
        rate = self.limit / MINUTE
        size = max(1.0, rate * self.burst)
        self._level = min(size, self._level + max(0.0, now - self._at) * rate)
        self._at = now
        missing = min(tokens if self.tokens else 1, size) - self._level
        if missing <= 1e-9:
            return None
        return _exceeded(model, self.limit, max(self.least_hint, missing / rate), tokens=self.tokens, per="Minute")

    def take(self, tokens: int) -> None:
        self._level -= tokens if self.tokens else 1

    def leave(self) -> None:
        """Nothing: what was used stays used."""


@define(kw_only=True)
class ConcurrencyCap:
    """So many requests at the same time.

    Args:
        limit: at the same time; may be changed while it is used.
        hint: seconds told in ``RetryInfo`` to whoever is refused; None tells nothing, as the service does.
        status: ``RESOURCE_EXHAUSTED`` (429) or ``UNAVAILABLE`` (503).
    """

    limit: int = field(validator=validators.gt(0))
    hint: float | None = None
    status: str = field(default="RESOURCE_EXHAUSTED", validator=validators.in_(("RESOURCE_EXHAUSTED", "UNAVAILABLE")))
    in_flight: int = field(default=0, init=False)

    def refuse(self, now: float, tokens: int, model: str) -> ApiError | None:  # noqa: ARG002 - a Quota's
        if self.in_flight < self.limit:
            return None
        details: list[dict[str, object]] = []
        if self.hint is not None:
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": f"{self.hint:.9g}s"}]
        return ApiError(self.status, _CROWDED[self.status], details)

    def take(self, tokens: int) -> None:  # noqa: ARG002 - a Quota's
        self.in_flight += 1

    def leave(self) -> None:
        self.in_flight -= 1


_CROWDED = {
    "RESOURCE_EXHAUSTED": "Resource has been exhausted (e.g. check quota).",
    "UNAVAILABLE": "The model is overloaded. Please try again later.",
}


@frozen(kw_only=True)
class Latency:
    """How long an answer takes: a lognormal distribution, and more of it under overload.

    Args:
        median: in seconds.
        sigma: of the distribution's logarithm; 0 for always the same.
        capacity: requests in flight up to which nothing slows down; None for any number.
    """

    median: float = field(default=0.0, validator=validators.ge(0.0))
    sigma: float = field(default=0.0, validator=validators.ge(0.0))
    capacity: int | None = None

    @property
    def mean(self) -> float:
        """Of the distribution, without overload."""
        return self.median * math.exp(self.sigma**2 / 2)

    def draw(self, dice: random.Random, in_flight: int) -> float:
        """Seconds for one answer; with twice the capacity in flight, twice as many."""
        seconds = self.median * math.exp(dice.gauss(0.0, self.sigma)) if self.sigma else self.median
        return seconds if self.capacity is None else seconds * max(1.0, in_flight / self.capacity)


@define
class Load:
    """All that limits generateContent: every quota must admit a request, and an answer takes its time.

    Args:
        quotas: asked in this order; the first that refuses answers.
        latency: how long an answer takes.
        seed: of the latencies.
    """

    quotas: list[Quota] = field(factory=list)
    latency: Latency = field(factory=Latency)
    seed: int = 0
    in_flight: int = field(default=0, init=False)
    admitted: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    _dice: random.Random = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - not for secrets

    def enter(self, now: float, tokens: int = 1, model: str = "") -> float:
        """Let one request in; the seconds its answer takes. Raises the ``ApiError`` of the quota that refuses it."""
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
        """Take as long as an answer takes, and so many seconds more."""
        seconds += self.enter(clock.now() / SECOND, tokens, model)
        try:
            if seconds:
                await clock.sleep(seconds)
        finally:
            self.leave()

    def leave(self) -> None:
        """See it out, answered or gone."""
        self.in_flight -= 1
        for quota in self.quotas:
            quota.leave()


def load_of(given: Load | Iterable[Quota]) -> Load:
    """A load, also from quotas alone."""
    return given if isinstance(given, Load) else Load(list(given))
