"""How answers are scored: metrics, their confidence intervals and paired tests. Pure functions; nothing waits."""

from __future__ import annotations

from gemtune.metrics.report import LabelReport as LabelReport
from gemtune.metrics.report import LabelScore as LabelScore
from gemtune.metrics.values import Comparison as Comparison
from gemtune.metrics.values import HeldOutRow as HeldOutRow
from gemtune.metrics.values import Metric as Metric
from gemtune.metrics.values import Score as Score

__all__ = ("Comparison", "HeldOutRow", "LabelReport", "LabelScore", "Metric", "Score")
