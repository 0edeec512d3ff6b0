"""What goes wrong while answers are scored."""

from __future__ import annotations

from typing import Any

from gemtune.errors.root import GemtuneError


class MetricFailed(GemtuneError):
    """A metric raised, or returned no number, for an answer.

    ``metric``, ``label`` and ``key`` say which metric, and of which model and row the answer is. ``evaluation`` holds
    every answer, and the scores of the metrics before it: correct the function, and ``await
    error.evaluation.score(metrics)``. It does not survive pickling.
    """

    metric: str = ""
    label: str = ""
    key: str | int | None = None
    evaluation: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        # It may hold functions, and data of any kind.
        kept = {name: value for name, value in self.__dict__.items() if name != "evaluation"}
        return type(self), self.args, kept
