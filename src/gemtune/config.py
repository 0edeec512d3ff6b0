"""Options as frozen values: how long to wait, how often to try, how hard to push. Durations are seconds everywhere.

A wrong value is refused where it is written, not at the first call that uses it.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final, Literal, Self

import attrs

from gemtune import checks
from gemtune.errors import SettingsError


class Unset:
    """The type of UNSET: an argument that was not given, where None has a meaning of its own."""

    _only: ClassVar[Self | None] = None

    def __new__(cls) -> Self:
        # Unpickling comes here as well, and ``value is UNSET`` must hold in every process of a program.
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset()

# What is wrong with an option is a matter of settings, whoever notices it.
_seconds = partial(checks.seconds, error=SettingsError)
_number = partial(checks.number, error=SettingsError)
_whole = partial(checks.whole, error=SettingsError)


@attrs.frozen(kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    Args:
        connect: For making a connection, including TLS.
        call: For one attempt of a management call (get, list, create, patch ...). Google's own clients wait 60 s.
        generate: For one attempt of generateContent, and for the silence between two events of a stream.
        total: For a whole call with all its attempts and the waits between them. None means 3 × ``call``, and
            2 × ``generate`` for a generation.
    """

    connect: float = 10.0
    call: float = 60.0
    generate: float = 600.0
    total: float | None = None

    def __attrs_post_init__(self) -> None:
        # Infinity is refused: every wait of this package has an end.
        _seconds("Timeouts.connect", self.connect)
        _seconds("Timeouts.call", self.call)
        _seconds("Timeouts.generate", self.generate)
        if self.total is not None:
            _seconds("Timeouts.total", self.total)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a failed call is tried again.

    Args:
        attempts: Attempts in all, including the first; 1 switches retrying off.
        initial: Base of the backoff in seconds. Before attempt n + 1 a call waits a random time of up to
            initial × 2^(n-1) (full jitter).
        maximum: The longest backoff in seconds.
        max_hint: The longest wait in seconds that the service may ask for. If it asks for more, the call fails at once.
        budget: Tokens that all calls of a client share. A retry takes 14, or 5 if it was pushed back, and a success
            returns 1. A call's first retry is paid only if it fails, so that a burst of calls that each fail once is
            tried again as a whole. While the budget is used up nothing is retried, so that an outage is not met with a
            storm; the error then says so.
    """

    attempts: int = 5
    initial: float = 1.0
    maximum: float = 10.0
    max_hint: float = 60.0
    budget: int = 500

    def __attrs_post_init__(self) -> None:
        _whole("RetryPolicy.attempts", self.attempts, note="1 switches retrying off")
        _seconds("RetryPolicy.initial", self.initial)
        _seconds("RetryPolicy.maximum", self.maximum)
        _seconds("RetryPolicy.max_hint", self.max_hint)
        _whole("RetryPolicy.budget", self.budget, least=0)


ONCE = RetryPolicy(attempts=1)
"""One attempt and no more: whoever calls so does its own repeating."""


@attrs.frozen(kw_only=True)
class BatchPolicy:
    """How patiently a limiter treats a service that pushes back or is out; durations in seconds.

    Args:
        max_hint: The longest wait that the service may ask for. If it asks for more, the run stops.
        first_probe: How long after the beginning of an outage one request asks whether it is over.
        longest_probe: The longest interval between two such requests; it doubles up to here.
        patience: How long an outage may last before ambiguous failures count against their items.
        repeats: How often an item is tried again after an ambiguous failure, at most. Where such failures are rare, two
            repeats are enough to blame the item.
        backoff: The longest wait before that, for the item alone.
    """

    max_hint: float = 900.0
    first_probe: float = 1.0
    longest_probe: float = 15.0
    patience: float = 300.0
    repeats: int = 4
    backoff: float = 60.0

    def __attrs_post_init__(self) -> None:
        for name in ("max_hint", "first_probe", "longest_probe", "patience", "backoff"):
            _seconds(f"BatchPolicy.{name}", getattr(self, name))
        _whole("BatchPolicy.repeats", self.repeats, least=0)

    def wait_after(self, failures: int) -> float:
        """Return the longest wait before an item that has failed so often before is tried again."""
        return self.backoff * min(1.0, 2.0**failures / 60)


@attrs.frozen(kw_only=True)
class WatchPolicy:
    """How often to look at tuning jobs, and how many requests that may cost; durations in seconds.

    How often a job is looked at depends on how many there are: every ``min_interval`` for a handful, and less often for
    more, so that looks take three quarters of ``max_rps``. ``freshness`` is a promise for many, and not a pause for
    one. Jobs that you await one by one share the same rate. Google does not document the quota of the methods behind a
    look, so the defaults are careful.

    Args:
        freshness: The greatest age of a snapshot at its delivery, as long as the requests suffice for that (with the
            defaults, for 60 jobs).
        terminal_freshness: The interval once all steps are done and only the end is awaited, and between two
            sweeps.
        queued_interval: The longest interval before the first snapshot.
        min_interval: The shortest interval of all, and the usual one for a handful of jobs.
        jitter: How much of an interval may be taken off at random, from 0 to 1. Nothing is ever added.
        max_rps: Requests a second, for a watcher or for all handles of a client; a watcher makes fewer for a while
            after the service has pushed back.
        burst: Requests that may be made at once after a pause.
        max_in_flight: Requests under way at the same time.
        request_timeout: For a single request.
        coalesce: Whether a sweep may stand for many looks: ``auto`` (if that is cheaper), ``never``, ``always``.
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
        for name in ("freshness", "terminal_freshness", "queued_interval", "min_interval", "request_timeout"):
            _seconds(f"WatchPolicy.{name}", getattr(self, name))
        checks.fraction("WatchPolicy.jitter", self.jitter, error=SettingsError)
        _number("WatchPolicy.max_rps", self.max_rps, below=1e6)
        _whole("WatchPolicy.burst", self.burst)
        _whole("WatchPolicy.max_in_flight", self.max_in_flight)
        checks.one_of("WatchPolicy.coalesce", self.coalesce, "auto", "never", "always", error=SettingsError)

    def while_somebody_watches(self, jobs: int) -> WatchPolicy:
        """Return how often to look at so many jobs while somebody sits before the screen: a few of them, every 2.5 s.

        Otherwise a job that has waited in a queue for a while is looked at less and less often.
        """
        if not 0 < jobs <= _FEW:
            return self
        return attrs.evolve(
            self,
            freshness=min(self.freshness, _WATCHED),
            terminal_freshness=min(self.terminal_freshness, _WATCHED),
            queued_interval=min(self.queued_interval, _WATCHED),
        )


_FEW: Final = 4
"""How many jobs somebody watches closely."""
_WATCHED: Final = 2.5
