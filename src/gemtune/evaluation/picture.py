"""What a person sees of an evaluation: one value, which text, notebook and terminal draw.

Nothing is asked and nothing is counted here: whoever makes the picture has compared the models already, so that all
that draw it agree on every figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from gemtune.evaluation.values import ChangedRows, EvaluatedModel
from gemtune.metrics.values import Comparison, Metric


@attrs.frozen(kw_only=True, eq=False)
class EvaluationPicture:
    """Models beside each other.

    Args:
        models: The models, the baseline included.
        metrics: By what they are compared.
        rows: How many held-out rows there are.
        baseline: The label of the model with which the others are compared.
        comparisons: Each of the others beside the baseline, by metric.
        changed: The rows that changed between each of the others and the baseline, by metric.
        currency: Of the costs.
        judges: What each judge was asked and has cost.
    """

    models: Sequence[EvaluatedModel] = ()
    metrics: Sequence[Metric] = ()
    rows: int = 0
    baseline: str = ""
    comparisons: Sequence[Comparison] = ()
    changed: Sequence[ChangedRows] = ()
    currency: str = ""
    judges: Sequence[EvaluatedModel] = ()

    def metric(self, name: str) -> Metric | None:
        """Return the metric of a name; None if there is none."""
        return next((metric for metric in self.metrics if metric.name == name), None)
