"""One remote call as a value: what is sent, what repeating it would do, and how its reply is read."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import attrs

T = TypeVar("T")


class Effect(enum.Enum):
    """What repeating a call could do: the second half of every retry decision."""

    READ = "read"
    """Nothing: it may be repeated freely."""
    CREATE = "create"
    """Nothing more than once: it carries an id of ours, by which a lost creation can be looked up."""
    BILLED = "billed"
    """Change nothing, but cost again (generateContent)."""
    WRITE = "write"
    """Act twice, or undo what somebody did meanwhile."""


@attrs.frozen(kw_only=True, eq=False)
class Call(Generic[T]):
    """A request and the reading of its reply.

    Args:
        method: The REST method's id, such as ``tunedModels.get``.
        verb: The HTTP verb.
        path: The path, made of checked names only.
        effect: What repeating the call could do.
        decode: Turns the reply's JSON value into the result.
        query: Query parameters; None values are left out.
        body: The request body in JSON bytes.
        resource: The resource the call is about, for error messages.
        generates: Whether the generation time-out applies rather than that of management calls.
        origin: Google's address of what the call is about (see ``hosts``); None for the client's base URL. Where the
            call really goes is for the settings to say, which know of emulators and gateways.
        headers: Those of this call, the type of its body included, if that is not JSON.
        accepts: Statuses beside 2xx that are results.
        read: Reads status, headers and body of the reply in place of ``decode``, if not all of the result is JSON.
        bulky: Whether the body is so large that the generation time-out applies, without a permit to generate.
    """

    method: str
    verb: str
    path: str
    effect: Effect
    decode: Callable[[object], T]
    query: tuple[tuple[str, object], ...] = ()
    body: bytes | None = attrs.field(default=None, repr=False)
    resource: str | None = None
    generates: bool = False
    origin: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    accepts: frozenset[int] = frozenset()
    read: Callable[[int, Mapping[str, str], bytes], T] | None = None
    bulky: bool = False

    @property
    def target(self) -> str:
        """The path and query, percent-encoded."""
        given = [(key, str(value)) for key, value in self.query if value is not None]
        return f"{self.path}?{urlencode(given, quote_via=quote, safe='')}" if given else self.path
