"""The metric instruments, once for each meter provider: a second set of the same names would be counted beside them.

What changes with each call is a counter or a histogram. What somebody holds anyway, the state and loss of each job and
the requests of a batch in flight, is read when metrics are collected and costs nothing in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary, WeakSet

import attrs
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, MeterProvider, Observation

from gemtune._version import __version__
from gemtune.telemetry import names

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
Row: TypeAlias = tuple[str, float, Attributes]
"""A metric's name, a value and its attributes."""


class Ledger(Protocol):
    """Somebody who can say at any time how things are."""

    def rows(self) -> Iterator[Row]:
        """Yield what is to be exported now; called by any thread."""
        ...


@attrs.define(eq=False)
class Instruments:
    """What calls, jobs and batches are counted with.

    Args:
        meter: Makes the instruments.
        latest: Whether the newer names are used.
    """

    meter: Meter
    latest: bool
    inference: Histogram = attrs.field(init=False)
    other: Histogram = attrs.field(init=False)
    """Seconds of what is no inference; the older names make no difference."""
    retries: Counter = attrs.field(init=False)
    throttles: Counter = attrs.field(init=False)
    items: Counter = attrs.field(init=False)
    job_duration: Histogram = attrs.field(init=False)
    _ledgers: WeakSet[Ledger] = attrs.field(factory=WeakSet, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False)
    """Metrics are collected by a thread of their own, and a batch that nobody holds any more may end in any."""
    _usage: Histogram | None = attrs.field(default=None, init=False)
    _used: dict[str, Counter] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        meter = self.meter
        self.inference = self._seconds(names.INFERENCE_DURATION if self.latest else names.OPERATION_DURATION)
        self.other = self._seconds(names.CALL_DURATION) if self.latest else self.inference
        if self.latest:
            for name in (names.USED_INPUT, names.USED_OUTPUT, names.USED_CACHED, names.USED_REASONING):
                self._used[name] = meter.create_counter(name, "{token}", "Tokens used")
        else:
            self._usage = meter.create_histogram(
                names.TOKEN_USAGE,
                "{token}",
                "Tokens of a call",
                explicit_bucket_boundaries_advisory=[float(bound) for bound in names.TOKEN_BUCKETS],
            )
        self.retries = meter.create_counter(names.RETRIES, "{attempt}", "Attempts that were followed by another")
        self.throttles = meter.create_counter(names.THROTTLES, "{attempt}", "Attempts that the service answered 429")
        self.items = meter.create_counter(names.BATCH_ITEMS, "{item}", "Items of batches with an outcome")
        self.job_duration = meter.create_histogram(
            names.TUNING_DURATION,
            "s",
            "Seconds from the creation of a tuning job to its end",
            explicit_bucket_boundaries_advisory=[float(bound) for bound in names.JOB_BUCKETS],
        )
        for name, unit, what in _OBSERVED:
            make = meter.create_observable_up_down_counter if unit == "{request}" else meter.create_observable_gauge
            make(name, [self._reader(name)], unit, what)

    def follow(self, ledger: Ledger) -> None:
        """Export what a ledger says, for as long as somebody else holds it."""
        with self._lock:
            self._ledgers.add(ledger)

    def forget(self, ledger: Ledger) -> None:
        """Export no more of a ledger."""
        with self._lock:
            self._ledgers.discard(ledger)

    def _followed(self) -> list[Ledger]:
        with self._lock:
            return list(self._ledgers)

    def _seconds(self, name: str) -> Histogram:
        what, bounds = "Seconds of a call with all its attempts", names.DURATION_BUCKETS
        return self.meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=bounds)

    def _reader(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(value, attributes)
                for ledger in self._followed()
                for row, value, attributes in list(ledger.rows())
                if row == name
            ]

        return read

    def tokens(self, base: Attributes, *, prompt: int, output: int, thoughts: int, cached: int, kinds: Kinds) -> None:
        """Count the tokens of one call.

        Args:
            base: The call's attributes.
            prompt: Tokens of the prompt, the cached ones included.
            output: Tokens of the answers, the thoughts included.
            thoughts: Those of the thoughts alone.
            cached: Those of the prompt that came from a cache.
            kinds: The tokens by modality, of the prompt and of the answers, if the service has said so.
        """
        if self._usage is not None:
            self._usage.record(prompt, {**base, names.TOKEN_TYPE: "input"})
            self._usage.record(output, {**base, names.TOKEN_TYPE: "output"})
            return
        # The convention counts failed calls as well, with 0, so that its sums have an entry for each model.
        for name, whole, parts in ((names.USED_INPUT, prompt, kinds[0]), (names.USED_OUTPUT, output, kinds[1])):
            rest = whole - sum(parts.values())
            for modality, count in parts.items():
                self._used[name].add(count, {**base, names.MODALITY: modality})
            if rest > 0 or not parts:
                self._used[name].add(max(rest, 0), {**base, names.MODALITY: "unknown"})
        for name, count in ((names.USED_CACHED, cached), (names.USED_REASONING, thoughts)):
            if count:
                self._used[name].add(count, {**base, names.MODALITY: "unknown"})


Kinds: TypeAlias = tuple[Mapping[str, int], Mapping[str, int]]

_OBSERVED: Final = (
    (names.TUNING_STATE, "1", "1 for the state that a tuning job is in"),
    (names.TUNING_LOSS, "1", "The mean loss of a tuning job's last step"),
    (names.TUNING_STEP, "{step}", "Steps that a tuning job has done"),
    (names.BATCH_IN_FLIGHT, "{request}", "Requests of batches under way"),
    (names.BATCH_PARKED, "{request}", "Items of batches that wait for the end of an outage or a push-back"),
)

_shared: dict[bool, Instruments] = {}
_of_provider: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()


def instruments_of(provider: MeterProvider | None, latest: bool) -> Instruments:
    """Return the instruments of a meter provider; None is the program's own, even if it is set later."""
    known = _shared.get(latest) if provider is None else _of_provider.get(provider)
    if known is None:
        known = Instruments(metrics.get_meter(names.SCOPE, __version__, provider), latest)
        if provider is None:
            _shared[latest] = known
        else:
            _of_provider[provider] = known
    return known
