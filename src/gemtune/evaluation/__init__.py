"""Models beside each other on rows that they have not seen: ``client.evaluate``.

It stands on the batch: every model is asked through ``client.batch``, and so is a judge. What an answer is worth is the
business of ``gemtune.metrics``, which knows no service.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gemtune.evaluation.picture import EvaluationPicture as EvaluationPicture
    from gemtune.evaluation.result import Evaluation as Evaluation
    from gemtune.evaluation.shown import LiveProgress as LiveProgress
    from gemtune.evaluation.values import ChangedRows as ChangedRows
    from gemtune.evaluation.values import EvaluatedModel as EvaluatedModel
    from gemtune.evaluation.values import EvaluatedRow as EvaluatedRow
    from gemtune.evaluation.values import EvaluationProgress as EvaluationProgress
    from gemtune.evaluation.values import ModelAnswer as ModelAnswer

_HOMES: Final = {
    "ChangedRows": "values",
    "EvaluatedModel": "values",
    "EvaluatedRow": "values",
    "Evaluation": "result",
    "EvaluationPicture": "picture",
    "EvaluationProgress": "values",
    "LiveProgress": "shown",
    "ModelAnswer": "values",
}
"""Where each name is defined; it is loaded on its first use, as every client looks in here."""

__all__ = sorted(_HOMES)  # noqa: PLE0605 - checkers read the imports above


if not TYPE_CHECKING:  # or a checker would believe every misspelled name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gemtune.evaluation' has no attribute {name!r}")
        return getattr(importlib.import_module(f"gemtune.evaluation.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
