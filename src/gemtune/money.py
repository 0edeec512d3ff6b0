"""Money: prices as somebody found them, on a day and in a place, and amounts as people write them.

No price is built in anywhere: prices change and differ by model, and a wrong one is worse than none. So a list is the
user's, and whatever is reckoned by it repeats its date. What a model's price *is* differs: tuning has one for a million
tokens, asking has one for what goes in and one for what comes out. How a list is given, read and looked up does not.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

import attrs

from gemtune.errors import InvalidInput

MILLION: Final = 1_000_000
"""The tokens that have a price."""
PriceT = TypeVar("PriceT")


def _said(_: object, field: attrs.Attribute[str], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidInput(f"prices: {field.name} must be a string, not {value!r:.40}", field="prices")


@attrs.frozen(kw_only=True)
class FoundPrices(ABC, Generic[PriceT]):
    """What a million tokens cost, as somebody found it.

    Args:
        per_million: The price of a million tokens, by the model; the name ``""`` stands for every other model.
        currency: In which currency.
        date: When it was looked up.
        source: Where.
    """

    per_million: Mapping[str, PriceT]
    currency: str = attrs.field(default="USD", validator=_said)
    date: str = attrs.field(default="", validator=_said)
    source: str = attrs.field(default="", validator=_said)

    @classmethod
    def of(cls, prices: object) -> Self:
        """Return a list from a price for every model, prices by model, the fields of a list, or a JSON file with them.

        Raises:
            InvalidInput: It is none of these, or a price is no number.
        """
        if isinstance(prices, cls):
            return prices
        given: object = {"per_million": prices if isinstance(prices, Mapping) else {"": prices}}
        where = "prices"
        if isinstance(prices, str | os.PathLike):
            given, where = _of_file(Path(prices)), f"prices: {os.fspath(prices)}"
        elif isinstance(prices, Mapping) and "per_million" in prices:
            given = dict(prices)
        names = [field.name for field in attrs.fields(cls)]
        listed = given.get("per_million") if isinstance(given, dict) and given.keys() <= set(names) else None
        if not isinstance(given, dict) or not isinstance(listed, Mapping):
            raise InvalidInput(f"{where} must be an object with {', '.join(names)}", field="prices")
        found = {str(name): cls._price(str(name), price) for name, price in listed.items()}
        return cls(**{**given, "per_million": found})

    @staticmethod
    @abstractmethod
    def _price(name: str, given: Any) -> PriceT:
        """Return what was given as a model's price, checked."""

    def of_model(self, model: str | None) -> PriceT:
        """Return the price of a model.

        Raises:
            InvalidInput: It is not in the list.
        """
        found = listed_price(self.per_million, model)
        if found is not None:
            return found
        name, listed = (model or "").rpartition("/")[2], ", ".join(self.per_million)
        raise InvalidInput(f"prices: there is no price for {name or 'no model'}, only for {listed}", field="prices")

    @property
    def dated(self) -> str:
        """When and where they were found, in words; empty if nobody has said so."""
        return ", ".join(filter(None, (self.date, self.source)))


def is_price(value: object) -> bool:
    """Return whether something is an amount of money that a thing may cost."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def listed_price(per_million: Mapping[str, PriceT], model: str | None) -> PriceT | None:
    """Return the price of a model: under its name, its short name or the name of all others; None if it has none."""
    names = (model or "", (model or "").rpartition("/")[2], "")
    return next((per_million[name] for name in names if name in per_million), None)


def price_pair(given: Any) -> tuple[float, float] | None:
    """Return the price of a million input tokens and of a million output tokens; None if it is no such pair."""
    price = (given.get("input"), given.get("output")) if isinstance(given, Mapping) else given
    # A single number would price answers like prompts, which no service does: it is refused and not guessed at.
    if isinstance(price, tuple | list) and len(price) == 2 and all(map(is_price, price)):
        return float(price[0]), float(price[1])
    return None


def amount(value: float) -> str:
    """Return an amount that was given or counted as people write it: ``7``, ``1,234.50``, ``0.015``, ``0.000002``.

    Unless it is whole, it has at least two decimals and, below one, three digits that say something.
    """
    if value == int(value):
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:,.2f}"
    units, _, rest = f"{value:.{2 - math.floor(math.log10(abs(value)))}f}".rstrip("0").partition(".")
    return f"{units}.{rest:0<2}"


def estimated(low: float, value: float, high: float) -> str:
    """Return an amount that is not known exactly: ``0.15 (0.10 to 0.24)``; nobody knows one to a part of a cent."""
    least, best, most = (f"{each:,.2f}" for each in (low, value, high))
    if most == "0.00":
        return "under 0.01"
    return best if least == most else f"{best} ({least} to {most})"


def at_most(value: float, most: float, currency: str) -> str:
    """Return what something costs at most, and what is likely: ``at most 0.24 USD (about 0.15)``."""
    likely, limit = f"{value:,.2f}", f"{most:,.2f}"
    if limit == "0.00":
        return f"under 0.01 {currency}".rstrip()
    said = f"at most {limit} {currency}".rstrip()
    return said if likely == limit else f"{said} (about {likely})"


def _of_file(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"prices: {path} cannot be read ({error.strerror})", field="prices") from None
    except ValueError as error:
        raise InvalidInput(f"prices: {path} is not JSON: {error}", field="prices") from None
