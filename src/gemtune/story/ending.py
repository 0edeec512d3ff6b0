"""How a job ends, and what failed looks amount to: two small ledgers of a history.

Two questions must be answered before an end is reported, and the answers are in different places:

================  ==========================================  =====================================
question          the answer                                  if it stays away for ``PATIENCE``
================  ==========================================  =====================================
Are these all     a full look at the job in its final state,  the work's word is enough, if the job
the snapshots?    or work that is done and shows every step   itself was looked at since
Why did it fail?  the work only                               it failed without a reason
================  ==========================================  =====================================

A job's own state may never follow its cancelled work, and work expires; hence the patience.

Where the work is *apart*, it says nothing of an end, and the job shows no snapshots: then the work is looked at once
more after the job has ended, and for ``LATE`` seconds if its last steps are not there yet. If that look fails, the job
is looked at in turn with it: as long as neither can be seen, the service is out, and there is no end. And a job may
have ended before its model can be asked; if it cannot for ``UNSERVED`` seconds, the job has failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from gemtune import events
from gemtune.errors import CallError, CredentialsError, QuotaExhausted
from gemtune.events import JobState, TerminalEvent
from gemtune.story.observation import Observation, Source
from gemtune.types.batches import GenerateContentBatch
from gemtune.types.operations import Status
from gemtune.types.tuning import TunedModel, TuningSnapshot

DEGRADED_AFTER: Final = 3
LONGEST_HINT: Final = 120.0
# Seconds to wait for the full picture once the work says that the job has ended.
PATIENCE: Final = 60.0
# Seconds to wait for the last steps of a job that has ended, where they are written apart from its end.
LATE: Final = 10.0
# Seconds, and looks at a job that has ended, after which its last steps are given up, if only they cannot be seen.
UNSEEN: Final = 300.0
_LAST_CHANCES: Final = 3
# Seconds to wait for an endpoint after the training.
UNSERVED: Final = 600.0
# Seconds between two looks that make a missing job a deleted one.
GONE_AFTER: Final = 10.0
# Seconds between two looks that make a forbidden job a lost one.
FORBIDDEN_AFTER: Final = 30.0


@attrs.define
class Ending:
    """What is known of a job's end, and which look is still wanting."""

    by_work: JobState | None = None
    by_job: JobState | None = None
    error: Status | None = None
    model: TunedModel | None = None
    batch: GenerateContentBatch | None = None
    # Whether all snapshots have been seen.
    full: bool = False
    since: float | None = None
    looks: int = 0
    job_looks: int = 0
    # How many looks at the job itself have shown the end.
    shown: int = 0
    _trained: float | None = None

    @property
    def state(self) -> JobState | None:
        """The state the job has ended in; a failure reported by the work outweighs the job's own state."""
        if self.by_work in {JobState.FAILED, JobState.CANCELLED}:
            return self.by_work
        return self.by_job or self.by_work

    @property
    def event(self) -> tuple[JobState, type[TerminalEvent], Mapping[str, object]]:
        """The state that the job ends in, and its terminal event: the class, and what only that class has."""
        if self.state is JobState.ACTIVE and self.model is not None:
            return self.state, events.Succeeded, {"model": self.model}
        if self.state is JobState.ACTIVE and self.batch is not None:
            return self.state, events.Completed, {"batch": self.batch}
        if self.state is JobState.CANCELLED:
            return self.state, events.Cancelled, {"batch": self.batch}
        return JobState.FAILED, events.Failed, {"error": self.error, "batch": self.batch}

    def note(self, seen: Observation, remaining: int | None = None, *, apart: bool = False) -> None:
        """Take in a look.

        Args:
            seen: What it brought.
            remaining: Steps to go; None while the total is unknown.
            apart: Whether the work says nothing but the steps.
        """
        if self.since is not None:
            self.looks += 1
            self.job_looks += seen.source is Source.JOB
        if seen.source is not Source.WORK:
            state = self._served(seen)
            if state is not None and state.terminal:
                self.by_job, self.error = state, seen.error or self.error
                if seen.source is Source.JOB:
                    # A look before the end must neither outweigh the work's answer nor take up memory.
                    self.shown, self.model, self.batch = self.shown + 1, seen.model, seen.batch
                    self.full = self.full or not apart
        elif apart:
            late = self.state is JobState.ACTIVE and bool(remaining)
            self.full = self.shown > 0 and (not late or seen.at.clock - (self.since or 0.0) >= LATE)
        elif seen.done and seen.state is not None:
            self.by_work = seen.state
            self.error = seen.error
            self.model = seen.model or self.model
            self.full = self.full or (seen.state.terminal and _shows_every_step(seen))
        if self.state is not None and self.since is None:
            self.since = seen.at.clock

    def _served(self, seen: Observation) -> JobState | None:
        """Return the state of a job, which has failed if it was trained long ago and still cannot be asked."""
        if seen.done and seen.state is not None and not seen.state.terminal:
            self._trained = seen.at.clock if self._trained is None else self._trained
            if seen.at.clock - self._trained >= UNSERVED:
                return JobState.FAILED
        return seen.state

    def wanting(self, clock: float, *, has_work: bool, apart: bool = False) -> Source | None:
        """Return where to look before the end can be reported; None if it can."""
        if apart:
            if not self.shown:
                return Source.JOB
            given_up = self.shown > _LAST_CHANCES and clock - (self.since or clock) >= UNSEEN
            return Source.WORK if has_work and not self.full and not given_up else None
        over = self.since is not None and clock - self.since >= PATIENCE
        if not self.full and not (over and self.by_work is not None and self.job_looks):
            return Source.JOB
        if self.state is JobState.FAILED and self.by_work is None and self.error is None and has_work and not over:
            return Source.WORK
        return None

    @property
    def pause(self) -> float:
        """Seconds before the wanting look: none at first, then 2, 4, 8, 10, 10 ..."""
        return min(2.0 ** min(self.looks, 8), 10.0) if self.looks else 0.0

    def stands_unseen(self, *, missing: bool) -> bool:
        """Return whether the end is known well enough although the job cannot be seen any more."""
        if self.state in {JobState.FAILED, JobState.CANCELLED}:
            return True
        return self.state is JobState.ACTIVE and (self.model or self.batch) is not None and not missing


def with_snapshots(event: events.Succeeded, snapshots: Iterable[TuningSnapshot]) -> events.Succeeded:
    """Return the event with other snapshots in its model; with none it takes little memory."""
    task = event.model.tuning_task
    if task is None:
        return event
    task = attrs.evolve(task, snapshots=tuple(snapshots))
    return attrs.evolve(event, model=attrs.evolve(event.model, tuning_task=task))


def _shows_every_step(seen: Observation) -> bool:
    """Return whether the look itself does; what was seen before may be of an earlier attempt."""
    return bool(seen.total_steps) and len({item.step for item in seen.snapshots or ()}) >= (seen.total_steps or 0)


@attrs.define
class FailedLooks:
    """Looks that failed in a row, and jobs that could not be seen."""

    count: int = 0
    # Seconds that the server asked to wait.
    hint: float = 0.0
    reported: bool = False
    # Whether the next look tells if this is an outage; a service that asks for patience is not out.
    suspect: bool = False
    _since: float = 0.0
    _missing_since: float | None = None
    _forbidden_since: float | None = None

    def failed(self, error: CallError | CredentialsError, clock: float) -> bool:
        """Count a failure and return whether it is time to report it; without a credential that is at once."""
        if not self.count and not self.reported:
            self._since = clock
        self.count += 1
        self.hint = min(getattr(error, "retry_after", None) or 0.0, LONGEST_HINT)
        self.suspect = self.count < DEGRADED_AFTER and not self.hint and not isinstance(error, QuotaExhausted)
        # Two failures in a row are everyday; a refused credential does not heal while one waits.
        if self.reported or (self.count < DEGRADED_AFTER and not isinstance(error, CredentialsError)):
            return False
        self.reported = True
        return True

    def succeeded(self, seen: Observation) -> float | None:
        """Forget the failures; return the downtime in seconds if they were reported."""
        downtime = seen.at.clock - self._since if self.reported else None
        self.count, self.hint, self.reported = 0, 0.0, False
        if seen.source is not Source.WORK:
            self._missing_since = None
        if seen.source is Source.JOB:
            self._forbidden_since = None
        return downtime

    def unseen(self, *, missing: bool, clock: float) -> float:
        """Count a missing (404) or forbidden (403) job; return the seconds until that is certain."""
        self.count, self.hint = 0, 0.0
        # Each has a clock of its own, so that a job that is now missing, now forbidden is decided all the same.
        if missing:
            self._missing_since = clock if self._missing_since is None else self._missing_since
            return max(self._missing_since + GONE_AFTER - clock, 0.0)
        self._forbidden_since = clock if self._forbidden_since is None else self._forbidden_since
        return max(self._forbidden_since + FORBIDDEN_AFTER - clock, 0.0)

    @property
    def hidden(self) -> bool:
        """Whether the last look at the job itself did not find it."""
        return self._missing_since is not None or self._forbidden_since is not None
