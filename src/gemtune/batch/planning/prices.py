"""What tokens cost, as the user found it: no price is built in, and what was spent is counted by it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from gemtune.batch.progress import RunTally
from gemtune.datasets.review.tokens import Interval
from gemtune.errors import BatchStopped, InvalidInput
from gemtune.remedy import Argument, Remedy

BATCH_SHARE: Final = 0.5
"""What a token costs in a batch of the service, of its usual price: the services' own rule, as of 2026-11-28."""
_MILLION: Final = 1_000_000
_FIELDS: Final = ("per_million", "currency", "date", "source", "batch_share")
_FORMS: Final = (
    "a pair (input, output), prices by model {'gemini-...': (input, output)}, a TokenPrices, or the path of a JSON "
    "file with one"
)


@attrs.frozen(kw_only=True)
class TokenPrices:
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

    per_million: Mapping[str, tuple[float, float]]
    currency: str = "USD"
    date: str = ""
    source: str = ""
    batch_share: float = BATCH_SHARE

    @classmethod
    def of(cls, prices: object) -> TokenPrices:
        """Return one from whatever ``client.batch`` takes as ``prices``.

        Raises:
            InvalidInput: It is none of these, or a price is no number.
        """
        if isinstance(prices, TokenPrices):
            return prices
        given: dict[str, Any]
        if isinstance(prices, str | os.PathLike):
            given = _of_file(Path(prices))
        elif isinstance(prices, Mapping) and "per_million" in prices:
            given = _checked_fields(dict(prices), "prices")
        else:
            given = {"per_million": prices if isinstance(prices, Mapping) else {"": prices}}
        share = given.get("batch_share", BATCH_SHARE)
        if not _is_amount(share):
            raise InvalidInput(f"prices: batch_share is no number: {share!r:.40}", field="prices")
        found = {str(name): _pair(str(name), price) for name, price in given["per_million"].items()}
        return cls(**{**given, "per_million": found})

    def of_model(self, model: str) -> tuple[float, float]:
        """Return the prices of a million input and output tokens of a model.

        Raises:
            InvalidInput: They are not in the list.
        """
        name = model.rpartition("/")[2]
        for known in (model, name, ""):
            if known in self.per_million:
                return self.per_million[known]
        listed = ", ".join(self.per_million)
        raise InvalidInput(f"prices: there is no price for {name}, only for {listed}", field="prices")

    def cost(self, model: str, asked: Interval, answered: Interval) -> Interval:
        """Return what tokens of a prompt and of answers cost, one by one from here."""
        first, second = (price / _MILLION for price in self.of_model(model))
        return Interval(
            asked.low * first + answered.low * second,
            asked.value * first + answered.value * second,
            asked.high * first + answered.high * second,
        )

    @property
    def dated(self) -> str:
        """When and where they were found, in words; empty if nobody has said so."""
        return ", ".join(filter(None, (self.date, self.source)))


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
        money = f"{spent:,.4g} of {self.budget:,.4g} {self.prices.currency}"
        what = f"the batch on {self.model} stopped: its budget is used up ({money}, counted from the usage of replies)"
        return BatchStopped(what, Remedy("to continue, give a new ", Argument("budget")))


def _pair(name: str, price: object) -> tuple[float, float]:
    if isinstance(price, Mapping):
        price = (price.get("input"), price.get("output"))
    # A single number would price answers like prompts, which no service does: it is refused and not guessed at.
    if isinstance(price, tuple | list) and len(price) == 2 and all(map(_is_amount, price)):
        return float(price[0]), float(price[1])
    whose = f"that of {name}" if name else "a price"
    raise InvalidInput(
        f"prices: {whose} is the price of a million input tokens and of a million output tokens, (0.30, 2.50), not "
        f"{price!r:.60}; prices is {_FORMS}",
        field="prices",
    )


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _of_file(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"prices: {path} cannot be read ({error.strerror})", field="prices") from None
    except ValueError as error:
        raise InvalidInput(f"prices: {path} is not JSON: {error}", field="prices") from None
    return _checked_fields(value, f"prices: {path}")


def _checked_fields(value: object, where: str) -> dict[str, Any]:
    sound = isinstance(value, dict) and isinstance(value.get("per_million"), Mapping) and value.keys() <= set(_FIELDS)
    if not sound or not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object with {', '.join(_FIELDS)}", field="prices")
    return value
