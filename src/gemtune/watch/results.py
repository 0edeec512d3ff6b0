"""What ``wait`` and ``statistics`` return."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from gemtune import events
from gemtune.errors import TuningError
from gemtune.events import JobState, TerminalEvent
from gemtune.jobs import failure


@attrs.frozen
class WaitResult:
    """How a wait ended.

    Args:
        done: The terminal event of each job that has ended, in the order in which they did.
        pending: The jobs that have not.
    """

    done: Mapping[str, TerminalEvent]
    pending: frozenset[str]

    def raise_for_failures(self) -> None:
        """Raise the errors of all jobs that ended without a model.

        Raises:
            ExceptionGroup: Of TuningFailed, TuningCancelled and TuningLost.
        """
        ends = self.done.items()
        errors = [failure(name, event) for name, event in ends if not isinstance(event, events.Succeeded)]
        if errors:
            raise ExceptionGroup[TuningError](f"{len(errors)} of {len(self.done)} jobs have no model", errors)


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
