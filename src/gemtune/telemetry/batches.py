"""Batches: a short span where a run begins and one where it ends, and a link to the first from each of its requests.

A run may take a day and send a million requests. As children of one span they would be one trace that no tool can
show; so each request is a span of its own, below whatever span was current where the batch was entered, and its link
says which run it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import anyio
import attrs
from opentelemetry.trace import Link, SpanContext, Tracer
from opentelemetry.util.types import AttributeValue

from gemtune.telemetry import names
from gemtune.telemetry.calls import ITEM, BatchItem, error_type
from gemtune.telemetry.guard import harmless
from gemtune.telemetry.instruments import Instruments, Row


class RunCounts(Protocol):
    """What a run counts."""

    began: float
    done: int
    failed: int
    skipped: int
    in_flight: int
    parked: int


@attrs.define(eq=False)
class BatchSpan:
    """One run of a batch.

    Args:
        tracer: Makes the spans.
        instruments: Count the items.
        base: The attributes that all of it has.
        counts: What the run counts.
    """

    tracer: Tracer
    instruments: Instruments
    base: dict[str, str]
    counts: RunCounts
    _start: SpanContext = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        model = self.base[names.REQUEST_MODEL]
        facts = {names.OPERATION: names.START_BATCH, **self.base}
        span = self.tracer.start_span(f"{names.START_BATCH} {model}", attributes=facts)
        span.end()
        self._start = span.get_span_context()
        self.instruments.follow(self)

    def asks(self, index: int, attempt: int) -> None:
        """Take in which item the next call of this task is about."""
        ITEM.set(BatchItem(self._start, index, attempt))

    @harmless
    def finished(self, error: Exception | None) -> None:
        """Count an item with an outcome."""
        facts = {**self.base, names.BATCH_OUTCOME: "done" if error is None else "failed"}
        if error is not None:
            facts[names.ERROR] = error_type(error)
        self.instruments.items.add(1, facts)

    @harmless
    def ended(self, error: BaseException | None) -> None:
        """Take in the end of the run."""
        self.instruments.forget(self)
        counts = self.counts
        facts: dict[str, AttributeValue] = {
            names.OPERATION: names.FINISH_BATCH,
            **self.base,
            names.BATCH_DONE: counts.done,
            names.BATCH_FAILED: counts.failed,
            names.BATCH_SKIPPED: counts.skipped,
            names.BATCH_SECONDS: max(anyio.current_time() - counts.began, 0.0),
        }
        if error is not None:
            facts[names.ERROR] = error_type(error)
        name = f"{names.FINISH_BATCH} {self.base[names.REQUEST_MODEL]}"
        self.tracer.start_span(name, attributes=facts, links=[Link(self._start)]).end()

    def rows(self) -> Iterator[Row]:
        """Yield what is under way."""
        yield names.BATCH_IN_FLIGHT, self.counts.in_flight, self.base
        yield names.BATCH_PARKED, self.counts.parked, self.base
