"""What was measured at one step of a job, however it came here: from a handle's snapshots or from an event."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

import attrs

from gemtune import events
from gemtune.events import Event
from gemtune.types.training import Measured
from gemtune.types.tuning import TuningSnapshot

TAGS: Final[Mapping[str, str]] = {
    "mean_loss": "loss/train",
    "eval_loss": "loss/eval",
    "accuracy": "accuracy/train",
    "eval_accuracy": "accuracy/eval",
}
"""What each value is called in a tracker of runs."""
COLUMNS: Final = ("job", "step", "epoch", *TAGS, "compute_time")
"""The columns of a table."""


@attrs.frozen(kw_only=True)
class StepMeasures:
    """The values of one step.

    Args:
        job: The job's name.
        step: The step, from 1.
        epoch: How often all of the data had been gone through after it.
        values: What was measured, by the name of ``Snapshot``'s attribute; what the service has not said is left out.
        computed: When the service computed it, in seconds since 1970; None if it has not said.
    """

    job: str
    step: int
    epoch: int
    values: Mapping[str, float]
    computed: float | None

    @classmethod
    def of(cls, job: str, snapshot: TuningSnapshot | events.Snapshot | events.SnapshotUpdated) -> StepMeasures:
        """Return what a snapshot, or an event about one, says."""
        time = snapshot.compute_time
        return cls(
            job=job,
            step=snapshot.step,
            epoch=snapshot.epoch,
            values=dict(_values(snapshot, snapshot.mean_loss)),
            computed=None if time is None else time.timestamp(),
        )

    def to_dict(self) -> dict[str, object]:
        """Return it as a row of a table."""
        when = None if self.computed is None else datetime.fromtimestamp(self.computed, UTC).isoformat()
        return {
            "job": self.job,
            "step": self.step,
            "epoch": self.epoch,
            **{name: self.values.get(name) for name in TAGS},
            "compute_time": when,
        }


def _values(snapshot: Measured, mean_loss: float) -> Iterator[tuple[str, float]]:
    said = {"mean_loss": mean_loss} | {name: getattr(snapshot, name) for name in TAGS if name != "mean_loss"}
    return ((name, value) for name, value in said.items() if value is not None and math.isfinite(value))


def measured(event: Event) -> dict[str, float]:
    """Return what an event says of a step as a tracker of runs names it: ``{"loss/train": 0.83}``; empty if nothing.

    Args:
        event: Any event; only ``Snapshot`` and ``SnapshotUpdated`` say something.
    """
    if not isinstance(event, events.Snapshot | events.SnapshotUpdated):
        return {}
    return {TAGS[name]: value for name, value in StepMeasures.of(event.job, event).values.items()}
