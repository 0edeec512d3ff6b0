"""A sweep: one passage through the list, a page at a time, with the pages spread over the time until the next one."""

from __future__ import annotations

import attrs

from gemtune.pager import Pages
from gemtune.story.observation import Listed
from gemtune.watch.agenda import Item


@attrs.define(eq=False)
class Sweep(Item):
    """Where the passage through the list stands; it is due when its next page is.

    Pages that follow each other at once would take all tokens, so that the ends which they tell would wait for theirs.
    """

    pages: Pages[Listed] | None = attrs.field(default=None, init=False)
    """The list; None between two passages."""
    began: float = attrs.field(default=0.0, init=False)
    taken: int = attrs.field(default=0, init=False)
    """Pages of this passage so far."""
    seen: int = attrs.field(default=0, init=False)
    """Jobs that go on and were on them."""
    looking: bool = attrs.field(default=False, init=False)
    passages: int = attrs.field(default=0, init=False)
    """How often the list was gone through to its end."""
    _usual: int = attrs.field(default=0, init=False)

    def begin(self, pages: Pages[Listed], now: float) -> None:
        """Begin at the first page."""
        self.pages, self.began, self.taken, self.seen = pages, now, 0, 0

    def end(self, *, whole: bool) -> None:
        """Leave the list, having gone through it or not; a passage after one that was broken off knows no delay."""
        self.pages, self.passages = None, self.passages + whole
        self._usual = self.taken if whole else 0

    @property
    def expected(self) -> int:
        """How many pages this passage will have, as far as is known."""
        return max(self.taken, self._usual)

    def next_page(self, now: float, pause: float) -> float:
        """Return when the next page is due, if ``pause`` seconds lie between the beginnings of two passages.

        The first passage is made without delay; in a list that has grown, so is what is new.
        """
        return max(now, self.began + pause * self.taken / self._usual) if self.taken < self._usual else now
