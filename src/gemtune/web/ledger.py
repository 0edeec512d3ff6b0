"""The ledger of a dashboard: what was shown last, and since which version it is so.

A listener says up to which version it has seen everything, and is sent what changed since, encoded once for all.
Nothing is queued for anybody: of a job that changed ten times only the latest picture is there to be sent.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import attrs

from gemtune.show.picture import JobPicture, Point

_GONE: Final = 1000
"""How many jobs that have gone, and how many messages, are remembered for listeners who were away."""


@attrs.frozen
class StreamMessage:
    """A message to a listener: the name of the event and its JSON."""

    event: str
    data: str


@attrs.frozen(eq=False)
class Entry:
    """One job as it was shown last.

    Args:
        picture: The picture; None once it is gone.
        version: The version since which it is so.
        before: The version of the state that ``delta`` continues.
        delta: What a listener is sent who has that state.
    """

    picture: JobPicture | None
    version: int
    before: int
    delta: str


@attrs.define(eq=False)
class PageLedger:
    """All that is shown, by versions."""

    version: int = attrs.field(default=0, init=False)
    _run: str = attrs.field(factory=lambda: secrets.token_hex(4), init=False)
    _entries: dict[str, Entry] = attrs.field(factory=dict, init=False)
    _facts: dict[str, tuple[int, str]] = attrs.field(factory=dict, init=False)
    # The version of the last thing that was forgotten: who has not seen that much must be sent everything.
    _forgotten: int = attrs.field(default=0, init=False)
    _latest: deque[tuple[int, StreamMessage]] = attrs.field(factory=lambda: deque(maxlen=_GONE), init=False)

    @property
    def shown(self) -> dict[str, JobPicture]:
        """The jobs as they are shown."""
        return {name: entry.picture for name, entry in self._entries.items() if entry.picture is not None}

    @property
    def facts(self) -> dict[str, object]:
        """Everything else, by its name."""
        return {name: json.loads(data) for name, (_, data) in self._facts.items()}

    def show(self, picture: JobPicture) -> None:
        """Take in how a job is."""
        entry = self._entries.get(picture.name)
        before = entry.picture if entry is not None else None
        if before is not None and _same(before, picture):
            return
        self.version += 1
        seen = entry.version if entry is not None and before is not None else self.version
        self._entries[picture.name] = Entry(picture, self.version, seen, dumped(encoded(picture, before)))

    def keep_only(self, names: Collection[str]) -> None:
        """Take in that all other jobs are gone."""
        for name in self.shown.keys() - names:
            self.version += 1
            self._entries[name] = Entry(None, self.version, self.version, "")
        tombs = sorted((entry.version, name) for name, entry in self._entries.items() if entry.picture is None)
        for version, name in tombs[: max(len(tombs) - _GONE, 0)]:
            del self._entries[name]
            self._forgotten = max(self._forgotten, version)

    def state(self, name: str, value: Mapping[str, object]) -> None:
        """Take in a fact, such as ``summary`` or ``batch 1``; the first word is the name of its event."""
        data = dumped(value)
        if name not in self._facts or self._facts[name][1] != data:
            self.version += 1
            self._facts[name] = self.version, data

    def retract(self, name: str) -> None:
        """Forget a fact."""
        self._facts.pop(name, None)

    def tell(self, event: str, value: Mapping[str, object]) -> None:
        """Take in a message that is sent once."""
        self.version += 1
        if len(self._latest) == _GONE:
            self._forgotten = max(self._forgotten, self._latest[0][0])
        self._latest.append((self.version, StreamMessage(event, dumped(value))))

    def since(self, seen: int) -> Iterator[StreamMessage]:
        """Return what changed after a version; of jobs, the oldest change first."""
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

    def identity(self, version: int) -> str:
        """Return the id of a message after which a listener has seen everything up to a version."""
        return f"{self._run}.{version}"

    def knows(self, identity: str | None) -> int | None:
        """Return up to which version a listener has seen everything who comes back with an id.

        None if the id is unknown, or what the listener missed is no longer remembered.
        """
        run, _, version = (identity or "").partition(".")
        # An id comes from outside: it may be of another process, or of nobody.
        if run != self._run or not (version.isascii() and version.isdecimal()) or len(version) > 12:
            return None
        return int(version) if int(version) <= self.version and self.remembers(int(version)) else None

    def remembers(self, seen: int) -> bool:
        """Return whether ``since`` says everything to a listener who has seen everything up to a version."""
        return seen >= self._forgotten


def _same(one: JobPicture, other: JobPicture) -> bool:
    """Return whether a person would see the same, but for the clock."""
    return attrs.evolve(one, elapsed=other.elapsed, eta=other.eta, looked_at=other.looked_at) == other


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
