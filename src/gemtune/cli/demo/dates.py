"""The data of ``gemtune demo --sweep``: days as people write them, and the same as ISO 8601 has them.

The rows are made by rule, not at random, so that every run of the demonstration has the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

ROWS: Final = 300

_FIRST: Final = date(1969, 7, 20)
_APART: Final = 97
"""Days between two rows, so that months and forms go through all combinations; a form always meets the same weekday."""


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


_FORMS: Final[tuple[Callable[[date], str], ...]] = (
    lambda day: f"{day:%A}, {_ordinal(day.day)} {day:%B %Y}",
    lambda day: f"{day:%b} {day.day}, {day.year}",
    lambda day: f"{day.day}.{day.month}.{day:%y}",
    lambda day: f"the {_ordinal(day.day)} of {day:%B}, {day.year}",
    lambda day: f"{day:%B} {_ordinal(day.day)} '{day:%y}",
    lambda day: f"{day.month}/{day.day}/{day.year} (US)",
    lambda day: f"day {day:%j} of {day.year}",
)


def dates(count: int = ROWS) -> list[dict[str, str]]:
    """Return rows with ``text_input`` and ``output``."""
    days = (_FIRST + timedelta(days=_APART * number) for number in range(count))
    return [
        {"text_input": _FORMS[number % len(_FORMS)](day), "output": day.isoformat()} for number, day in enumerate(days)
    ]
