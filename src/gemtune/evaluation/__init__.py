"""Models beside each other on rows that they have not seen: ``client.evaluate``.

It stands on the batch: every model is asked through ``client.batch``, and so is a judge. What an answer is worth is the
business of ``gemtune.metrics``, which knows no service.
"""

from __future__ import annotations

from gemtune.evaluation.picture import EvaluationPicture as EvaluationPicture
from gemtune.evaluation.shown import LiveProgress as LiveProgress
from gemtune.evaluation.values import ChangedRows as ChangedRows
from gemtune.evaluation.values import EvaluatedModel as EvaluatedModel
from gemtune.evaluation.values import EvaluatedRow as EvaluatedRow
from gemtune.evaluation.values import EvaluationProgress as EvaluationProgress
from gemtune.evaluation.values import ModelAnswer as ModelAnswer

__all__ = (
    "ChangedRows",
    "EvaluatedModel",
    "EvaluatedRow",
    "EvaluationPicture",
    "EvaluationProgress",
    "LiveProgress",
    "ModelAnswer",
)
