"""What the evaluations of a sweep cost: every model that was trained is asked all validation rows, and the base model.

Nobody knows beforehand how long answers are. A tuned model has learned from answers like the expected ones, so that its
own are taken to have up to four times as many tokens, and at least 16 each; a base model explains itself, and a judge
thinks: at least 250 each. The tokens of texts are guessed from characters as everywhere. Where that is still too low,
the limit holds all the same: no evaluation is given more money than is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from gemtune.datasets.review.estimate import PriceList
from gemtune.datasets.review.tokens import Characters, Interval, weigh
from gemtune.metrics.judging import Judge
from gemtune.metrics.values import Metric
from gemtune.money import MILLION
from gemtune.protocol.codec import dumps

ANSWER_TIMES: Final = 4
"""How many times the tokens of the expected answer an answer has at most, as far as an estimate goes."""
LEAST_TUNED: Final = 16.0
LEAST_BASE: Final = 250.0
_FILE: Final = 258.0
"""Tokens of a picture, the least that the services say (2026-11)."""
_NOTHING: Final = Interval(0.0, 0.0, 0.0)


@attrs.frozen(kw_only=True)
class QuestionWeight:
    """What the validation rows weigh, asked once.

    Args:
        rows: How many there are.
        asked: The tokens of all prompts.
        expected: The tokens of all expected answers.
    """

    rows: int = 0
    asked: Interval = _NOTHING
    expected: Interval = _NOTHING

    @classmethod
    def of(cls, examples: Iterable[Mapping[str, Any]]) -> QuestionWeight:
        """Return that of examples in Vertex AI's form; the last turn, or the longer answer, is the expected one."""
        rows, files, asked, expected = 0, 0, Characters(), Characters()
        for example in examples:
            turns = list(example["contents"])
            answers = [[each["completion"]] for each in example.get("completions") or ()]
            if not answers:
                *turns, last = turns
                answers = [[last]]
            weight = weigh({**example, "contents": turns, "completions": ()})
            asked += weight.asked + weight.answered
            if example.get("tools"):
                asked += Characters.of(dumps(example["tools"]).decode())
            expected += max((_characters(each) for each in answers), key=lambda said: said.count)
            rows, files = rows + 1, files + weight.files
        pictures = Interval(files * _FILE, files * _FILE, files * _FILE)
        return cls(rows=rows, asked=asked.tokens() + pictures, expected=expected.tokens())

    def answers(self, least: float) -> Interval:
        """Return the tokens of a model's answers to all rows.

        Args:
            least: How many each has at least, in the highest estimate.
        """
        high = max(self.expected.high * ANSWER_TIMES, least * self.rows)
        return Interval(self.expected.low, min(self.expected.value, high), high)


def _characters(turns: Sequence[Any]) -> Characters:
    weight = weigh({"contents": turns})
    return weight.asked + weight.answered


@attrs.frozen(kw_only=True)
class AskedTokens:
    """What asking one model takes, and with it its judges: tokens of prompts, of answers, and money.

    Args:
        asked: Input tokens.
        answered: Output tokens.
        cost: What they cost; None without prices.
    """

    asked: Interval = _NOTHING
    answered: Interval = _NOTHING
    cost: Interval | None = None

    @classmethod
    def of(cls, asked: Interval, answered: Interval, price: tuple[float, float] | None) -> AskedTokens:
        """Return what some prompts and answers take."""
        cost = None
        if price is not None:
            cost = asked.times(price[0] / MILLION) + answered.times(price[1] / MILLION)
        return cls(asked=asked, answered=answered, cost=cost)

    def __add__(self, more: AskedTokens) -> AskedTokens:
        cost = None if self.cost is None or more.cost is None else self.cost + more.cost
        return AskedTokens(asked=self.asked + more.asked, answered=self.answered + more.answered, cost=cost)


@attrs.frozen(kw_only=True)
class EvaluationCosts:
    """What the evaluations of a sweep take, and by which prices they are counted.

    Args:
        tuned: What one trained model takes, its judges included.
        base: What the base model takes; None if it is not asked.
        prices: What a million input and output tokens cost: of the models that are tuned, and of each judge by the name
            of its metric. Empty if nobody has said, or not for all.
        currency: Of the prices.
        missing: The models for which there is no price, although there is a price list.
    """

    tuned: AskedTokens
    base: AskedTokens | None = None
    prices: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    currency: str = ""
    missing: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, rows: QuestionWeight, metrics: Sequence[Metric], base: str, *, compares: bool, prices: PriceList | None
    ) -> EvaluationCosts | None:
        """Return those of a sweep; None if it evaluates nothing.

        Args:
            rows: The validation rows.
            metrics: What models are evaluated by.
            base: The name of the base model.
            compares: Whether that is evaluated in the end.
            prices: The price list.
        """
        if not metrics or not rows.rows:
            return None
        judges = [each for each in metrics if isinstance(each, Judge)]
        named = {"": base} | {each.name: str(getattr(each.model, "name", each.model)) for each in judges}
        found = {key: None if prices is None else prices.asking_of(model) for key, model in named.items()}
        missing = tuple(dict.fromkeys(named[key] for key, price in found.items() if price is None))
        known = {key: price for key, price in found.items() if price is not None} if not missing else {}
        tuned = AskedTokens.of(rows.asked, rows.answers(LEAST_TUNED), known.get(""))
        for judge in judges:
            tuned += _judged(judge, rows, known.get(judge.name))
        asks_base = compares or bool(judges)
        return cls(
            tuned=tuned,
            base=AskedTokens.of(rows.asked, rows.answers(LEAST_BASE), known.get("")) if asks_base else None,
            prices=known,
            currency="" if prices is None else prices.currency,
            missing=() if prices is None else missing,
        )

    @property
    def asks_base(self) -> bool:
        """Whether the base model is asked."""
        return self.base is not None

    def of_models(self, count: int) -> AskedTokens:
        """Return what so many trained models take, and the base model beside them."""
        each = self.tuned
        many = AskedTokens(
            asked=each.asked.times(count),
            answered=each.answered.times(count),
            cost=None if each.cost is None else each.cost.times(count),
        )
        return many if self.base is None else many + self.base

    @property
    def counted(self) -> bool:
        """Whether they are counted as money."""
        return bool(self.prices)

    @property
    def most_tuned(self) -> float:
        """What evaluating a trained model may cost; 0 if that is not counted."""
        return 0.0 if self.tuned.cost is None else self.tuned.cost.high

    @property
    def most_base(self) -> float:
        """What evaluating the base model may cost; 0 if that is not counted."""
        return 0.0 if self.base is None or self.base.cost is None else self.base.cost.high

    @property
    def not_counted(self) -> str:
        """Why they are not counted although there is a price list, in words; empty if they are."""
        if not self.missing:
            return ""
        whose = " and ".join(self.missing)
        return f"the evaluations are not counted as money: the prices do not say what asking {whose} costs"


def _judged(judge: Judge, rows: QuestionWeight, price: tuple[float, float] | None) -> AskedTokens:
    """Return what a judge takes for one model: each row in both orders, with the base model's answer."""
    frame = Characters.of(judge.instructions + judge.prompt + judge.criteria).tokens().times(rows.rows)
    once = [frame, rows.asked, rows.expected, rows.answers(LEAST_TUNED), rows.answers(LEAST_BASE)]
    verdicts = Interval(10.0, 50.0, LEAST_BASE).times(2 * rows.rows)
    return AskedTokens.of(sum(once, _NOTHING).times(2), verdicts, price)
