"""From a complete reply to the value it holds, or to the error it stands for.

That a reply has the status 200 and can be parsed does not make an answer of it: whoever has sent the head before the
model failed can report the error in the body only.

All of it is computing, so that a worker thread can do it for a large reply.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, TypeVar

from gemtune import errors
from gemtune.errors import CallError
from gemtune.http.engines.body import Reply
from gemtune.protocol import status
from gemtune.protocol.advice import Addressee
from gemtune.protocol.call import Call
from gemtune.protocol.codec import loads
from gemtune.protocol.said import clean
from gemtune.settings import Secret

T = TypeVar("T")

Headers = tuple[tuple[str, str], ...]

LONGEST_ERROR: Final = 1 << 20
"""Bytes of an error's body that are read as JSON; of more only the beginning is looked at, as text."""
_SECRET_HEADERS: Final = frozenset({"authorization", "x-goog-api-key"})


def value_of(call: Call[T], reply: Reply, headers: Headers) -> T:
    """Return what a reply with a good status holds.

    Args:
        call: What was sent.
        reply: The reply.
        headers: Those of the request, whose credential is masked in what is quoted.

    Raises:
        CallError: The error that the reply holds instead of a value.
        MalformedResponse: It cannot be read.
    """
    try:
        if not reply.body:
            raise errors.MalformedResponse("the body is empty")  # said here, as a parser would say "line 1, column 1"
        payload = loads(reply.body)
        error = status.error_within(
            payload,
            reply.headers,
            generates=call.generates,
            resource=call.resource,
            method=call.method,
            secrets=_secrets(headers),
        )
        if error is None:
            return call.decode(payload)
    except errors.MalformedResponse as malformed:
        kind = clean(reply.headers.get("content-type", "none"), limit=100)
        about = f" for {call.resource}" if call.resource else ""
        raise errors.MalformedResponse(
            f"{call.method}{about}: the reply (HTTP {reply.status}, content type {kind}) could not be read: "
            f"{malformed.message}",
            status=reply.status,
            resource=call.resource,
        ) from None
    raise error


def error_of(call: Call[Any], reply: Reply, headers: Headers, addressee: Addressee) -> CallError:
    """Return the error that a reply with another status stands for.

    Args:
        call: What was sent.
        reply: The reply.
        headers: As for ``value_of``.
        addressee: Who reads it, for the advice about a credential.
    """
    payload: object = None
    if len(reply.body) <= LONGEST_ERROR:
        with suppress(errors.MalformedResponse):
            payload = loads(reply.body)
    return status.error_from_reply(
        reply.status,
        reply.headers,
        payload,
        text=reply.body[:65536].decode("utf-8", "replace"),
        resource=call.resource,
        method=call.method,
        secrets=_secrets(headers),
        addressee=addressee,
    )


def _secrets(headers: Headers) -> list[Secret]:
    return [
        Secret(value.removeprefix("Bearer "))
        for key, value in headers
        if key in _SECRET_HEADERS or isinstance(value, Secret)
    ]
