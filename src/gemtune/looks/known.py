"""What is known of one job, whoever looked.

A handle, an iterator from a cursor and a watcher each keep a history of their own, because each has delivered something
else. What a job *is*, is none of that: here stands which of the histories knows most, and everything that a handle says
is read from it. Nothing is copied. The history of a watcher that has gone lives on as long as a handle shows it.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from gemtune.events import Event, JobState, Lost, StateChanged, Succeeded, TerminalEvent, is_terminal
from gemtune.story.ending import with_snapshots
from gemtune.story.history import History
from gemtune.story.observation import NOTHING, PLAIN, About, Standing
from gemtune.story.snapshots import SnapshotLog


@attrs.define(eq=False)
class KnownJob:
    """The history that knows most of a job.

    Args:
        history: The first one.
    """

    history: History
    about: About = attrs.field(default=NOTHING, init=False)
    standing: Standing = attrs.field(default=PLAIN, init=False)

    def __attrs_post_init__(self) -> None:
        self.about, self.standing = self.history.about, self.history.standing

    @property
    def log(self) -> SnapshotLog:
        """The snapshots."""
        return self.history.log

    @property
    def state(self) -> JobState:
        """The state, or the one that the job will be said to have ended in, once all is known that belongs to it."""
        seen = self.history.state
        return seen if seen is not JobState.UNKNOWN else self.history.ending.state or seen

    @property
    def end(self) -> TerminalEvent | None:
        """How the job ended, if anybody saw that. That somebody cannot see the job says nothing about its end."""
        outcome = self.history.outcome
        if isinstance(outcome, Lost):
            return None
        return with_snapshots(outcome, self.history.snapshots) if isinstance(outcome, Succeeded) else outcome

    def unknown(self, history: History, reported: Iterable[Event]) -> list[Event]:
        """Return those events of a history that no other has shown: so a log says each state once, whoever looked."""
        other = self.history
        if other is history or history.log.now.created != other.log.now.created:
            return [*reported]
        return [
            event
            for event in reported
            if not (isinstance(event, StateChanged) and event.new == other.state)
            and not (is_terminal(event) and type(event) is type(other.outcome))
        ]

    def saw(self, history: History) -> None:
        """Take in that a look was made for a history of this job."""
        if history is not self.history and _is_ahead(history, self.history):
            self.history = history
        self.about = self.about.updated(history.about)
        if history.standing.at >= self.standing.at:
            self.standing = history.standing


def _is_ahead(one: History, other: History) -> bool:
    """Return whether a history knows at least as much of a job as another."""
    created, before = one.log.now.created, other.log.now.created
    if created and before and created != before:
        return created > before  # a job that was made anew under the same name
    return _knowledge(one) >= _knowledge(other)


def _knowledge(history: History) -> tuple[float, ...]:
    ended = history.outcome is not None and not isinstance(history.outcome, Lost)
    # The newest time comes first: a job that was restarted has fewer snapshots than before.
    return (
        ended,
        history.log.now.newest,
        len(history.snapshots),
        history.log.more.values if history.log.more is not None else 0,
        history.headway.completed_steps,
        history.headway.total_steps is not None,
        history.state is not JobState.UNKNOWN,
        history.finished,
    )
