"""What a sweep may take: tokens and money, reserved before a job is created and counted while it runs.

A point holds what it may cost at most until the service has said what it does cost; one that was stopped holds the
steps that it did, which is how it is billed as far as anybody has written down. Tokens are those of the training alone.
Money is what these cost and what the evaluations do: a point reserves that of its model together with its training, and
that of the base model is reserved before any point is begun.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from gemtune.datasets.review.tokens import Interval
from gemtune.types import Hyperparameters

_MILLION = 1_000_000
_WORTHWHILE = 0.1
"""Which part of its estimate has to be left before an evaluation begins or continues."""
BASE: Final = "base"
"""What the evaluation calls the base model."""
BASE_SHORT: Final = "the base model was not evaluated"


def label_of(number: int) -> str:
    """Return what the evaluation calls the model of a point."""
    return f"point {number}"


@attrs.frozen(kw_only=True)
class PointCosts:
    """What training takes, by hyperparameters.

    Args:
        once: The tokens of one pass through the data; None if they cannot be known, as of a file in the cloud.
        examples: How many examples there are; None if that is not known.
        epochs: The passes that the service makes if nobody says how many; None if it chooses.
        price: The price of a million tokens; None without a price list.
    """

    once: Interval | None
    examples: int | None = None
    epochs: int | None = None
    price: float | None = None

    def passes(self, used: Hyperparameters) -> int | None:
        """Return how often the data is passed through; None if the service chooses."""
        return used.epoch_count if used.epoch_count is not None else self.epochs

    def tokens(self, used: Hyperparameters) -> Interval | None:
        """Return the tokens of a whole training; None if they cannot be known."""
        passes = self.passes(used)
        return None if self.once is None or passes is None else self.once.times(passes)

    def steps(self, used: Hyperparameters) -> int | None:
        """Return the steps of a whole training, if the batch size is known."""
        passes = self.passes(used)
        if passes is None or self.examples is None or used.batch_size is None:
            return None
        return math.ceil(self.examples / used.batch_size) * passes

    def money(self, tokens: float) -> float | None:
        """Return what tokens cost; None without a price."""
        return None if self.price is None else tokens * self.price / _MILLION


@attrs.define
class EvaluationMoney:
    """What an evaluation holds of the budget: what it may cost as long as it is to come, and what it has cost.

    Args:
        granted: What it may cost in all.
        spent: What it has cost so far.
    """

    granted: float = 0.0
    spent: float = 0.0

    @property
    def held(self) -> float:
        """What nobody else may spend."""
        return max(self.granted, self.spent)


@attrs.define(eq=False)
class BudgetLedger:
    """What points hold of the budget, and the evaluations of their models.

    Args:
        tokens: How many training tokens there may be; None for no limit.
        money: What training and evaluations may cost; None for no limit.
        price: The price of a million training tokens; None without a price list.
        currency: Of the money.
    """

    tokens: float | None = None
    money: float | None = None
    price: float | None = None
    currency: str = ""
    _held: dict[int, float] = attrs.field(factory=dict, init=False)
    _evaluations: dict[str, EvaluationMoney] = attrs.field(factory=dict, init=False)

    @property
    def limited(self) -> bool:
        """Whether the training tokens have a limit, be it by what they cost."""
        return self.tokens is not None or (self.money is not None and bool(self.price))

    @property
    def used(self) -> float:
        """Training tokens that are spent or reserved."""
        return sum(self._held.values())

    @property
    def evaluations(self) -> float:
        """Money that evaluations have cost, or that is reserved for them."""
        return sum(each.held for each in self._evaluations.values())

    @property
    def money_used(self) -> float:
        """Money that is spent or reserved."""
        return self._cost(self.used) + self.evaluations

    def held(self, number: int) -> float:
        """Return the tokens that a point has spent or reserved."""
        return self._held.get(number, 0.0)

    def fits(self, tokens: float, evaluation: float = 0.0) -> bool:
        """Return whether a point still fits.

        Args:
            tokens: The training tokens that it may take.
            evaluation: What evaluating its model may cost.
        """
        # Sums of floats, so that a limit which the user has computed from the plan is not missed by a rounding.
        if self.tokens is not None and self.used + tokens > self.tokens * (1 + 1e-9):
            return False
        return self.money is None or self.money_used + self._cost(tokens) + evaluation <= self.money * (1 + 1e-9)

    def hold(self, number: int, tokens: float) -> None:
        """Let a point hold so many tokens, in the place of what it held before."""
        self._held[number] = tokens

    def evaluation(self, label: str) -> EvaluationMoney:
        """Return what the evaluation of a model holds."""
        return self._evaluations.setdefault(label, EvaluationMoney())

    def grant(self, label: str, most: float) -> None:
        """Reserve what the evaluation of a model may cost in all, in the place of what was reserved before."""
        self.evaluation(label).granted = most

    def claim(self, label: str, most: float) -> float | None:
        """Return what an evaluation may spend from here on, and reserve it; None for no limit, 0 if too little is left.

        Args:
            label: The label of the model.
            most: What it may cost, as far as that can be estimated: it gets more of what nobody holds if it needs it.
        """
        if self.money is None:
            return None
        mine, room = self.evaluation(label), self.money - self.money_used
        if mine.held - mine.spent < most * _WORTHWHILE:
            extra = max(min(room, most), 0.0)
            mine.granted, room = mine.held + extra, room - extra
        left = mine.held - mine.spent + min(room, 0.0)  # others may have cost more than they had reserved
        return left if left >= most * _WORTHWHILE else 0.0

    def refusal(self, tokens: float, evaluation: float = 0.0) -> str:
        """Return in words why a point that may take so much is left out."""
        if self.tokens is not None and not BudgetLedger(tokens=self.tokens - self.used).fits(tokens):
            left = max(self.tokens - self.used, 0.0)
            return f"it may take {tokens:,.0f} tokens, and {left:,.0f} of the budget are left"
        return self.shortage(self._cost(tokens) + evaluation)

    def shortage(self, cost: float) -> str:
        """Return in words why something that may cost so much is not begun."""
        rest = max((self.money or 0.0) - self.money_used, 0.0)
        said = f"it may cost {cost:,.4g} {self.currency}, and {rest:,.4g} of the budget are left"
        kept = self.evaluation(BASE)
        apart = f", {kept.granted - kept.spent:,.4g} for the evaluation of the base model apart"
        return said + (apart if kept.granted > kept.spent else "")

    def _cost(self, tokens: float) -> float:
        return tokens * (self.price or 0.0) / _MILLION
