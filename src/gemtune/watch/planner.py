"""Whether one list may stand for many looks, and how often it is asked for: a pure decision."""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.config import WatchPolicy

_HANDFUL: Final = 8
_POOR_FOR: Final = 300.0
"""Seconds without sweeps after one that cost more pages than there are jobs."""


@attrs.define
class Planner:
    """What is known of the list.

    Args:
        policy: The caller's wishes.
        discovering: Whether jobs are to be found in the list, so that it is asked for in any case.
    """

    policy: WatchPolicy
    discovering: bool = False
    refused: bool = attrs.field(default=False, init=False)
    """Whether the service cannot make the list light, or gives no list."""
    _poor_until: float = attrs.field(default=0.0, init=False)

    def sweeps(self, live: int, now: float) -> bool:
        """Return whether ``live`` jobs are to be swept."""
        return self.wait(live, now) == 0.0

    def wait(self, live: int, now: float) -> float | None:
        """Return the seconds until ``live`` jobs are worth a sweep; None if they are not."""
        if self.discovering:
            return 0.0
        enough = live > (0 if self.policy.coalesce == "always" else _HANDFUL)
        if self.refused or self.policy.coalesce == "never" or not enough:
            return None
        return max(self._poor_until - now, 0.0)

    def swept(self, pages: int, live: int, now: float) -> None:
        """Take in what a sweep has cost: many models of others may make it dearer than single looks."""
        if self.policy.coalesce == "auto" and pages > max(live, 1):
            self._poor_until = now + _POOR_FOR

    def forgo(self, now: float) -> None:
        """Take in that the list is not for us at present."""
        self._poor_until = now + _POOR_FOR

    def pause(self, pages: int, rate: float) -> float:
        """Return the seconds to the next sweep, which takes at most half of the requests."""
        return max(self.policy.terminal_freshness, 2 * pages / rate)

    def longest_absence(self) -> float:
        """Return the seconds after which a job that no sweep has shown is looked at by itself."""
        return 2 * self.policy.freshness
