"""A judge's pairs: which questions it is asked about the answers, and which verdict belongs to which row.

A question is known by its content: to the batch, to its journal, and between models. So an answer that has changed is a
new question, a judge with other criteria asks anew and loses nothing, and what two models answer in the same words is
asked once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from gemtune.evaluation.asking import Inquiry
from gemtune.evaluation.values import EvaluatedRow
from gemtune.metrics.judging import Judge
from gemtune.metrics.verdicts import PairVerdict
from gemtune.protocol.codec import dumps

Verdicts = Mapping[str, Sequence["PairVerdict | None"]]
"""By the model's label, in the order of the rows; None for a row without two answers."""

BASELINE: Final = 0.5
"""The score of the baseline, which ties with itself."""


@attrs.define(eq=False)
class Hearing:
    """Everything that one judge has to say.

    Args:
        judge: The judge.
        verdicts: What is known without asking, and later all of them.
        questions: What it is asked, by what stands for the content.
        pairs: For whom: the model's label, the place of the row, and both questions.
    """

    judge: Judge
    verdicts: dict[str, list[PairVerdict | None]]
    questions: dict[str | int, object] = attrs.field(factory=dict)
    pairs: list[tuple[str, int, str, str]] = attrs.field(factory=list)

    def settle(self, inquiry: Inquiry) -> None:
        """Take in what the judge has replied."""
        replies = {
            key: answer.text if answer is not None else None
            for (key, _), answer in zip(inquiry.inputs, inquiry.answers, strict=True)
        }
        for label, place, first, second in self.pairs:
            self.verdicts[label][place] = PairVerdict.read(replies[first], replies[second])


def hearing_of(judge: Judge, rows: Sequence[EvaluatedRow], labels: Sequence[str], baseline: str) -> Hearing:
    """Return what a judge is asked about the answers of some models, each beside the baseline's.

    Args:
        judge: The judge.
        rows: All rows with their answers.
        labels: The models.
        baseline: The label of the baseline.
    """
    hearing = Hearing(judge, {label: [None] * len(rows) for label in labels if label != baseline})
    for label, verdicts in hearing.verdicts.items():
        for place, row in enumerate(rows):
            ours, theirs = row.answers[label].text, row.answers[baseline].text
            if ours is None or theirs is None:
                continue
            verdicts[place] = judge.settled(ours, theirs)
            if verdicts[place] is None:
                keys = [_asked(hearing, row, request) for request in judge.requests(row.row, ours, theirs)]
                hearing.pairs.append((label, place, keys[0], keys[1]))
    return hearing


def scores_of(verdicts: Verdicts, rows: Sequence[EvaluatedRow], baseline: str) -> dict[str, list[float | None]]:
    """Return the scores that verdicts are, those of the baseline included."""
    own = [None if row.answers[baseline].text is None else BASELINE for row in rows]
    others = {label: [None if each is None else each.score for each in column] for label, column in verdicts.items()}
    return {baseline: own, **others}


def _asked(hearing: Hearing, row: EvaluatedRow, request: Mapping[str, Any]) -> str:
    content = hashlib.blake2b(dumps(request), digest_size=8).hexdigest()
    key = f"{row.row.key} {content}"
    hearing.questions.setdefault(key, request)
    return key
