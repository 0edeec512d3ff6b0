"""The board: all records, and who has yet to read which.

A change marks the record as dirty for every subscription it concerns; what has changed each subscription finds out
by itself from its own place in the story. So a subscription takes memory for each job and none for each event, and
a slow one delays nobody.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import attrs

from gemtune import events
from gemtune.events import Event
from gemtune.story.cursor import Cursor, parse_cursor
from gemtune.watch.record import Record

if TYPE_CHECKING:
    from gemtune.watch.subscription import Subscription

_KEPT: Final = 1024
"""Snapshot events that are kept as they were made; older ones are made again from the log."""


@attrs.define(eq=False)
class Board:
    """The watched jobs by name, the service's own record, and the subscriptions."""

    records: dict[str, Record] = attrs.field(factory=dict, init=False)
    service: Record = attrs.field(factory=lambda: Record(None), init=False)
    live: int = attrs.field(default=0, init=False)
    """Jobs whose end has not been told."""
    endless: bool = attrs.field(default=False, init=False)
    """Whether jobs may come by themselves, so that a subscription to all never ends."""
    dismissed: dict[str, Cursor] = attrs.field(factory=dict, init=False)
    """What was read of the jobs that were discarded and not added again: a sweep must not bring them back."""
    began: float = attrs.field(default=0.0, init=False)
    """When the watch began, or the one that it resumes, in seconds since 1970."""
    running: bool = attrs.field(default=False, init=False)
    closed: bool = attrs.field(default=False, init=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    delivered: int = attrs.field(default=0, init=False)
    _detached: weakref.WeakValueDictionary[str, Record] = attrs.field(factory=weakref.WeakValueDictionary, init=False)
    """Discarded jobs that go on, as long as there is a reader for whom they would go on, too."""
    _leaving: dict[Record, None] = attrs.field(factory=dict, init=False)
    """Discovered jobs that have ended, until everybody knows."""
    _unsettled: bool = attrs.field(default=False, init=False)
    _subscriptions: dict[int, weakref.ref[Subscription[Event]]] = attrs.field(factory=dict, init=False)
    _fresh: OrderedDict[tuple[Record, int], events.Snapshot] = attrs.field(factory=OrderedDict, init=False)

    def add(self, record: Record, told: Iterable[Event]) -> None:
        """Take in a record under its name."""
        self.records[record.name] = record
        self.dismissed.pop(record.name, None)
        self.live += 1
        self.tell(record, told)

    def remove(self, record: Record, told: Iterable[Event], cursor: Cursor) -> None:
        """Forget a discarded record but for the cursor of its readers; whoever has yet to read of it still can."""
        del self.records[record.name]
        self._leaving.pop(record, None)
        self.dismissed[record.name] = cursor
        self.tell(record, told)
        if not record.ended:
            self._detached[record.name] = record
        self._part(record)

    def renew(self, name: str) -> Record | None:
        """Return a record with which a discarded job goes on where its readers are; None if nobody holds it."""
        former = self._detached.pop(name, None)
        if former is None:
            return None
        record = former.renewed()
        for subscription in self.subscriptions():
            subscription._follow(former, record)
        return record

    def settle(self, record: Record) -> None:
        """Let go of a discovered job once its end was read, and by everybody who is there."""
        if record not in self._leaving or not record.end_read:
            return
        if not any(subscription._is_behind(record) for subscription in self.subscriptions()):
            del self._leaving[record]
            history = record.history
            assert history is not None  # noqa: S101 - only jobs leave
            self.records[record.name] = Record.of_the_past(parse_cursor(history.cursor), history.state)
            self._part(record)

    def _part(self, record: Record) -> None:
        for index in range(record.snapshots):
            self._fresh.pop((record, index), None)
        for subscription in self.subscriptions():
            subscription._part(record)

    @property
    def watched(self) -> dict[str, Record]:
        """The records without those that only hold the place of a job."""
        return {name: record for name, record in self.records.items() if not record.past}

    def tell(self, record: Record, told: Iterable[Event]) -> None:
        """Put events into a record's story and wake whoever is concerned."""
        told = list(told)
        if not told:
            return
        fresh = record.tell(told)
        first = record.snapshots - len(fresh)
        for index, event in enumerate(fresh, first):
            self._fresh[record, index] = event
        while len(self._fresh) > _KEPT:
            self._fresh.popitem(last=False)
        ends = sum(events.is_terminal(event) for event in told)
        begins = sum(isinstance(event, events.Added) and event.origin == events.Origin.RECREATED for event in told)
        self.live += begins - ends
        if record.discovered and self.records.get(record.name) is record:
            if record.ended:
                self._leaving[record] = None
            else:
                self._leaving.pop(record, None)
        for subscription in self.subscriptions():
            subscription._notice(record)
        if self._unsettled:
            self._settle_all()

    def snapshot(self, record: Record, index: int) -> events.Snapshot | None:
        """Return a snapshot's event if it is still at hand."""
        return self._fresh.get((record, index))

    def subscriptions(self) -> Iterator[Subscription[Event]]:
        """Yield the open subscriptions."""
        held = [reference() for reference in list(self._subscriptions.values())]
        return iter([subscription for subscription in held if subscription is not None])

    def attend(self, subscription: Subscription[Event]) -> None:
        """Take in a subscription; it is forgotten as soon as nobody else holds it."""
        key, board = id(subscription), weakref.ref(self)

        def forget(_: object) -> None:
            if (found := board()) is not None:
                found._subscriptions.pop(key, None)
                found._unsettled = True  # a collector may call this from anywhere

        self._subscriptions[key] = weakref.ref(subscription, forget)

    def leave(self, subscription: Subscription[Event]) -> None:
        """Forget a subscription."""
        self._subscriptions.pop(id(subscription), None)
        self._settle_all()

    def _settle_all(self) -> None:
        self._unsettled = False
        for record in list(self._leaving):
            self.settle(record)

    def wants_steps(self, record: Record) -> bool:
        """Return whether anybody wants to know of each step, for which a list is not enough."""
        return any(subscription._wants_steps(record) for subscription in self.subscriptions())

    def close(self, error: BaseException | None = None) -> None:
        """Let every reader finish with what there is, or fail with what ended the watch."""
        if not self.closed:
            self.closed, self.error = True, error
            for subscription in self.subscriptions():
                subscription._wake()
