"""What is wrong with training data, collected: whoever mends a file wants to mend it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import attrs

from gemtune.errors import InvalidInput

SHOWN: Final = 5
"""So many problems are named; of more nobody reads the list."""
_ENOUGH: Final = 1000
"""After so many different ones, reading on would teach nothing."""


@attrs.define
class Problems:
    """The problems found so far; one that many rows share is one object, counted."""

    _found: Counter[InvalidInput] = attrs.field(factory=Counter, init=False)

    def add(self, problem: InvalidInput) -> None:
        """Take note of one."""
        self._found[problem] += 1

    @property
    def enough(self) -> bool:
        """Whether there are so many that the rest need not be read."""
        return len(self._found) >= _ENOUGH

    def refuse(self) -> None:
        """Raise an error about all of them, if there are any.

        Raises:
            InvalidInput: It names the first five; ``row`` and ``field`` are those of the first.
        """
        if not self._found:
            return
        ordered = sorted(self._found, key=lambda problem: problem.row or 0)
        first, named = ordered[0], ordered[:SHOWN]
        lines = [problem.message + _shared(self._found[problem] - 1) for problem in named]
        if len(ordered) > SHOWN:
            lines.append(f"and {self._found.total() - sum(self._found[problem] for problem in named):,} more")
        message = "; ".join(lines)
        if len(ordered) > 1:
            least = "at least " if self.enough else ""
            message = f"training_data has {least}{self._found.total():,} problems: {message}"
        raise InvalidInput(message, *first.remedies, field=first.field, row=first.row)


def _shared(others: int) -> str:
    return f" (the same in {others:,} more row{'s' if others > 1 else ''})" if others else ""


def some(items: Iterable[str]) -> str:
    """Return the first items as a list, and how many more there are."""
    every = [*items]
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
