"""Small ledgers of a history: the work that carries a job out, and how far the job is."""

from __future__ import annotations

from collections.abc import Container

import attrs

from gemtune.errors import CallError, CredentialsError, PermissionDenied
from gemtune.story.observation import Observation, Source
from gemtune.types.batches import BatchCounts


@attrs.define
class KnownWork:
    """What is known of the work that carries a job out.

    Args:
        name: Its name; without one, only the job itself can be looked at.
        seeks: Whether a look at the work can find its name.
    """

    name: str | None = None
    seeks: bool = False
    _sought: bool = False
    _gone: bool = False
    # The work of a job that another one of its name has replaced: what it says is about nobody any more.
    _retired: str | None = None
    # Whether the job itself shows no snapshots, so that its work, which then says no more than these, is looked at in
    # turn with it.
    apart: bool = False
    # Why it may not be looked at, although the job itself may; empty if it may, or is not known to exist.
    denied: str = ""
    # How often it was not there, and how many looks at the job pass until it is looked for again.
    _missed: int = 0
    _rest: int = 0

    @property
    def seekable(self) -> bool:
        """Whether its name is unknown and can still be looked for."""
        return self.name is None and self.seeks and not self._sought and not self.apart

    @property
    def there(self) -> bool:
        """Whether it can be looked at, or looked for."""
        return self.seekable or (self.name is not None and not self._gone)

    def is_foreign(self, job: str, seen: Observation) -> bool:
        """Return whether a look was at the work of another job, or of one that was replaced since."""
        return seen.job not in {None, job} or (seen.work is not None and seen.work == self._retired)

    def note(self, seen: Observation) -> bool:
        """Take in what a look says of it; return whether the look only found that there is no such work."""
        if seen.source is Source.WORK:
            self.denied = ""
        if seen.source is Source.JOB:
            self.apart = seen.snapshots is None
            if self.apart and seen.work is not None:
                self._named(seen)
        if self.apart and seen.work not in {None, self.name}:
            self.name = seen.work  # what it takes to find the snapshots is found out bit by bit
        self.name = self.name or seen.work
        self._sought = self._sought or seen.sought
        return seen.sought and seen.source is Source.WORK and self.name is None

    def _named(self, seen: Observation) -> None:
        """Take in that the job names its work; if that could not be found, it is looked for again now and then."""
        if self._gone:
            ended = seen.state is not None and seen.state.terminal
            self._rest = 0 if ended or seen.work != self.name else self._rest - 1
            self._gone = self._rest > 0

    def other(self, looked_at: Container[Source]) -> Source | None:
        """Return the other place to look at for all that is known, if the job and its work are looked at in turn."""
        if not self.apart:
            return None
        places = [Source.JOB, *([Source.WORK] if self.there else [])]
        return next((place for place in places if place not in looked_at), None)

    def expire(self, error: CallError | CredentialsError | None = None) -> None:
        """Take in that it is gone, that there is none to be found, or that it cannot be seen."""
        self.denied = error.message if isinstance(error, PermissionDenied) else ""
        self._gone = self._sought = True
        self._missed += 1
        self._rest = 2 ** min(self._missed, 5)

    def seek_again(self) -> None:
        """Allow another search for its name."""
        self._sought = False

    def retire(self) -> None:
        """Take in that the job was replaced by another of its name."""
        self._retired, self.name = self.name or self._retired, None
        self._gone = self._sought = False


@attrs.define
class Headway:
    """How far a job is; it only ever goes forward, but for a restart."""

    completed_steps: int = 0
    total_steps: int | None = None
    percent: float | None = None
    # Of a batch, how many requests are where.
    counts: BatchCounts | None = None
    # When some of them were first seen to be finished, by the monotonic clock, and how many; and the same of the last.
    _first: tuple[float, int] | None = None
    _last: tuple[float, int] | None = None

    @property
    def answered(self) -> int:
        """How many requests of a batch are finished; 0 of a tuning job."""
        return 0 if self.counts is None else self.counts.finished

    @property
    def per_request(self) -> float | None:
        """Seconds from one request of a batch that ends to the next, since somebody looks; None while unknown."""
        if self._first is None or self._last is None or self._first[1] == self._last[1]:
            return None
        return (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])

    @property
    def remaining(self) -> int | None:
        """Steps to go; None while the total is unknown."""
        return None if self.total_steps is None else max(self.total_steps - self.completed_steps, 0)

    def restart(self) -> None:
        """Begin another attempt at the same total."""
        self.completed_steps, self.percent = 0, None

    def note(self, seen: Observation, highest: int) -> bool:
        """Take in a look and the highest step seen so far; return whether anything has changed."""
        before = (self.completed_steps, self.total_steps, self.percent, self.counts)
        total = seen.total_steps or self.total_steps
        done = max(seen.completed_steps or 0, highest, self.completed_steps)
        if seen.percent is not None and seen.completed_steps == done:
            self.percent = seen.percent
        elif total and (done, total) != before[:2]:
            # The service's own percentage is of an older moment, or of a look that does not have one.
            self.percent = 100.0 * done / total
        elif seen.percent is not None and not total:
            self.percent = max(seen.percent, self.percent or 0.0)
        self.completed_steps, self.total_steps = done, total
        if seen.counts is not None and (self.counts is None or seen.counts.finished >= self.counts.finished):
            if self.counts is None or seen.counts.finished > self.counts.finished:
                self._last = (seen.at.clock, seen.counts.finished)
                # As long as nothing is finished it waits, which says nothing about how fast it will be.
                self._first = self._first or self._last
            elif not seen.counts.finished:
                self._first = self._last = (seen.at.clock, 0)
            self.counts = seen.counts
        return before != (self.completed_steps, self.total_steps, self.percent, self.counts)
