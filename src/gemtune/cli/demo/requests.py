"""The requests that a client really makes, told while it makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs

from gemtune.client import Client
from gemtune.http.engines.body import Reply
from gemtune.http.wire import Headers, StreamReply, Wire


@attrs.frozen
class Request:
    """A request without its headers, which hold the credential.

    Args:
        verb: The HTTP method.
        target: Path and query.
        body: The JSON body, or None.
    """

    verb: str
    target: str
    body: bytes | None = attrs.field(repr=False)


@attrs.frozen(eq=False)
class _Tap:
    """A wire that tells every request before it passes it on."""

    _wire: Wire
    _tell: Callable[[Request], None]

    async def send(self, method: str, target: str, headers: Headers, body: bytes | None, **times: float) -> Reply:
        self._tell(Request(method, target, body))
        return await self._wire.send(method, target, headers, body, **times)

    async def open(self, method: str, target: str, headers: Headers, body: bytes | None, **times: float) -> StreamReply:
        self._tell(Request(method, target, body))
        return await self._wire.open(method, target, headers, body, **times)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


def tell_requests(client: Client, tell: Callable[[Request], None]) -> None:
    """Have every request of a client told from now on, repeats included."""
    caller: Any = client._caller
    caller.wire = _Tap(caller.wire, tell)


def shortened(body: bytes | None) -> object:
    """Return a JSON body with its long lists cut to their first item, or None where there is no body."""
    return _short(json.loads(body)) if body else None


def _short(value: object) -> object:
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        more = [f"... {len(value) - 1} more"] if len(value) > 2 else [_short(item) for item in value[1:]]
        return [*map(_short, value[:1]), *more]
    return value
