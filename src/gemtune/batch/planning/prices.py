"""What asking costs, by the prices that the user found: no price is built in, and what was spent is counted by them."""

from __future__ import annotations

from typing import Any, Final

import attrs

from gemtune.batch.progress import RunTally
from gemtune.datasets.review.tokens import Interval
from gemtune.errors import BatchStopped, InvalidInput
from gemtune.money import MILLION, FoundPrices, amount, is_price, price_pair
from gemtune.remedy import Argument, Remedy

BATCH_SHARE: Final = 0.5
"""What a token costs in a batch of the service, of its usual price: the services' own rule, as of 2026-11-28."""
_FORMS: Final = (
    "a pair (input, output), prices by model {'gemini-...': (input, output)}, a TokenPrices, or the path of a JSON "
    "file with one"
)


def _share(_: object, __: attrs.Attribute[float], value: object) -> None:
    if not is_price(value):
        raise InvalidInput(f"prices: batch_share is no number: {value!r:.40}", field="prices")


@attrs.frozen(kw_only=True)
class TokenPrices(FoundPrices[tuple[float, float]]):
    """What a million tokens cost, as you found it.

    Args:
        per_million: Of a model, the price of a million input tokens and of a million output tokens; the name ``""``
            stands for every other model.
        currency: In which currency.
        date: When you looked it up, such as ``2026-11-28``.
        source: Where.
        batch_share: Which part of it is paid in a batch that the service runs.

    Example:
        >>> prices = TokenPrices(per_million={"gemini-3.7-flash": (0.30, 2.50)}, date="2026-11-28")
    """

    batch_share: float = attrs.field(default=BATCH_SHARE, validator=_share)

    @staticmethod
    def _price(name: str, given: Any) -> tuple[float, float]:
        price = price_pair(given)
        if price is not None:
            return price
        whose = f"that of {name}" if name else "a price"
        raise InvalidInput(
            f"prices: {whose} is the price of a million input tokens and of a million output tokens, (0.30, 2.50), not "
            f"{price!r:.60}; prices is {_FORMS}",
            field="prices",
        )

    def cost(self, model: str, asked: Interval, answered: Interval) -> Interval:
        """Return what tokens of a prompt and of answers cost, one by one from here."""
        first, second = (price / MILLION for price in self.of_model(model))
        return Interval(
            asked.low * first + answered.low * second,
            asked.value * first + answered.value * second,
            asked.high * first + answered.high * second,
        )


@attrs.frozen
class BudgetGuard:
    """Counts what a run has spent, and says when that is enough.

    Args:
        budget: What may be spent.
        prices: What tokens cost.
        model: The model that is asked.
    """

    budget: float
    prices: TokenPrices
    model: str

    def spent(self, tally: RunTally) -> float:
        """Return what the replies of a run have cost so far."""
        asked, answered = float(tally.prompt_tokens), float(tally.output_tokens)
        return self.prices.cost(self.model, Interval(asked, asked, asked), Interval(answered, answered, answered)).value

    def enough(self, tally: RunTally) -> BatchStopped | None:
        """Return the error that ends a run whose budget is used up, or None while there is something left."""
        spent = self.spent(tally)
        if spent < self.budget:
            return None
        money = f"{amount(spent)} of {amount(self.budget)} {self.prices.currency}"
        what = f"the batch on {self.model} stopped: its budget is used up ({money}, counted from the usage of replies)"
        return BatchStopped(what, Remedy("to continue, give a new ", Argument("budget")))
