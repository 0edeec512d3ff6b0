"""What a sweep may take: tokens and money, reserved before a job is created and counted while it runs.

A point holds what it may cost at most until the service has said what it does cost; one that was stopped holds the
steps that it did, which is how it is billed as far as anybody has written down. Money is counted in tokens, because a
training has one price for all of them.
"""

from __future__ import annotations

import math

import attrs

from gemtune.datasets.review.tokens import Interval
from gemtune.types import Hyperparameters

_MILLION = 1_000_000


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


@attrs.define(eq=False)
class BudgetLedger:
    """What points hold of the budget.

    Args:
        tokens: How many there may be; None for no limit.
        money: What they may cost; None for no limit.
        price: The price of a million tokens; None without a price list.
        currency: Of the money.
    """

    tokens: float | None = None
    money: float | None = None
    price: float | None = None
    currency: str = ""
    _held: dict[int, float] = attrs.field(factory=dict, init=False)

    @property
    def limit(self) -> float:
        """The limit, in tokens."""
        by_money = math.inf if self.money is None or not self.price else self.money / self.price * _MILLION
        return min(math.inf if self.tokens is None else self.tokens, by_money)

    @property
    def used(self) -> float:
        """Tokens that are spent or reserved."""
        return sum(self._held.values())

    def held(self, number: int) -> float:
        """Return the tokens that a point has spent or reserved."""
        return self._held.get(number, 0.0)

    def fits(self, tokens: float) -> bool:
        """Return whether a point that may take so many tokens still fits."""
        # Sums of floats, so that a limit which the user has computed from the plan is not missed by a rounding.
        return self.used + tokens <= self.limit * (1 + 1e-9)

    def hold(self, number: int, tokens: float) -> None:
        """Let a point hold so many tokens, in the place of what it held before."""
        self._held[number] = tokens

    def refusal(self, tokens: float) -> str:
        """Return in words why a point that may take so many tokens is left out."""
        left = max(self.limit - self.used, 0.0)
        what = f"it may take {tokens:,.0f} tokens, and {left:,.0f} of the budget are left"
        if self.price is None or self.money is None:
            return what
        cost, rest = tokens * self.price / _MILLION, left * self.price / _MILLION
        return f"it may cost {cost:,.4g} {self.currency}, and {rest:,.4g} of the budget are left"
