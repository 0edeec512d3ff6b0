"""What is to be asked next: a heap with lazy deletion, in which what is pressing goes first."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

import attrs


@attrs.define(eq=False)
class Item:
    """Something that is due at a time; of its entries in the heaps only the last one counts."""

    due: float | None = attrs.field(default=None, init=False)
    _entry: int = attrs.field(default=0, init=False)


ItemT = TypeVar("ItemT", bound=Item)
_Heap = list[tuple[float, int, ItemT]]


@attrs.define(eq=False)
class Agenda(Generic[ItemT]):
    """The items by their time; the oldest due is the next, so that nothing starves."""

    _heaps: tuple[_Heap[ItemT], _Heap[ItemT]] = attrs.field(factory=lambda: ([], []), init=False)
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _items: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        """Return how many items have a time."""
        return self._items

    def put(self, item: ItemT, due: float, *, pressing: bool = False) -> None:
        """Give an item a time, instead of any it had."""
        self._items += item.due is None
        item.due, item._entry = due, next(self._numbers)
        heap = self._heaps[0 if pressing else 1]
        heapq.heappush(heap, (due, item._entry, item))
        if len(heap) > 2 * self._items + 64:
            heap[:] = [entry for entry in heap if _counts(entry)]
            heapq.heapify(heap)

    def drop(self, item: ItemT) -> None:
        """Take away an item's time."""
        self._items -= item.due is not None
        item.due, item._entry = None, 0

    def next_due(self) -> float | None:
        """Return when the next item is due; None if there is none."""
        return min((heap[0][0] for heap in map(self._clean, self._heaps) if heap), default=None)

    def take(self, now: float | None) -> ItemT | None:
        """Take out what is due by now, what is pressing first; None if nothing is.

        Args:
            now: The time; None takes the next item whenever it is due.
        """
        for heap in map(self._clean, self._heaps):
            if heap and (now is None or heap[0][0] <= now):
                item = heapq.heappop(heap)[2]
                self.drop(item)
                return item
        return None

    def overdue(self, now: float) -> list[ItemT]:
        """Return the items that were due before now, of those that are not pressing."""
        return [entry[2] for entry in self._heaps[1] if entry[0] < now and _counts(entry)]

    def _clean(self, heap: _Heap[ItemT]) -> _Heap[ItemT]:
        while heap and not _counts(heap[0]):
            heapq.heappop(heap)
        return heap


def _counts(entry: tuple[float, int, ItemT]) -> bool:
    return entry[2]._entry == entry[1]
