"""How answers are scored: metrics, their confidence intervals and paired tests. Pure functions; nothing waits.

A metric is a value (``values.py``) that a function here makes, with its options as arguments. Which differences in
spelling count is said once (``normal.py``). What a model's scores come to, and whether another's are better, is
``statistics.py``, on top of the intervals and the tests. Nothing here asks a model: what a judge is asked and how its
reply is read is text as well (``judging.py``), and an evaluation carries it out.
"""

from __future__ import annotations

from gemtune.metrics.judging import Judge as Judge
from gemtune.metrics.judging import judge as judge
from gemtune.metrics.labelling import labels as labels
from gemtune.metrics.matching import contains as contains
from gemtune.metrics.matching import exact_match as exact_match
from gemtune.metrics.named import MetricLike as MetricLike
from gemtune.metrics.named import MetricsLike as MetricsLike
from gemtune.metrics.named import resolve as resolve
from gemtune.metrics.normal import Normalization as Normalization
from gemtune.metrics.numeric import number as number
from gemtune.metrics.numeric import numbers_in as numbers_in
from gemtune.metrics.report import LabelReport as LabelReport
from gemtune.metrics.report import LabelScore as LabelScore
from gemtune.metrics.similar import similarity as similarity
from gemtune.metrics.statistics import as_score as as_score
from gemtune.metrics.statistics import compare as compare
from gemtune.metrics.statistics import score_of as score_of
from gemtune.metrics.structure import json_equal as json_equal
from gemtune.metrics.values import Comparison as Comparison
from gemtune.metrics.values import HeldOutRow as HeldOutRow
from gemtune.metrics.values import Metric as Metric
from gemtune.metrics.values import Score as Score
from gemtune.metrics.verdicts import JudgeReport as JudgeReport
from gemtune.metrics.verdicts import PairVerdict as PairVerdict
from gemtune.metrics.verdicts import judged as judged
from gemtune.metrics.verdicts import read_verdict as read_verdict

__all__ = (
    "Comparison", "HeldOutRow", "Judge", "JudgeReport", "LabelReport", "LabelScore", "Metric", "MetricLike",
    "MetricsLike", "Normalization", "PairVerdict", "Score", "as_score", "compare", "contains", "exact_match",
    "json_equal", "judge", "judged", "labels", "number", "numbers_in", "read_verdict", "resolve", "score_of",
    "similarity",
)  # fmt: skip
