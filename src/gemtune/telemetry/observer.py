"""Who observes one client: its calls, its jobs and its batches, with one tracer and one set of instruments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import attrs
from opentelemetry import metrics, trace
from opentelemetry.trace import Tracer

from gemtune._version import __version__
from gemtune.events import Event
from gemtune.protocol.call import Call
from gemtune.protocol.hosts import Routes
from gemtune.protocol.names import is_batch_name
from gemtune.story.history import History
from gemtune.telemetry import names
from gemtune.telemetry.batches import BatchSpan, RunCounts
from gemtune.telemetry.calls import CallSpan, CallTracer
from gemtune.telemetry.guard import harmless
from gemtune.telemetry.instruments import Instruments, instruments_of
from gemtune.telemetry.jobs import JobLedger
from gemtune.telemetry.options import Telemetry


@attrs.define(eq=False)
class Observatory:
    """Observes one client.

    Args:
        tracer: Makes the spans.
        instruments: Count.
        provider: Which service it is.
        live: Whether somebody is known to collect.
    """

    tracer: Tracer
    instruments: Instruments
    provider: str
    live: bool
    _calls: CallTracer = attrs.field(init=False)
    _jobs: JobLedger = attrs.field(init=False)

    @classmethod
    def of(cls, chosen: Telemetry, content: bool, latest: bool, provider: str, routes: Routes) -> Self:
        """Return who observes a client with these settings."""
        tracer = trace.get_tracer(names.SCOPE, __version__, chosen.tracer_provider)
        instruments = instruments_of(chosen.meter_provider, latest)
        given = chosen.tracer_provider is not None or chosen.meter_provider is not None
        self = cls(tracer, instruments, provider, given)
        self._jobs = JobLedger(tracer, instruments, provider)
        self._calls = CallTracer(tracer, instruments, provider, routes.to, content, self._jobs.created, self._is_live)
        return self

    def begun(self, call: Call[Any]) -> CallSpan | None:
        """Return the span of a call that begins now; None if nobody collects it."""
        return self._calls.begun(call)

    def saw(self, history: History, reported: Sequence[Event]) -> None:
        """Take in what a look has shown of a job; batches have no steps, and what is said of jobs is called tuning."""
        if self._is_live() and not is_batch_name(history.name):
            self._jobs.saw(history, reported)

    @harmless
    def batch(self, model: str, counts: RunCounts) -> BatchSpan | None:
        """Return the span of a batch that begins now; None if nobody collects it."""
        if not self._is_live():
            return None
        base = {names.PROVIDER: self.provider, names.REQUEST_MODEL: names.plain_model(model)}
        return BatchSpan(self.tracer, self.instruments, base, counts)

    def _is_live(self) -> bool:
        """Return whether anybody collects: an SDK may be set up after the client was made, and is never taken back."""
        if not self.live:
            self.live = _real(trace.get_tracer_provider()) or _real(metrics.get_meter_provider())
        return self.live


def _real(provider: object) -> bool:
    # What the API itself brings stands for an SDK that is not there.
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
