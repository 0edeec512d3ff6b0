"""How many tokens an example has, as far as that can be known without the model's tokenizer.

The rule of thumb is four characters of ASCII text to a token, and two of any other. It is wrong by a factor that
depends on the language and on how much of the text is code or numbers, so that every guess comes with limits: 2.5 to 6
characters to a token for ASCII, 1 to 4 for everything else. The model itself counts exactly (``counted.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

MOST: Final = 131_072
"""Tokens that an example may have."""
_ASCII: Final = (2.5, 4.0, 6.0)
_OTHER: Final = (1.0, 2.0, 4.0)


@attrs.frozen
class Interval:
    """A number that is not known exactly.

    Args:
        low: Where it may begin.
        value: The best guess.
        high: Where it may end.
    """

    low: float
    value: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.value:,.0f}"
        return f"{self.value:,.0f} ({self.low:,.0f} to {self.high:,.0f})"

    def __add__(self, more: Interval) -> Interval:
        return Interval(self.low + more.low, self.value + more.value, self.high + more.high)

    def times(self, factor: float) -> Interval:
        """Return its product with a number."""
        return Interval(self.low * factor, self.value * factor, self.high * factor)


@attrs.frozen
class Characters:
    """The characters of some text, by what they cost.

    Args:
        ascii: Those of ASCII.
        other: All others.
    """

    ascii: int = 0
    other: int = 0

    @classmethod
    def of(cls, text: str) -> Characters:
        """Return those of a string."""
        if text.isascii():
            return cls(len(text))
        plain = len(text.encode("ascii", "ignore"))
        return cls(plain, len(text) - plain)

    def __add__(self, more: Characters) -> Characters:
        return Characters(self.ascii + more.ascii, self.other + more.other)

    @property
    def count(self) -> int:
        """All of them."""
        return self.ascii + self.other

    def tokens(self) -> Interval:
        """Return about how many tokens they are."""
        (least, usual, most), (fewest, common, many) = _ASCII, _OTHER
        return Interval(
            self.ascii / most + self.other / many,
            self.ascii / usual + self.other / common,
            self.ascii / least + self.other / fewest,
        )


@attrs.frozen(kw_only=True)
class Weight:
    """What one example weighs.

    Args:
        asked: The characters of the system instruction and of what the user says.
        answered: Those of what the model says, in preference tuning in both answers.
        again: Those that come again if every answer of a chat is a record of its own, with everything before it.
        turns: The turns, the answers of a preference pair included.
        files: The files.
        system: Whether there is a system instruction.
    """

    asked: Characters
    answered: Characters
    again: Characters
    turns: int
    files: int
    system: bool


def weigh(example: Mapping[str, Any]) -> Weight:
    """Return what an example in Vertex AI's form weighs."""
    given = {name.replace("_", "").lower(): value for name, value in example.items()}
    system = given.get("systeminstruction")
    before = _characters(_parts(system)) if system else Characters()
    asked, answered, again = before, Characters(), Characters()
    files = records = 0
    for turn in given["contents"]:
        parts = _parts(turn)
        files += sum(1 for part in parts if not part.keys().isdisjoint(_FILES))
        said = _characters(parts)
        if turn.get("role") == "model":
            answered += said
            again += before if records else Characters()
            records += 1
        else:
            asked += said
        before += said
    completions = given.get("completions") or ()
    for each in completions:
        answered += _characters(_parts(each["completion"]))
    turns = len(given["contents"]) + len(completions)
    return Weight(asked=asked, answered=answered, again=again, turns=turns, files=files, system=bool(system))


_FILES: Final = frozenset({"fileData", "file_data", "inlineData", "inline_data"})


def _parts(turn: Any) -> list[Mapping[str, Any]]:
    if isinstance(turn, str):
        return [{"text": turn}]
    return list(turn.get("parts") or ())


def _characters(parts: Iterable[Mapping[str, Any]]) -> Characters:
    found = Characters()
    for part in parts:
        text = part.get("text")
        if isinstance(text, str):
            found += Characters.of(text)
        elif part.keys().isdisjoint(_FILES):  # a call or its answer, which is text to the model
            found += Characters.of(json.dumps(part, ensure_ascii=False, default=str))
    return found
