"""The root of all errors."""

from __future__ import annotations

from gemtune.remedy import Remedy, Wording, advice


class GemtuneError(Exception):
    """The root of everything that gemtune raises."""

    def __init__(self, message: str, *remedies: Remedy) -> None:
        super().__init__(message)
        self.message = message
        self.remedies = remedies

    def __str__(self) -> str:
        return self.worded(str)

    def worded(self, wording: Wording) -> str:
        """Return what happened and what to do about it in the words of one kind of reader."""
        return advice(self.message, self.remedies, wording)
