"""Values as plain JSON, the way events show them: short, and meant for logs, browsers and other programs.

Not the way in which they travel to and from the service, which ``protocol.codec`` knows.
"""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime
from typing import Final

from gemtune.types.batches import BatchCounts, GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.timestamp import Timestamp
from gemtune.types.training import Checkpoint
from gemtune.types.tuning import TunedModel


def plain(value: object) -> object:
    """Return a value as JSON: enums as words, times as RFC 3339, a model or a batch as its name and dates."""
    match value:
        case enum.Enum():
            return str(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")
        case Timestamp():
            return str(value)
        case datetime():
            return str(Timestamp.of(value.astimezone(UTC)))
        case Status(code=code, message=message):
            return {"code": code, "message": message}
        case TunedModel() | GenerateContentBatch():
            facts = _of_model(value) if isinstance(value, TunedModel) else _of_batch(value)
            return {name: plain(fact) for name, fact in facts.items() if fact is not None}
        case Checkpoint() | BatchCounts():
            return value.to_dict()
    raise TypeError(f"an event holds no {type(value).__name__}")


# The proto3 JSON mapping writes them so; JSON itself has no such numbers.
_NOT_FINITE: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def _of_model(model: TunedModel) -> dict[str, object]:
    task = model.tuning_task
    return {
        "name": model.name,
        "display_name": model.display_name,
        "base_model": model.base_model,
        "state": model.state,
        "create_time": model.create_time,
        "update_time": model.update_time,
        "complete_time": task.complete_time if task is not None else None,
    }


def _of_batch(batch: GenerateContentBatch) -> dict[str, object]:
    """Return a batch without its replies: in JSON they would be as long as the results themselves."""
    return {
        "name": batch.name,
        "display_name": batch.display_name,
        "model": batch.model,
        "state": batch.state,
        "service_state": batch.service_state,
        "counts": batch.counts,
        "create_time": batch.create_time,
        "start_time": batch.start_time,
        "update_time": batch.update_time,
        "end_time": batch.end_time,
        "input": batch.input,
        "output": batch.output,
        "error": batch.error,
    }
