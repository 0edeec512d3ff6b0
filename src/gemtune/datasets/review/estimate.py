"""What tuning will take: steps, tokens and, with a price that you give, money.

No price is built in: the price list is yours, and an estimate repeats its date. Vertex AI bills the tokens of one pass
through the data times the epochs; for preference pairs the prompt counts twice, once with each answer.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs

from gemtune import checks
from gemtune.datasets.conversations import Method
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.review.figures import RunningFigures
from gemtune.datasets.review.tokens import Interval, weigh
from gemtune.errors import InvalidInput
from gemtune.money import MILLION, FoundPrices, estimated, is_price, listed_price, price_pair

Counting: TypeAlias = Literal["characters", "countTokens"]


def _asking(given: object) -> Mapping[str, tuple[float, float]]:
    """Return what asking costs by model, from a pair for all models or pairs by model."""
    named = given if isinstance(given, Mapping) and not given.keys() <= {"input", "output"} else {"": given}
    found = {str(name): price_pair(price) for name, price in named.items()} if given else {}
    for name, pair in found.items():
        if pair is None:
            what = "prices: asking is the price of a million input tokens and of a million output tokens, (0.30, 2.50)"
            raise InvalidInput(f"{what}, or such pairs by model, not {named.get(name)!r:.60}", field="prices")
    return {name: pair for name, pair in found.items() if pair is not None}


@attrs.frozen(kw_only=True)
class PriceList(FoundPrices[float]):
    """What tuning costs, as you found it.

    Args:
        per_million: The price of a million tokens, by the model; the name ``""`` stands for every other model.
        currency: In which currency.
        date: When you looked it up, such as ``2026-11-28``.
        source: Where.
        asking: What asking costs, for whoever evaluates what was tuned: the price of a million input tokens and of a
            million output tokens, ``(0.30, 2.50)``, or such pairs by model. A tuned model costs what its base costs.

    Example:
        >>> prices = PriceList(per_million={"gemini-2.5-flash": 5.00}, date="2026-11-28", source="the price page")
    """

    asking: Mapping[str, tuple[float, float]] = attrs.field(factory=dict, converter=_asking)

    def asking_of(self, model: str) -> tuple[float, float] | None:
        """Return what a million input tokens and a million output tokens of a model cost; None if nobody has said."""
        return listed_price(self.asking, model)

    @staticmethod
    def _price(name: str, given: Any) -> float:
        if is_price(given):
            return float(given)
        raise InvalidInput(f"prices: that of {name or 'a million tokens'} is no number: {given!r:.40}", field="prices")


@attrs.frozen(kw_only=True)
class Estimate(SaidInLines):
    """What tuning will take; printing it says so, and how it is known.

    Args:
        examples: How many examples there are.
        tokens: The tokens of one pass through them.
        epochs: How often they are passed through; None: the service chooses.
        billed_tokens: The tokens of all passes, as they are billed; None if the epochs are not known.
        steps: The steps of training; None if the batch size is not known.
        cost: What that costs by the price list; None without one.
        currency: Of the cost.
        counting: How the tokens were found: by the number of ``characters``, or by ``countTokens`` of the service.
        counted: How many examples the service counted.
        prices: The price list.
        model: The model.
        notes: What the figures do not say.
    """

    examples: int
    tokens: Interval
    epochs: int | None = None
    billed_tokens: Interval | None = None
    steps: int | None = None
    cost: Interval | None = None
    currency: str = ""
    counting: Counting = "characters"
    counted: int = 0
    prices: PriceList | None = None
    model: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return attrs.asdict(self)

    def __str__(self) -> str:
        how = "by a rule of thumb, four characters to a token"
        if self.counting == "countTokens":
            how = f"from {self.counted:,} examples that the service counted, with an interval of 95 %"
            how = "as the service counted all of them" if self.counted == self.examples else how
        lines = [f"{self.examples:,} examples, {self.tokens} tokens ({how})"]
        if self.billed_tokens is not None:
            lines.append(f"{self.epochs} epochs: {self.billed_tokens} tokens are billed")
        if self.steps is not None:
            lines.append(f"{self.steps:,} steps")
        if self.cost is not None and self.prices is not None:
            cost = estimated(self.cost.low, self.cost.value, self.cost.high)
            dated = f" ({self.prices.dated})" if self.prices.dated else ""
            lines.append(f"cost: {cost} {self.currency}, by the prices you gave{dated}")
        return "\n".join([*lines, *self.notes])


def estimate(
    source: object,
    *,
    model: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    prices: float | Mapping[str, float] | PriceList | str | os.PathLike[str] | None = None,
    **given: Any,
) -> Estimate:
    """Estimate what tuning on some data takes, without asking anybody::

        print(gemtune.datasets.estimate("train.jsonl", epochs=3, prices=5.0))

    Tokens are guessed from characters, with wide limits; ``estimate_with`` lets the service count a sample of them.

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        model: The model that will be tuned, to find its price.
        epochs: How often the data is passed through. Without it the service chooses, and the bill is not known.
        batch_size: Examples per step, if you set it.
        prices: The price of a million tokens, prices by model, a ``PriceList``, or the path of a JSON file with one.
            None is built in.
        given: How to read the source, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, or an argument is wrong.
    """
    plan = Plan.of(model, epochs, batch_size, prices)
    data = load(source, **given)
    return plan.estimate(*weighed(data))


def weighed(data: DataSet) -> tuple[RunningFigures, Method]:
    """Return the figures of the rows that are right, and what they are for."""
    figures = RunningFigures()
    for read in data.reader:
        if read.problem is None:
            figures.add(weigh(read.example))
    return figures, data.method


@attrs.frozen(kw_only=True)
class Plan:
    """How somebody means to tune, checked."""

    model: str | None
    epochs: int | None
    batch_size: int | None
    prices: PriceList | None

    @classmethod
    def of(
        cls,
        model: str | None,
        epochs: int | None,
        batch_size: int | None,
        prices: float | Mapping[str, float] | PriceList | str | os.PathLike[str] | None,
    ) -> Plan:
        """Return a plan.

        Raises:
            InvalidInput: An argument is wrong.
        """
        for name, value in (("epochs", epochs), ("batch_size", batch_size)):
            if value is not None:
                checks.whole(name, value)
        listed = None if prices is None else PriceList.of(prices)
        if listed is not None:
            listed.of_model(model)
        return cls(model=model, epochs=epochs, batch_size=batch_size, prices=listed)

    def estimate(
        self, figures: RunningFigures, method: Method, counted: tuple[int, Interval] | None = None
    ) -> Estimate:
        """Return what the plan takes.

        Args:
            figures: The figures of the data.
            method: What it is for.
            counted: How many examples the service counted, and the tokens of all of them that follow from it.
        """
        text = figures.asked + figures.answered
        guessed = text.tokens()
        tokens = guessed if counted is None else counted[1]
        once = tokens
        if method == "preference":
            # The prompt is read with each of both answers.
            share = (2 * figures.asked.tokens().value + figures.answered.tokens().value) / max(guessed.value, 1)
            once = tokens.times(share)
        billed = None if self.epochs is None else once.times(self.epochs)
        steps = None
        if self.epochs is not None and self.batch_size is not None:
            steps = math.ceil(figures.examples / self.batch_size) * self.epochs
        cost = None
        if self.prices is not None and billed is not None:
            cost = billed.times(self.prices.of_model(self.model) / MILLION)
        return Estimate(
            examples=figures.examples,
            tokens=tokens,
            epochs=self.epochs,
            billed_tokens=billed,
            steps=steps,
            cost=cost,
            currency="" if self.prices is None else self.prices.currency,
            counting="characters" if counted is None else "countTokens",
            counted=0 if counted is None else counted[0],
            prices=self.prices,
            model=self.model,
            notes=tuple(self._notes(figures, billed)),
        )

    def _notes(self, figures: RunningFigures, billed: Interval | None) -> list[str]:
        notes = []
        if billed is None:
            notes.append("the bill is known only once the epochs are: set them, or the service chooses")
        if self.prices is None:
            notes.append("no price is built in: give one to see the cost")
        if figures.again.count:
            again = figures.again.tokens().value
            notes.append(
                f"some examples have several answers; if each is billed with all that comes before it, {again:,.0f} "
                "tokens come on top in each pass"
            )
        if figures.files:
            notes.append(f"the tokens of {figures.files:,} files are not counted")
        return notes
