"""Spans and metrics of one test, as OpenTelemetry's SDK collects them in memory."""

from __future__ import annotations

from typing import Any

import attrs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gemtune.telemetry import Telemetry


@attrs.define
class Collected:
    """What a client exports.

    Args:
        traces: Makes the spans.
        meters: Makes the metrics.
    """

    traces: TracerProvider
    meters: MeterProvider
    _spans: InMemorySpanExporter
    _metrics: InMemoryMetricReader

    @classmethod
    def make(cls) -> Collected:
        spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
        traces = TracerProvider()
        traces.add_span_processor(SimpleSpanProcessor(spans))
        return cls(traces, MeterProvider([metrics]), spans, metrics)

    def telemetry(self, **options: Any) -> Telemetry:
        return Telemetry(tracer_provider=self.traces, meter_provider=self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self._spans.get_finished_spans())

    def named(self, word: str) -> list[ReadableSpan]:
        """The spans whose name begins with a word."""
        return [span for span in self.spans if span.name.split()[0] == word]

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The attributes and the value of each point, by metric; a histogram's value is (count, sum)."""
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        data = self._metrics.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    rows = found.setdefault(metric.name, [])
                    for point in metric.data.data_points:
                        value = point.value if hasattr(point, "value") else (point.count, point.sum)
                        rows.append((dict(point.attributes or {}), value))
        return found

    def everything(self) -> str:
        """All that was exported, as one text to look for secrets in."""
        data = self._metrics.get_metrics_data()
        return "".join(span.to_json() for span in self.spans) + (data.to_json() if data is not None else "")
