"""How far a batch is, and how fast it goes."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from gemtune.batch.result import BatchResult

_SECOND: Final = 1.0
_WINDOW: Final = 30


@attrs.define(eq=False)
class Progress:
    """The counts of a run; time is an argument.

    Args:
        began: When the run began.
    """

    began: float
    done: int = 0
    failed: int = 0
    skipped: int = 0
    requests: int = 0
    in_flight: int = 0
    parked: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    _marks: deque[tuple[float, int]] = attrs.field(factory=lambda: deque(maxlen=_WINDOW + 1), repr=False)

    def __attrs_post_init__(self) -> None:
        """Begin the window in which the rate is measured."""
        self._marks.append((self.began, 0))

    @property
    def finished(self) -> int:
        """Items with an outcome in this run."""
        return self.done + self.failed

    def count(self, result: BatchResult, now: float) -> None:
        """Count an outcome."""
        if result.ok:
            self.done += 1
        else:
            self.failed += 1
        usage = result.usage
        if usage is not None:
            self.prompt_tokens += usage.prompt_token_count
            self.output_tokens += usage.candidates_token_count + usage.thoughts_token_count
        if now >= self._marks[-1][0] + _SECOND:
            self._marks.append((now, self.finished))

    def rate(self, now: float) -> float:
        """Return the items a second over the last half minute."""
        since, finished = self._marks[0]
        return (self.finished - finished) / (now - since) if now > since else 0.0

    def eta(self, now: float, total: int | None) -> float | None:
        """Return the seconds until ``total`` items have an outcome at the present rate, if that can be told."""
        rate = self.rate(now)
        return None if total is None or rate <= 0 else max(0, total - self.skipped - self.finished) / rate
