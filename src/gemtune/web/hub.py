"""The hub of a dashboard: keeps its ledger up to date for as long as somebody listens.

It has no task of its own. While there is a listener, one subscription says which jobs have news; one of the listeners
reads it for all, and if that one leaves, another takes over. So a hub costs nothing while nobody looks, and a listener
who goes away leaves nothing behind.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import anyio
import attrs

from gemtune import events
from gemtune.errors import GemtuneError
from gemtune.show.picture import BatchPicture, JobPicture
from gemtune.watch import Subscription, Watcher
from gemtune.web.asking import Samples
from gemtune.web.ledger import PageLedger, encoded

PACE: Final = 0.5
"""Seconds between two messages about the same job, at least."""
_IDLE: Final = 1.0
"""Seconds between two looks at what does not report itself: batches, the watcher's statistics."""


class Pictured(Protocol):
    """Something that shows how far it is, such as a batch."""

    def picture(self) -> BatchPicture:
        """Return what a person sees of it now."""
        ...


@attrs.define(eq=False)
class Hub:
    """What the listeners of one dashboard share.

    Args:
        watcher: Whose jobs are shown.
        batches: The batches to show; it may change.
        options: What the page is told of itself.
        samples: Answers of models.
    """

    watcher: Watcher
    batches: Callable[[], Collection[Pictured]] = tuple
    options: Mapping[str, object] = attrs.field(factory=dict)
    samples: Samples = attrs.field(factory=Samples)
    ledger: PageLedger = attrs.field(factory=PageLedger, init=False)
    # Whether the watcher ran and was closed since: nothing more will come.
    over: bool = attrs.field(default=False, init=False)
    _began: bool = attrs.field(default=False, init=False)
    _failure: str = attrs.field(default="", init=False)
    _listeners: int = attrs.field(default=0, init=False)
    _numbers: dict[int, tuple[Pictured, str]] = attrs.field(factory=dict, init=False)
    _dirty: set[str] = attrs.field(factory=set, init=False)
    _subscription: Subscription[events.Event] | None = attrs.field(default=None, init=False)
    _looked: float | None = attrs.field(default=None, init=False)
    _reading: bool = attrs.field(default=False, init=False)
    _turn: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count as a listener for the length of the block."""
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1
            if not self._listeners and self._subscription is not None:
                self._subscription.close()
                self._subscription = None

    def catch_up(self) -> None:
        """Take in what there is to know now; nothing is asked, and nothing waits."""
        now, blind = anyio.current_time(), self._subscription is None
        if blind and self._listeners:
            self._subscription = self.watcher.subscribe(passive=True)
        while self._subscription is not None and (event := self._subscription.next_nowait()) is not None:
            self._note(event)
        # Without a subscription nobody says what has changed; and the service's own trouble is every job's.
        wanted = None if blind or "" in self._dirty else self._dirty
        pictures = self.watcher.pictures(wanted)
        remaining = {picture.name for picture in pictures}
        if wanted is not None:
            remaining |= self.ledger.shown.keys() - wanted
        self.ledger.keep_only(remaining)
        self._dirty.clear()
        for picture in pictures:
            self.ledger.show(picture)
        if self._looked is None or now >= self._looked + _IDLE:
            self._looked = now
            self._look()

    async def news(self, seen: int) -> None:
        """Wait until there is something that a listener has not seen, or nothing more will come."""
        while self.ledger.version <= seen and not self.over:
            if self._reading:
                await self._turn.wait()
                continue
            self._reading = True
            try:
                await self._read()
                self.catch_up()
            finally:
                self._reading = False
                self._wake()

    def tell(self, event: str, value: Mapping[str, object]) -> None:
        """Send a message to all listeners, once."""
        self.ledger.tell(event, value)
        self._wake()

    def whole(self) -> dict[str, object]:
        """Return everything, for a listener who has seen nothing."""
        facts = self.ledger.facts
        return {
            "now": time.time(),
            "options": dict(self.options),
            "jobs": [encoded(picture) for picture in self.ledger.shown.values()],
            "batches": [fact for name, fact in facts.items() if name.startswith("batch ")],
            "samples": {name: [attrs.asdict(each) for each in kept] for name, kept in self.samples.by_job.items()},
            "service": facts["service"],
            "summary": facts["summary"],
        }

    async def _read(self) -> None:
        """Wait for events, and then for as long as it takes to bring others along in one message."""
        began, self._failure = anyio.current_time(), ""
        with anyio.move_on_after(_IDLE):
            if self._subscription is not None:
                try:
                    self._note(await anext(self._subscription))
                except StopAsyncIteration:  # all jobs have ended, or the watcher was closed
                    await anyio.sleep_forever()
                except GemtuneError as error:  # it was not started yet, or failed for good
                    self._failure = str(error)
                    await anyio.sleep_forever()
        await anyio.sleep(max(began + PACE - anyio.current_time(), 0))

    def _wake(self) -> None:
        turn, self._turn = self._turn, anyio.Event()
        turn.set()

    def _note(self, event: events.Event) -> None:
        self._dirty.add(event.job)  # empty if it is about the service

    def _look(self) -> None:
        """Take in what does not report itself."""
        shown = self.ledger.shown.values()
        tones = Counter(str(picture.tone) for picture in shown)
        self.ledger.state("summary", {"jobs": len(shown), "tones": dict(tones)})
        self.ledger.state("service", self._service(shown))
        for name, sample in self.samples.fresh():
            self.ledger.tell("sample", {"name": name, **attrs.asdict(sample)})
        batches = {id(batch): batch for batch in self.batches()}
        for key in self._numbers.keys() - batches.keys():
            number = self._numbers.pop(key)[1]
            self.ledger.retract(f"batch {number}")
            self.ledger.tell("batch_gone", {"id": number})
        for key, batch in batches.items():
            if key not in self._numbers:
                self._numbers[key] = batch, secrets.token_hex(4)
            number = self._numbers[key][1]
            self.ledger.state(f"batch {number}", {"id": number, **batch.picture().to_dict()})

    def _service(self, shown: Collection[JobPicture]) -> dict[str, object]:
        statistics = self.watcher.statistics()
        self.over, self._began = self._began and not statistics.running, self._began or statistics.running
        troubles = [picture.trouble for picture in shown if picture.trouble]
        looked = max((picture.looked_at for picture in shown if picture.looked_at is not None), default=None)
        return {
            "outage": statistics.outage,
            "trouble": self._failure or (troubles[0] if troubles else ""),
            "in_trouble": len(troubles),
            "throttled": statistics.throttled,
            "requests": sum(statistics.requests.values()),
            "freshness": round(statistics.effective_freshness, 1),
            "looked_at": None if looked is None else looked.timestamp(),
        }
