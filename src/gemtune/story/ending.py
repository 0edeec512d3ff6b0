"""How a job ends, and what failed looks amount to: the two small ledgers of a history."""

from __future__ import annotations

from typing import Final

import attrs

from gemtune.errors import CallError, CredentialsError
from gemtune.events import JobState
from gemtune.story.observation import Observation, Source
from gemtune.types.operations import Status
from gemtune.types.tuning import TunedModel

DEGRADED_AFTER: Final = 3
LONGEST_HINT: Final = 120.0
PATIENCE: Final = 60.0
"""Seconds to wait for the full picture once the operation says that the job has ended."""
GONE_AFTER: Final = 10.0
"""Seconds between two looks that make a missing model a deleted one."""
FORBIDDEN_AFTER: Final = 30.0
"""Seconds between two looks that make a forbidden model a lost one."""


@attrs.define
class Verdict:
    """What is known of a job's end, and which look is still wanting."""

    by_operation: JobState | None = None
    """UNKNOWN: the operation is done and does not say how."""
    by_model: JobState | None = None
    error: Status | None = None
    model: TunedModel | None = None
    full: bool = False
    """Whether all snapshots have been seen."""
    since: float | None = None
    looks: int = 0
    model_looks: int = 0

    @property
    def state(self) -> JobState | None:
        """The state the job has ended in; a failure told by the operation outweighs the model's state."""
        if self.by_operation in {JobState.FAILED, JobState.CANCELLED}:
            return self.by_operation
        return self.by_model or self.by_operation

    def note(self, seen: Observation) -> None:
        """Take in a look."""
        if self.since is not None:
            self.looks += 1
            self.model_looks += seen.source is Source.MODEL
        ended = seen.state is not None and seen.state.terminal
        if seen.source is Source.OPERATION:
            if seen.done:
                self.by_operation = seen.state or JobState.UNKNOWN
                self.error = seen.error
                self.model = seen.model or self.model
                self.full = self.full or (ended and _shows_every_step(seen))
        else:
            if ended:
                self.by_model = seen.state
            if seen.source is Source.MODEL:
                self.full = self.full or ended
                if ended:  # a look before the end must neither outweigh the operation's answer nor take up memory
                    self.model = seen.model
        if self.state is not None and self.since is None:
            self.since = seen.at.clock

    def wanting(self, clock: float, *, has_operation: bool) -> Source | None:
        """Return where to look before the end can be told; None if it can.

        A list or an operation may say that a job has ended before its last snapshots could be seen, so that
        the whole model is asked once more. Why a job failed is known to its operation only.
        """
        over = self.since is not None and clock - self.since >= PATIENCE
        if not self.full and not (over and self.by_operation is not None and self.model_looks):
            return Source.MODEL
        if self.state is JobState.FAILED and self.by_operation is None and has_operation and not over:
            return Source.OPERATION
        return None

    @property
    def pause(self) -> float:
        """Seconds before the wanting look: none at first, then 2, 4, 8, 10, 10 ..."""
        return min(2.0 ** min(self.looks, 8), 10.0) if self.looks else 0.0


def _shows_every_step(seen: Observation) -> bool:
    """Return whether the look itself does; what was seen before may be of an earlier attempt."""
    return bool(seen.total_steps) and len({item.step for item in seen.snapshots or ()}) >= (seen.total_steps or 0)


@attrs.define
class Trouble:
    """Looks that failed in a row, and models that could not be seen."""

    failures: int = 0
    hint: float = 0.0
    """Seconds that the server asked to wait."""
    told: bool = False
    _since: float = 0.0
    _missing_since: float | None = None
    _forbidden_since: float | None = None

    def failed(self, error: CallError | CredentialsError, clock: float) -> bool:
        """Count a failure and return whether it is time to tell; without a credential that is at once."""
        if not self.failures and not self.told:
            self._since = clock
        self.failures += 1
        self.hint = min(getattr(error, "retry_after", None) or 0.0, LONGEST_HINT)
        if self.told or (self.failures < DEGRADED_AFTER and not isinstance(error, CredentialsError)):
            return False
        self.told = True
        return True

    def succeeded(self, seen: Observation) -> float | None:
        """Forget the failures; return the downtime in seconds if it had been told."""
        downtime = seen.at.clock - self._since if self.told else None
        self.failures, self.hint, self.told = 0, 0.0, False
        if seen.source is not Source.OPERATION:
            self._missing_since = None
        if seen.source is Source.MODEL:
            self._forbidden_since = None
        return downtime

    def unseen(self, *, missing: bool, clock: float) -> float:
        """Count a missing (404) or forbidden (403) model; return the seconds until that is certain."""
        self.failures, self.hint = 0, 0.0
        if missing:
            self._missing_since = clock if self._missing_since is None else self._missing_since
            return max(self._missing_since + GONE_AFTER - clock, 0.0)
        self._forbidden_since = clock if self._forbidden_since is None else self._forbidden_since
        return max(self._forbidden_since + FORBIDDEN_AFTER - clock, 0.0)

    @property
    def hidden(self) -> bool:
        """Whether the last look at the model did not find it."""
        return self._missing_since is not None or self._forbidden_since is not None
