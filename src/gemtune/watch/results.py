"""What a watcher shows of itself: how a wait ended, its statistics, its jobs as pictures and in a frame."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

import attrs

from gemtune import events
from gemtune.errors import JobError
from gemtune.events import JobState, TerminalEvent
from gemtune.jobs.outcomes import failure
from gemtune.notebook.handles import PicturedJobs, view_of
from gemtune.notebook.places import Shown
from gemtune.protocol.names import is_batch_name
from gemtune.rows.frames import SNAPSHOT_COLUMNS
from gemtune.show.picture import JobPicture
from gemtune.watch.board import Board


@attrs.frozen(repr=False)
class WaitResult:
    """How a wait ended.

    Args:
        done: The terminal event of each job that has ended, in the order in which they did.
        pending: The jobs that have not.
    """

    done: Mapping[str, TerminalEvent]
    pending: frozenset[str]

    def __repr__(self) -> str:
        counts = Counter(event.kind for event in self.done.values())
        said = [f"{count} {kind}" for kind, count in counts.items()]
        return f"<WaitResult {', '.join([*said, f'{len(self.pending)} pending'])}>"

    def raise_for_failures(self) -> None:
        """Raise the errors of all jobs that did not end well.

        Raises:
            ExceptionGroup: Of JobError: TuningFailed, TuningCancelled and TuningLost, and the same of batches.
        """
        ends = self.done.items()
        good = events.Succeeded | events.Completed
        errors = [failure(name, event) for name, event in ends if not isinstance(event, good)]
        if errors:
            said = "did not end well" if any(map(is_batch_name, self.done)) else "have no model"
            raise ExceptionGroup[JobError](f"{len(errors)} of {len(self.done)} jobs {said}", errors)


@attrs.frozen(kw_only=True)
class WatcherStatistics:
    """What a watcher is doing and has done.

    Args:
        jobs: How many jobs are in which state.
        requests: How many requests were made, by method; failed ones included.
        sweeps: How many times the list was gone through.
        effective_freshness: The greatest age in seconds that a snapshot can have at its delivery with the requests
            that are allowed; more than ``WatchPolicy.freshness`` if too many jobs are looked at one by one.
        overdue: Jobs whose look is due and waits for a request to be allowed.
        in_flight: Requests under way.
        throttled: How often the service said that it was too much (429).
        outage: Whether the service is out at present.
        stalls: How often everything stood still for more than 5 s.
        delivered: Events delivered to all subscribers together.
        subscribers: Open subscriptions.
        backlog: Of the subscription that is furthest behind, the jobs that it has yet to read.
        running: Whether it was entered or started, and not closed since.
    """

    jobs: Mapping[JobState, int]
    requests: Mapping[str, int]
    sweeps: int
    effective_freshness: float
    overdue: int
    in_flight: int
    throttled: int
    outage: bool
    stalls: int
    delivered: int
    subscribers: int
    backlog: int
    running: bool


LEFT: Final = "left; the jobs continue: run the cell again to see them"


class ShownWatch(PicturedJobs):
    """The watched jobs, as far as people look at them; nothing waits."""

    _COLUMNS: ClassVar = ("job", "title", *SNAPSHOT_COLUMNS[:3], "eval_loss", *SNAPSHOT_COLUMNS[3:])
    _board: Board

    def __repr__(self) -> str:
        state = "running" if self._board.running else "closed" if self._board.closed else "not started"
        return f"<Watcher {state}: {len(self._board.watched)} jobs, {self._board.live} unfinished>"

    @abstractmethod
    def pictures(self) -> list[JobPicture]:
        """Return what a person sees of the watched jobs."""

    @property
    def jobs(self) -> dict[str, JobState]:
        """The watched jobs and their states as of the last look.

        A job that the filter found is watched until it has ended and every subscriber has read its end.
        """
        return {name: job.history.state for name, job in self._board.watched.items()}

    def _pictures(self) -> list[JobPicture]:
        return self.pictures()

    def _rows(self) -> Iterator[Mapping[str, object]]:
        titles = {picture.name: picture.title for picture in self.pictures()}
        for name, job in self._board.watched.items():
            for snapshot in job.history.snapshots:
                yield {"job": name, "title": titles.get(name, name), **snapshot.to_dict()}

    def _view(self, note: str = "") -> Shown:
        return view_of(self.pictures(), note, many=True)
