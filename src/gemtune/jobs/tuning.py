"""TuningJob: a handle on a tuning job that runs on the service. What all handles have stands in ``handle.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from gemtune import events
from gemtune.datasets.report import DataReport
from gemtune.events import JobState, TerminalEvent
from gemtune.jobs.handle import JobHandle
from gemtune.jobs.outcomes import tuning_failure
from gemtune.notebook.handles import PicturedJobs
from gemtune.story.snapshots import Snapshots
from gemtune.types import Checkpoint, DataStats, Hyperparameters, TunedModel


@attrs.frozen
class TuningProgress:
    """How far a job is.

    Args:
        completed_steps: Steps done.
        total_steps: Steps in all; None while unknown.
        percent: 0 to 100; None while unknown.
    """

    completed_steps: int
    total_steps: int | None
    percent: float | None


@attrs.frozen(eq=False, repr=False)
class TuningFacts(JobHandle[JobState, TunedModel], PicturedJobs):
    """How a tuning job is as of the last look, whichever handle or watcher of the client made it; nothing waits."""

    def __repr__(self) -> str:
        progress = self.progress
        total = "?" if progress.total_steps is None else progress.total_steps
        newest = self.snapshots[-1] if self.snapshots else None
        loss = f" loss={newest.mean_loss:.4g}" if newest is not None else ""
        return f"<TuningJob {self.name} {self.state} {progress.completed_steps}/{total} steps{loss}>"

    @property
    def state(self) -> JobState:
        """The state."""
        return self._follower.known.state

    @property
    def operation(self) -> str | None:
        """The operation's name, if it is known; a look at a job of another process finds it."""
        works = (self._seen.work, self._follower.history.work)
        return next((work.name for work in works if work.name is not None and not work.apart), None)

    @property
    def base_model(self) -> str | None:
        """The model that is tuned; None while unknown."""
        return self._follower.known.about.base_model

    @property
    def hyperparameters(self) -> Hyperparameters | None:
        """What controls the training; None while unknown. What was left out is filled in once the service has said."""
        return self._follower.known.about.hyperparameters

    @property
    def data_stats(self) -> DataStats | None:
        """What the service has made of the data; None as long as it has not said, and on the Gemini API."""
        return self._follower.known.standing.data_stats

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints so far, by step; empty on the Gemini API. Those with an endpoint can be asked."""
        return self._follower.known.standing.checkpoints

    @property
    def endpoint(self) -> str | None:
        """The endpoint that serves the model; None as long as there is none, and on the Gemini API."""
        return self._follower.known.standing.endpoint

    @property
    def progress(self) -> TuningProgress:
        """The progress."""
        headway = self._seen.headway
        return TuningProgress(headway.completed_steps, headway.total_steps, headway.percent)

    @property
    def snapshots(self) -> Snapshots:
        """The snapshots seen so far, a sequence that grows."""
        return Snapshots(self._follower.known)

    def _rows(self) -> Iterator[Mapping[str, object]]:
        return (snapshot.to_dict() for snapshot in self.snapshots)

    def _result_of(self, outcome: TerminalEvent) -> TunedModel:
        if isinstance(outcome, events.Succeeded):
            return outcome.model
        raise tuning_failure(self.name, outcome)


@attrs.frozen(eq=False, repr=False)
class TuningJob(TuningFacts):
    """A handle on one tuning job: await it, iterate over its events, cancel it.

    ``await job`` returns the TunedModel, or raises TuningFailed, TuningCancelled or TuningLost. ``client.job(name)``
    returns a handle on a job that another process created. What a handle says of its job, it says as of the last look,
    whichever handle or watcher of the client made that.

    Args:
        data: What ``client.tune`` read of the training data; None for a handle that another call returned.
        adopted: Whether ``client.tune`` took over a job that existed already, and created none.
    """

    data: DataReport | None = None
    adopted: bool = False
