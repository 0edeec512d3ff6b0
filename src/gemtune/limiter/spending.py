"""A limit on what is spent in ten minutes: pauses until the window must have emptied, and no longer.

The API documents such limits (https://ai.google.dev/gemini-api/docs/rate-limits, "spend-based") without saying what the
refusal looks like or when it ends; what still refuses after a whole window is a cap that waiting does not lift.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

WINDOW: Final = 600.0
"""Seconds over which the service adds up."""
_PAUSE: Final = 60.0


@attrs.define(eq=False)
class Spending:
    """When to ask again after refusals because of what was spent; time is an argument."""

    _since: float = math.inf
    _closed_at: float = -math.inf
    _opens_at: float = -math.inf
    _pause: float = _PAUSE

    def refused(self, sent_at: float, now: float, hint: float | None) -> float | None:
        """Return until when to pause, or None if a whole window has gone by without an answer.

        Args:
            sent_at: When the refused request was sent; before the last pause began, it teaches nothing.
            now: The time.
            hint: Seconds that the server asks for, if it does.
        """
        if sent_at <= self._closed_at:
            return self._opens_at
        if now >= self._since + WINDOW:
            return None
        if self._since == math.inf:
            self._since, self._pause = now, _PAUSE
        else:
            self._pause *= 2
        self._closed_at = now
        self._opens_at = now + max(hint or 0.0, min(self._pause, self._since + WINDOW - now))
        return self._opens_at

    def answered(self, sent_at: float) -> None:
        """Note an answer: what was sent after the last pause began shows that the window has room again."""
        if sent_at > self._closed_at:
            self._since = math.inf
