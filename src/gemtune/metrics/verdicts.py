"""What a judge's reply says, and what two of them come to.

The judge sees each pair twice, in both orders. A win is what it says both times; whoever wins only in one place has won
by the place, and that is a tie.

=====================  =====================  ==================================
first, model as A      second, model as B     comes to
=====================  =====================  ==================================
A                      B                      win
B                      A                      loss
tie                    tie                    tie
any other two                                 tie, counted as position bias
a reply is unreadable or missing              no verdict, counted as unreadable
=====================  =====================  ==================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune.metrics.normal import Normalization
from gemtune.metrics.paired import sign_test
from gemtune.metrics.statistics import score_of
from gemtune.metrics.values import Score

Verdict: TypeAlias = Literal["A", "B", "tie"]
"""What one reply of a judge says."""
Result: TypeAlias = Literal["win", "tie", "loss"]
"""What a pair comes to for the model that is compared with the baseline."""

_PLAIN: Final = Normalization()
_WORDS: Final[dict[str, Verdict]] = {
    **dict.fromkeys(("a", "answer a", "answer_a", "assistant a", "response a"), "A"),
    **dict.fromkeys(("b", "answer b", "answer_b", "assistant b", "response b"), "B"),
    **dict.fromkeys(("tie", "c", "draw", "equal", "same", "both", "neither"), "tie"),
}
_FIELDS: Final = ("verdict", "winner", "better", "choice", "preferred", "answer")
_BRACKETS: Final = re.compile(r"\[\[([^\[\]]{1,40})\]\]")
# Before a word a small a is an article: "the verdict is a tie", "the winner is a matter of taste".
_SAID: Final = re.compile(
    r"\b(?:verdict|winner)\b[\s\"'*]*(?::|\bis\b)[\s\"'*]*"
    r"(?:a )?(answer [ab]\b|tie\b|draw\b|(?-i:[AB])\b(?! (?:tie|draw)\b)|[ab]\b(?!\s+\w))",
    re.IGNORECASE,
)
_PROSE: Final = re.compile(
    r"\b(?:answer|response|assistant) ([ab]) is (?:(?:clearly|much|slightly|the) )*(?:better|best|winner)\b",
    re.IGNORECASE,
)


def read_verdict(reply: str | None) -> Verdict | None:
    """Return what a judge's reply says: ``A``, ``B`` or ``tie``; None if that cannot be read.

    JSON with a field ``verdict`` is read wherever it stands in the reply, and so are the bare word, ``[[A]]``,
    ``Verdict: A`` and ``Answer A is better``. A reply that says two things says none.

    Example:
        >>> read_verdict('```json\\n{"reason": "A is wrong.", "verdict": "B"}\\n```')
        'B'
        >>> read_verdict("[[A]]"), read_verdict("Both have their merits.")
        ('A', None)
    """
    if not reply:
        return None
    if (word := _WORDS.get(_PLAIN(reply))) is not None:
        return word
    for found in (_in_json(reply), _BRACKETS.findall(reply), _SAID.findall(reply), _PROSE.findall(reply)):
        said = {_WORDS.get(_PLAIN(each)) for each in found}
        if said:
            return said.pop() if len(said) == 1 else None
    return None


def _in_json(reply: str) -> list[str]:
    """Return the verdicts of the JSON objects in a reply."""
    found, decoder, at = [], json.JSONDecoder(), reply.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(reply, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            said = _field(value)
            found += [] if said is None else [said]
        at = reply.find("{", end)
    return found


def _field(value: Any) -> str | None:
    named = {str(key).lower(): held for key, held in value.items()}
    return next((str(named[name]) for name in _FIELDS if name in named), None)


@attrs.frozen
class PairVerdict:
    """What a judge makes of a model's answer beside the baseline's.

    Args:
        first: What it said with the model's answer as A; None if that could not be read.
        second: What it said with the model's answer as B.
    """

    first: Verdict | None
    second: Verdict | None

    @classmethod
    def read(cls, first: str | None, second: str | None) -> PairVerdict:
        """Return what two replies come to; None stands for a reply that could not be had."""
        return cls(read_verdict(first), read_verdict(second))

    @property
    def result(self) -> Result | None:
        """The model's win, tie or loss; None without two readable verdicts."""
        if self.first is None or self.second is None:
            return None
        return {("A", "B"): "win", ("B", "A"): "loss"}.get((self.first, self.second), "tie")  # type: ignore[return-value]

    @property
    def biased(self) -> bool:
        """Whether the order of the answers has changed the verdict."""
        agreed = {("A", "B"), ("B", "A"), ("tie", "tie")}
        return self.result is not None and (self.first, self.second) not in agreed

    @property
    def score(self) -> float | None:
        """1 for a win, 0.5 for a tie, 0 for a loss; None without a verdict."""
        return None if self.result is None else {"win": 1.0, "tie": 0.5, "loss": 0.0}[self.result]


@attrs.frozen(kw_only=True)
class JudgeReport:
    """How often a model wins against the baseline by a judge.

    Args:
        wins: Rows that it wins in both orders.
        ties: Rows that neither wins.
        losses: Rows that the baseline wins in both orders.
        biased: How many of the ties are verdicts that changed with the order of the answers.
        unreadable: Rows without a verdict, because a reply could not be read or had.
        rate: The share of wins, half of the ties included, with its 95 % interval (Tango).
        p: The p-value of the sign test on wins and losses, which ties say nothing about.
    """

    wins: int
    ties: int
    losses: int
    biased: int
    unreadable: int
    rate: Score
    p: float

    @property
    def rows(self) -> int:
        """Rows with a verdict."""
        return self.wins + self.ties + self.losses

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return attrs.asdict(self)


def judged(verdicts: Iterable[PairVerdict]) -> JudgeReport:
    """Return what the verdicts on all rows come to.

    Example:
        >>> report = judged([PairVerdict("A", "B")] * 9 + [PairVerdict("A", "A")] * 2 + [PairVerdict("B", "A")])
        >>> report.wins, report.ties, report.losses, report.biased, f"{report.rate.value:.2f}", f"{report.p:.3f}"
        (9, 2, 1, 2, '0.83', '0.021')
    """
    all_of_them = [*verdicts]
    results = [each.result for each in all_of_them]
    wins, losses = results.count("win"), results.count("loss")
    return JudgeReport(
        wins=wins,
        ties=results.count("tie"),
        losses=losses,
        biased=sum(each.biased for each in all_of_them),
        unreadable=results.count(None),
        rate=score_of([each.score for each in all_of_them], "wins"),
        p=sign_test(wins, losses),
    )
