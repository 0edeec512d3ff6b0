"""What is to be asked next: a heap with lazy deletion, in which what is pressing goes first."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, TypeVar

import attrs


@attrs.define(eq=False)
class Due:
    """Something that is due at a time."""

    due: float | None = attrs.field(default=None, init=False)
    # Whether its request is under way.
    looking: bool = attrs.field(default=False, init=False)
    # The number of the only entry in the heaps that counts; earlier ones stay there until they come up.
    _entry: int = attrs.field(default=0, init=False)


DueT = TypeVar("DueT", bound=Due)
_Heap = list[tuple[float, int, DueT]]


@attrs.define(eq=False)
class Agenda(Generic[DueT]):
    """What is due, by its time; the oldest goes first, so that nothing starves."""

    _heaps: tuple[_Heap[DueT], _Heap[DueT]] = attrs.field(factory=lambda: ([], []), init=False)
    _numbers: itertools.count[int] = attrs.field(factory=lambda: itertools.count(1), init=False)
    _size: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return self._size

    def put(self, item: DueT, due: float, *, pressing: bool = False) -> None:
        """Give an item a time, instead of any it had."""
        self._size += item.due is None
        item.due, item._entry = due, next(self._numbers)
        heap = self._heaps[0 if pressing else 1]
        heapq.heappush(heap, (due, item._entry, item))
        # Whoever gets another time leaves an entry behind; ten thousand jobs that are put off must not fill the heap.
        if len(heap) > 2 * self._size + 64:
            heap[:] = [entry for entry in heap if _counts(entry)]
            heapq.heapify(heap)

    def drop(self, item: DueT) -> None:
        """Take away an item's time."""
        self._size -= item.due is not None
        item.due, item._entry = None, 0

    def next_due(self) -> float | None:
        """Return when the next item is due; None if there is none."""
        return min((heap[0][0] for heap in map(self._clean, self._heaps) if heap), default=None)

    def take(self, now: float | None) -> DueT | None:
        """Take out what is due by now, what is pressing first; None if nothing is.

        Args:
            now: The time; None takes the next item whenever it is due.
        """
        # The pressing ones first: what confirms an end is worth more than what may bring one more step.
        for heap in map(self._clean, self._heaps):
            if heap and (now is None or heap[0][0] <= now):
                item = heapq.heappop(heap)[2]
                self.drop(item)
                return item
        return None

    def overdue(self, now: float) -> list[DueT]:
        """Return the items that were due before now, of those that are not pressing."""
        return [entry[2] for entry in self._heaps[1] if entry[0] < now and _counts(entry)]

    def _clean(self, heap: _Heap[DueT]) -> _Heap[DueT]:
        while heap and not _counts(heap[0]):
            heapq.heappop(heap)
        return heap


def _counts(entry: tuple[float, int, DueT]) -> bool:
    return entry[2]._entry == entry[1]
