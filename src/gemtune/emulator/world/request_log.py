"""A record of the requests that came in."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from time import perf_counter

import attrs

from gemtune.emulator.messages.codec import format_timestamp
from gemtune.emulator.messages.http import HttpRequest

_SECRET_HEADERS = frozenset({"authorization", "x-goog-api-key", "cookie"})
_SECRET_QUERY = frozenset({"key", "access_token", "oauth_token"})


def _clock(time: int) -> str:
    return format_timestamp(time)[11:23].rstrip("Z").ljust(12, "0")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:500])


@attrs.define(kw_only=True)
class LoggedRequest:
    """One request and the status it got.

    Args:
        number: counted from 1.
        time: nanoseconds since 1970 on the emulator's clock.
        method: such as ``"tunedModels.get"``; None when nothing is bound to the URL.
        verb: the HTTP method.
        path: as it was sent.
        query: (name, value) pairs.
        headers: by lower-case name.
        body: as it was sent.
        status: of the reply; 0 when the connection was dropped; None while there is none.
        seconds: of real time until there was one.
        fault: whether a fault was planted for it.
    """

    number: int
    time: int
    method: str | None
    verb: str
    path: str
    query: list[tuple[str, str]] = attrs.field(repr=False)
    headers: dict[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    status: int | None = None
    seconds: float | None = None
    fault: bool = False
    _began: float = attrs.field(factory=perf_counter, init=False, repr=False, eq=False)

    def close(self, status: int) -> None:
        """Add the status of the reply."""
        self.status, self.seconds = status, perf_counter() - self._began

    def line(self) -> str:
        """Return it as one line for people, without credentials."""
        query = "&".join(f"{name}={'(hidden)' if name in _SECRET_QUERY else value}" for name, value in self.query)
        asked = _printable(f"{self.path}{'?' * bool(query)}{query}")
        status = f"{self.status or 'dropped'}{' by a fault' if self.fault else ''}"
        told = f"{status}, {1000 * (self.seconds or 0.0):.0f} ms ({self.method or 'unknown'})"
        return f"{_clock(self.time)} #{self.number} {self.verb} {asked} -> {told}"

    @property
    def size(self) -> int:
        """Its bytes in memory, roughly: what was sent, and a fixed amount for each part of it."""
        parts = [self.path, *(part for pair in self.query for part in pair), *self.headers, *self.headers.values()]
        return len(self.body) + sum(map(len, parts)) + 60 * len(parts) + 500

    def to_dict(self) -> dict[str, object]:
        """Return the entry as JSON, without credentials."""
        return {
            "number": self.number,
            "time": self.time,
            "method": self.method,
            "verb": self.verb,
            "path": self.path,
            "query": {name: "(hidden)" if name in _SECRET_QUERY else value for name, value in self.query},
            "headers": {name: "(hidden)" if name in _SECRET_HEADERS else value for name, value in self.headers.items()},
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "seconds": self.seconds,
            "fault": self.fault,
        }


@attrs.define(repr=False)
class RequestLog:
    """The latest requests, and how many there were in all.

    Args:
        size: how many are remembered.
        max_bytes: of them all together. Bodies of a few MiB each (training data) would otherwise fill the memory long
            before ``size`` of them are there.
        on_line: is called with a line about each request, once the status of its reply is known.
    """

    size: int
    max_bytes: int
    on_line: Callable[[str], None] | None = None
    _entries: deque[LoggedRequest] = attrs.field(init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _count: int = attrs.field(default=0, init=False)
    _by_method: Counter[str] = attrs.field(factory=Counter, init=False)
    _by_status: Counter[int] = attrs.field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self._entries = deque()

    def __repr__(self) -> str:
        return f"RequestLog({self._count} requests)"

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self._entries)

    def __getitem__(self, index: int) -> LoggedRequest:
        return self._entries[index]

    def open(self, time: int, method: str | None, request: HttpRequest) -> LoggedRequest:
        """Write down a request before it is answered."""
        self._count += 1
        self._by_method[method or "(unbound)"] += 1
        entry = LoggedRequest(
            number=self._count,
            time=time,
            method=method,
            verb=request.verb,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
        )
        self._entries.append(entry)
        self._bytes += entry.size
        while self._entries and (len(self._entries) > self.size or self._bytes > self.max_bytes):
            self._bytes -= self._entries.popleft().size
        return entry

    def close(self, entry: LoggedRequest, status: int) -> None:
        """Add the status of the reply."""
        entry.close(status)
        self._by_status[status] += 1
        if self.on_line is not None:
            self.on_line(entry.line())

    def turn_away(self, time: int, verb: str, path: str, why: str) -> None:
        """Write a line about a request that was refused before it was read; it is not remembered."""
        if self.on_line is not None:
            self.on_line(f"{_clock(time)} {_printable(verb)} {_printable(path)} -> refused: {why}")

    @property
    def held(self) -> int:
        """Bytes of the remembered requests, roughly."""
        return self._bytes

    def of(self, method: str) -> list[LoggedRequest]:
        """Return the remembered requests of one method, oldest first."""
        return [entry for entry in self._entries if entry.method == method]

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0
        self._count = 0
        self._by_method.clear()
        self._by_status.clear()

    def statistics(self) -> dict[str, object]:
        by_status = {str(status): count for status, count in sorted(self._by_status.items())}
        return {"requests": self._count, "by_method": dict(self._by_method), "by_status": by_status}
