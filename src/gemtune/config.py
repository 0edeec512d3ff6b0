"""Option values: how long to wait, how often to try, whom to call. Seconds are floats everywhere."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, Self

import attrs

from gemtune import checks
from gemtune.errors import SettingsError


class Unset:
    """The type of UNSET: an argument that was not given, where None has a meaning of its own."""

    _only: ClassVar[Self | None] = None

    def __new__(cls) -> Self:
        """Return the one instance, also when unpickled."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        """Return the name under which it is written."""
        return "UNSET"

    def __bool__(self) -> bool:
        """Return False, so that an unset argument reads as absent."""
        return False


UNSET = Unset()

_seconds = partial(checks.seconds, error=SettingsError)
_number = partial(checks.number, error=SettingsError)
_whole = partial(checks.whole, error=SettingsError)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    Args:
        connect: For a connection to be made, TLS included.
        call: For one attempt of a management call (get, list, create, patch ...); Google's own 60 s.
        generate: For one attempt of generateContent, and for the silence between two events of a stream; 600 s.
        total: For a whole call with all its attempts and waits; None means 3 × ``call`` or 2 × ``generate``.
    """

    connect: float = 10.0
    call: float = 60.0
    generate: float = 600.0
    total: float | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse zero, negative and infinite values: every wait has an end."""
        _seconds("Timeouts.connect", self.connect)
        _seconds("Timeouts.call", self.call)
        _seconds("Timeouts.generate", self.generate)
        if self.total is not None:
            _seconds("Timeouts.total", self.total)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a failed call is tried again.

    Args:
        attempts: Attempts in all, the first included; 1 switches retrying off.
        initial: Base of the backoff in seconds; attempt n waits a random time up to initial × 2^(n-1) (full jitter).
        maximum: Longest backoff in seconds.
        max_hint: Longest wait in seconds that the server may ask for; a longer one fails at once.
        budget: Tokens shared by all calls of a client; a retry costs 14, a throttled one 5, a success returns 1.
    """

    attempts: int = 5
    initial: float = 1.0
    maximum: float = 10.0
    max_hint: float = 60.0
    budget: int = 500

    def __attrs_post_init__(self) -> None:
        """Refuse values with which retrying could not work."""
        _whole("RetryPolicy.attempts", self.attempts, note="1 switches retrying off")
        _seconds("RetryPolicy.initial", self.initial)
        _seconds("RetryPolicy.maximum", self.maximum)
        _seconds("RetryPolicy.max_hint", self.max_hint)
        _whole("RetryPolicy.budget", self.budget, least=0)


ONCE = RetryPolicy(attempts=1)
"""One attempt and no more: whoever calls so does its own repeating."""


@attrs.frozen(kw_only=True)
class BatchPolicy:
    """How patiently a limiter treats a service that is busy or out; durations in seconds.

    Args:
        max_hint: The longest wait that the server may ask for; a longer one stops the run.
        first_probe: How long after the beginning of an outage one request asks whether it is over.
        longest_probe: The longest interval between two such requests; it doubles up to here.
        patience: How long an outage may last before failures of unknown outcome count against their items.
        repeats: How often an item whose attempt failed with an unknown outcome is tried again.
        backoff: The longest time that an item waits by itself before that.
    """

    max_hint: float = 900.0
    first_probe: float = 1.0
    longest_probe: float = 15.0
    patience: float = 300.0
    repeats: int = 2
    backoff: float = 60.0

    def __attrs_post_init__(self) -> None:
        """Refuse intervals that are not positive."""
        for name in ("max_hint", "first_probe", "longest_probe", "patience", "backoff"):
            _seconds(f"BatchPolicy.{name}", getattr(self, name))
        _whole("BatchPolicy.repeats", self.repeats, least=0)


@attrs.frozen(kw_only=True)
class WatchPolicy:
    """How often to look at tuning jobs, and how many requests that may cost; durations in seconds.

    All concern a watcher; the last five concern nothing else, as it looks at many jobs at once. The quota of the
    remote methods is not documented, so that the defaults are careful.

    Args:
        freshness: The greatest age of a snapshot at its delivery.
        terminal_freshness: The interval once all steps are done and only the end is awaited, and between two
            sweeps of the list.
        queued_interval: The longest interval before the first snapshot.
        min_interval: The shortest interval of all.
        jitter: Which part of an interval may be taken off at random, 0 to 1; nothing is ever added.
        max_rps: Requests a second; halved for a while when the service answers 429.
        burst: Requests that may be made at once after a pause.
        max_in_flight: Requests under way at the same time.
        request_timeout: For a single request.
        coalesce: Whether one list may stand for many looks: ``auto`` where it is cheaper, ``never``, ``always``.
    """

    freshness: float = 15.0
    terminal_freshness: float = 10.0
    queued_interval: float = 30.0
    min_interval: float = 2.0
    jitter: float = 0.1
    max_rps: float = 4.0
    burst: int = 8
    max_in_flight: int = 16
    request_timeout: float = 30.0
    coalesce: Literal["auto", "never", "always"] = "auto"

    def __attrs_post_init__(self) -> None:
        """Refuse values with which nothing would ever be looked at, and a jitter that is not a part."""
        for name in ("freshness", "terminal_freshness", "queued_interval", "min_interval", "request_timeout"):
            _seconds(f"WatchPolicy.{name}", getattr(self, name))
        checks.fraction("WatchPolicy.jitter", self.jitter, error=SettingsError)
        _number("WatchPolicy.max_rps", self.max_rps, below=1e6)
        _whole("WatchPolicy.burst", self.burst)
        _whole("WatchPolicy.max_in_flight", self.max_in_flight)
        checks.one_of("WatchPolicy.coalesce", self.coalesce, "auto", "never", "always", error=SettingsError)
