"""The keyword arguments of ``client.sweep``, which explains them; loaded with every client."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gemtune.datasets.accepted import TrainingDataLike
from gemtune.resources.drafts import SharedOptions
from gemtune.types import Hyperparameters

if TYPE_CHECKING:
    from gemtune.datasets.review.estimate import PriceList
    from gemtune.metrics.named import MetricsLike
    from gemtune.sweep.chooser import StopRule


class SweepOptions(SharedOptions, total=False):
    """The keyword arguments of ``client.sweep``; those of ``client.tune`` hold for all points."""

    space: Mapping[str, Any] | Sequence[Mapping[str, float | int] | Hyperparameters] | None
    study: Any
    validation: float | TrainingDataLike | None
    max_jobs: int | None
    concurrency: int | None
    stop: str | StopRule | Sequence[str | StopRule] | None
    metrics: MetricsLike | None
    objective: str | None
    budget: float | None
    token_budget: float | None
    prices: float | Mapping[str, float] | PriceList | str | os.PathLike[str] | None
    journal: str | os.PathLike[str] | None
    seed: int
    title: str | None
    method: Literal["supervised", "preference"]
