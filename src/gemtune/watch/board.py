"""The board: all records, and who has yet to read which.

A change marks the record as dirty for every subscription it concerns; what has changed each subscription finds out
by itself from its own place in the story.  So a subscription takes memory for each job and none for each event, and
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
from gemtune.watch.record import Record

if TYPE_CHECKING:
    from gemtune.watch.subscription import Subscription

__all__ = ["Board"]

_KEPT: Final = 4096
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
    dismissed: set[str] = attrs.field(factory=set, init=False)
    """Names that were discarded and not added again: a sweep must not bring them back."""
    running: bool = attrs.field(default=False, init=False)
    closed: bool = attrs.field(default=False, init=False)
    error: BaseException | None = attrs.field(default=None, init=False)
    delivered: int = attrs.field(default=0, init=False)
    _subscriptions: dict[int, weakref.ref[Subscription[Event]]] = attrs.field(factory=dict, init=False)
    _fresh: OrderedDict[tuple[Record, int], events.Snapshot] = attrs.field(factory=OrderedDict, init=False)

    def add(self, record: Record, told: Iterable[Event]) -> None:
        """Take in a record under its name."""
        self.records[record.name] = record
        self.dismissed.discard(record.name)
        self.live += 1
        for subscription in self.subscriptions():
            subscription.meet(record)
        self.tell(record, told)

    def remove(self, record: Record) -> None:
        """Forget a record whose end has been told; whoever has yet to read of it still can."""
        del self.records[record.name]
        self.dismissed.add(record.name)

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
        for subscription in self.subscriptions():
            subscription.notice(record, begins - ends)

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

        self._subscriptions[key] = weakref.ref(subscription, forget)

    def leave(self, subscription: Subscription[Event]) -> None:
        """Forget a subscription."""
        self._subscriptions.pop(id(subscription), None)

    def wants_steps(self, record: Record) -> bool:
        """Return whether anybody wants to know of each step, for which a list is not enough."""
        return any(subscription.wants_steps(record) for subscription in self.subscriptions())

    def close(self, error: BaseException | None = None) -> None:
        """Let every reader finish with what there is, or fail with what ended the watch."""
        if not self.closed:
            self.closed, self.error = True, error
            for subscription in self.subscriptions():
                subscription.wake()
