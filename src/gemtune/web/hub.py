"""What the listeners of a dashboard share: the pictures of all jobs and batches, and which are new to whom.

It has no task of its own and no queue for anybody. A listener says up to which *version* it has seen everything; what
changed since is encoded once and sent to all. So a slow listener is sent the latest state and never what it missed, and
one that goes away leaves nothing behind. While there is a listener, one subscription tells which jobs have news; one of
the listeners reads it for all, and if that one leaves, another takes over.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import anyio
import attrs

from gemtune import events
from gemtune.errors import GemtuneError
from gemtune.show.picture import BatchPicture, JobPicture, Point
from gemtune.watch import Subscription, Watcher
from gemtune.web.asking import Samples

PACE: Final = 0.5
"""Seconds between two messages about the same job, at least."""
_IDLE: Final = 1.0
"""Seconds between two looks at what reports nothing by itself: batches, the watcher's statistics."""
_GONE: Final = 1000
"""How many jobs that have gone are remembered for listeners who were away."""


class Pictured(Protocol):
    """Something that shows how far it is, such as a batch."""

    def picture(self) -> BatchPicture:
        """Return what a person sees of it now."""
        ...


@attrs.frozen
class StreamMessage:
    """A message to a listener: the name of the event and its JSON."""

    event: str
    data: str


@attrs.define(eq=False)
class Entry:
    """One job as it was shown last.

    Args:
        picture: The picture; None once it is gone.
        version: The hub's version since which it is so.
        before: The version of the state that ``delta`` continues.
        delta: What a listener is sent who has that state.
    """

    picture: JobPicture | None
    version: int
    before: int
    delta: str


@attrs.define(eq=False)
class Hub:
    """The state of one dashboard.

    Args:
        watcher: Whose jobs are shown.
        batches: The batches to show; it may change.
        options: What the page is told of itself.
    """

    watcher: Watcher
    batches: Callable[[], Collection[Pictured]] = tuple
    options: Mapping[str, object] = attrs.field(factory=dict)
    version: int = attrs.field(default=0, init=False)
    # Whether the watcher ran and was closed since: nothing more will come.
    over: bool = attrs.field(default=False, init=False)
    run: str = attrs.field(factory=lambda: secrets.token_hex(4), init=False)
    samples: Samples = attrs.field(factory=Samples, init=False)
    listeners: int = attrs.field(default=0, init=False)
    _entries: dict[str, Entry] = attrs.field(factory=dict, init=False)
    _facts: dict[str, tuple[int, str]] = attrs.field(factory=dict, init=False)
    _numbers: dict[int, tuple[Pictured, str]] = attrs.field(factory=dict, init=False)
    _latest: deque[tuple[int, StreamMessage]] = attrs.field(factory=lambda: deque(maxlen=_GONE), init=False)
    _failure: str = attrs.field(default="", init=False)
    _began: bool = attrs.field(default=False, init=False)
    _dirty: set[str] = attrs.field(factory=set, init=False)
    _subscription: Subscription[events.Event] | None = attrs.field(default=None, init=False)
    _looked: float = attrs.field(default=-1e9, init=False)
    _reading: bool = attrs.field(default=False, init=False)
    _turn: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count as a listener for the length of the block."""
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1
            if not self.listeners and self._subscription is not None:
                self._subscription.close()
                self._subscription = None

    def catch_up(self) -> None:
        """Take in what there is to know now; nothing is asked, and nothing waits."""
        now = anyio.current_time()
        subscription, whole = self._subscription, self._subscription is None
        if subscription is None and self.listeners:
            subscription = self._subscription = self.watcher.subscribe(passive=True)
        while subscription is not None and (event := subscription.next_nowait()) is not None:
            self._note(event)
        if whole or "" in self._dirty:
            pictures = self.watcher.pictures()
            self._forget({picture.name for picture in pictures})
        else:
            pictures = self.watcher.pictures(self._dirty) if self._dirty else []
            self._forget({*self._entries} - self._dirty | {picture.name for picture in pictures})
        self._dirty.clear()
        for picture in pictures:
            self._show(picture)
        if now >= self._looked + _IDLE:
            self._looked = now
            self._look()

    async def news(self, seen: int) -> None:
        """Wait until there is something that a listener has not seen."""
        while self.version <= seen and not self.over:
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

    def _wake(self) -> None:
        turn, self._turn = self._turn, anyio.Event()
        turn.set()

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

    def _note(self, event: events.Event) -> None:
        self._dirty.add(event.job)  # empty if it is about the service, whose trouble is every job's

    def whole(self) -> dict[str, object]:
        """Return everything, for a listener who has seen nothing."""
        shown = [entry.picture for entry in self._entries.values() if entry.picture is not None]
        facts = {name: json.loads(data) for name, (_, data) in self._facts.items()}
        return {
            "now": time.time(),
            "options": dict(self.options),
            "jobs": [encoded(picture) for picture in shown],
            "batches": [fact for name, fact in facts.items() if name.startswith("batch ")],
            "samples": {name: [attrs.asdict(each) for each in kept] for name, kept in self.samples.by_job.items()},
            "service": facts["service"],
            "summary": facts["summary"],
        }

    def since(self, seen: int) -> Iterator[StreamMessage]:
        """Return what changed after a version, oldest first."""
        late = sorted((entry.version, name) for name, entry in self._entries.items() if entry.version > seen)
        for _, name in late:
            entry = self._entries[name]
            if entry.picture is None:
                yield StreamMessage("gone", dumped({"name": name}))
            elif entry.before <= seen:
                yield StreamMessage("job", entry.delta)
            else:
                yield StreamMessage("job", dumped(encoded(entry.picture)))
        yield from (said for version, said in self._latest if version > seen)
        for name, (version, data) in self._facts.items():
            if version > seen:
                yield StreamMessage(name.partition(" ")[0], data)

    def tell(self, event: str, value: Mapping[str, object]) -> None:
        """Send a message to all listeners, once."""
        self.version += 1
        self._latest.append((self.version, StreamMessage(event, dumped(value))))
        self._wake()

    def identity(self, version: int) -> str:
        """Return the id of a message after which a listener has seen everything up to a version."""
        return f"{self.run}.{version}"

    def knows(self, identity: str | None) -> int | None:
        """Return up to which version a listener has seen everything who comes back with the id of a message."""
        run, _, version = (identity or "").partition(".")
        if run != self.run or not version.isdecimal() or len(version) > 12:
            return None
        return int(version) if int(version) <= self.version else None

    def picture(self, name: str) -> JobPicture | None:
        """Return how a job is shown."""
        entry = self._entries.get(name)
        return entry.picture if entry is not None else None

    def _show(self, picture: JobPicture) -> None:
        entry = self._entries.get(picture.name)
        before = entry.picture if entry is not None else None
        if before is not None and _same(before, picture):
            return
        self.version += 1
        delta = dumped(encoded(picture, before))
        seen = entry.version if entry is not None and before is not None else self.version
        self._entries[picture.name] = Entry(picture, self.version, seen, delta)

    def _forget(self, remaining: Collection[str]) -> None:
        gone = [name for name, entry in self._entries.items() if entry.picture is not None and name not in remaining]
        for name in gone:
            self.version += 1
            self._entries[name] = Entry(None, self.version, self.version, "")
        tombs = [name for name, entry in self._entries.items() if entry.picture is None]
        for name in tombs[: max(len(tombs) - _GONE, 0)]:
            del self._entries[name]

    def _look(self) -> None:
        """Take in what reports nothing by itself."""
        shown = [entry.picture for entry in self._entries.values() if entry.picture is not None]
        tones: dict[str, int] = {}
        for picture in shown:
            tones[picture.tone] = tones.get(picture.tone, 0) + 1
        self._fact("summary", {"jobs": len(shown), "tones": tones})
        self._fact("service", self._service(shown))
        batches = {id(batch): batch for batch in self.batches()}
        for key in self._numbers.keys() - batches.keys():
            number = self._numbers.pop(key)[1]
            del self._facts[f"batch {number}"]
            self.tell("batch_gone", {"id": number})
        for key, batch in batches.items():
            if key not in self._numbers:
                self._numbers[key] = batch, secrets.token_hex(4)
            number = self._numbers[key][1]
            self._fact(f"batch {number}", {"id": number, **batch.picture().to_dict()})

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

    def _fact(self, name: str, value: Mapping[str, object]) -> None:
        data = dumped(value)
        if name not in self._facts or self._facts[name][1] != data:
            self.version += 1
            self._facts[name] = self.version, data


def _same(one: JobPicture, other: JobPicture) -> bool:
    """Return whether a person would see the same, but for the clock."""
    return attrs.evolve(one, elapsed=other.elapsed, looked_at=other.looked_at) == other


def encoded(picture: JobPicture, before: JobPicture | None = None) -> dict[str, object]:
    """Return a picture as JSON values; of its curves, only what is new since one that the page has."""
    said = picture.to_dict()
    for name in ("losses", "eval_losses"):
        curve: tuple[Point, ...] = tuple(getattr(picture, name))
        kept = _common(curve, getattr(before, name)) if before is not None else 0
        steps, values = [step for step, _ in curve[kept:]], [_short(value) for _, value in curve[kept:]]
        said[name] = {"kept": kept, "steps": steps, "values": values}
    return {**said, "at": round(time.time(), 3)}


def _common(one: tuple[Point, ...], other: tuple[Point, ...]) -> int:
    for number, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if mine != yours:
            return number
    return min(len(one), len(other))


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def dumped(value: object) -> str:
    """Return values as JSON in one line: of ASCII, so that no name from outside can end a line of a stream."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
