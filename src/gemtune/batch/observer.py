"""The seam for telemetry: who is told how a batch goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from gemtune.batch.progress import RunTally


class RunWatch(Protocol):
    """One run, as its observer sees it."""

    def asks(self, index: int, attempt: int) -> None:
        """Take in which item the next call of this task is about, and how often it has been asked."""
        ...

    def finished(self, error: Exception | None) -> None:
        """Take in an item with an outcome; None for an answer."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """Take in the end of the run, and what ended it before its input did."""
        ...


RunObserver: TypeAlias = Callable[[str, RunTally], RunWatch | None]
"""Is told that a run begins: on which model, and where it is counted."""
