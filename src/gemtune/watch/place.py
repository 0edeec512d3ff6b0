"""Where a reader is in the story of one job, and what the cursor with which it began says of that."""

from __future__ import annotations

import attrs

from gemtune import events
from gemtune.events import Event, is_terminal
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.watch.record import Mark, Record


@attrs.define(eq=False)
class Place:
    """Where a subscription is in one job's story, of which its owner has had what ``since`` says."""

    since: Cursor | None = None
    index: int = 0
    mark: int = 0
    open: bool = False
    """Whether the job's end has yet to come."""
    progress: events.Progress | None = None
    trouble: events.Degraded | None = None
    """The last outage that was told, or that was over before."""
    degraded: bool = False
    """Whether it was told and its end was not."""
    stranger: bool = False
    """Whether the job's history and the subscription went on from different cursors, if from any."""
    given: bool = False
    replayed: int | None = 0
    """How many snapshots may have been delivered before; None: those that are there when the first is."""

    def cursor(self, record: Record) -> str:
        """Return the cursor of what was given here of a job."""
        if self.since is not None and has_end(record, self.since):
            return str(self.since)
        over = record.ended and self.mark == len(record.marks)
        return self._of_a_stranger(record) if self.stranger and not over else record.cursor(self.index, self.mark)

    def restamped(self, record: Record, event: Event) -> Event:
        """Return an event with the cursor of its reader, who has not had what the history went on from."""
        if record.history is None or isinstance(event, events.Snapshot) or is_terminal(event):
            return event
        return attrs.evolve(event, cursor=self._of_a_stranger(record))

    def _of_a_stranger(self, record: Record) -> str:
        assert record.history is not None  # noqa: S101 - the service has no cursor
        if self.given:
            return record.history.log.cursor(self.index)
        return str(self.since or Cursor(job=record.name))


def has_end(record: Record, since: Cursor | None) -> bool:
    """Return whether a cursor's owner has had the end of a job, and no other was made under the name since."""
    if since is None or not since.ended or record.history is None:
        return False
    return not 0 < since.created < record.history.log.now.created


def had(record: Record, mark: Mark, since: Cursor | None) -> bool:
    """Return whether a cursor's owner has dealt with a mark."""
    if since is None:
        return False
    then = parse_cursor(mark.event.cursor)
    if since.created and then.created and then.created != since.created:
        return then.created < since.created
    if since.ended or is_terminal(mark.event):
        return since.ended
    if isinstance(mark.event, events.Restarted):  # whoever had a snapshot of the new run was told of it before
        history = record.history
        return history is not None and mark.at < record.snapshots and history.log.had(mark.at, since)
    return then.newest < since.newest
