"""From a complete reply to the value it holds, or to the error it stands for.

That a reply has the status 200 and can be parsed does not make an answer of it: whoever has sent the head before the
model failed can report the error in the body only.

All of it is computing, so that a worker thread can do it for a large reply.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from gemtune import errors
from gemtune.errors import CallError
from gemtune.http.auth.credentials import Credentials
from gemtune.http.engines.body import Reply
from gemtune.protocol import status
from gemtune.protocol.advice import CLOUD, GEMINI, Addressee
from gemtune.protocol.call import Call
from gemtune.protocol.codec import loads
from gemtune.protocol.said import clean
from gemtune.settings import Secret

T = TypeVar("T")

Headers = tuple[tuple[str, str], ...]

LONGEST_ERROR: Final = 1 << 20
"""Bytes of an error's body that are read as JSON; of more only the beginning is looked at, as text."""
_SECRET_HEADERS: Final = frozenset({"authorization", "x-goog-api-key"})


def value_of(call: Call[T], reply: Reply, headers: Headers, credentials: Credentials) -> T:
    """Return what a reply with a good status holds.

    Args:
        call: What was sent.
        reply: The reply.
        headers: Those of the request, whose credential is masked in what is quoted.
        credentials: Whose they are, for the advice if they were refused.

    Raises:
        CallError: The error that the reply holds instead of a value.
        MalformedResponse: It cannot be read.
    """
    try:
        if call.read is not None:
            return call.read(reply.status, reply.headers, reply.body)
        if not reply.body:
            raise errors.MalformedResponse("the body is empty")  # said here, as a parser would say "line 1, column 1"
        payload = loads(reply.body)
        error = error_within(call, reply.headers, headers, credentials, payload)
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


def error_within(
    call: Call[Any], answered: Mapping[str, str], headers: Headers, credentials: Credentials, payload: object
) -> CallError | None:
    """Return the error that the JSON of a reply with a good status holds, whole or one event of it; None if none.

    Args:
        call: As for ``value_of``, like the following.
        answered: The reply's headers.
        headers: Those of the request.
        credentials: Whose they are.
        payload: The decoded JSON.
    """
    http = status.status_within(payload, generates=call.generates)
    return None if http is None else _error(call, http, answered, payload, "", headers, credentials)


def error_of(call: Call[Any], reply: Reply, headers: Headers, credentials: Credentials) -> CallError:
    """Return the error that a reply with another status stands for; the arguments are those of ``value_of``."""
    payload: object = None
    if len(reply.body) <= LONGEST_ERROR:
        with suppress(errors.MalformedResponse):
            payload = loads(reply.body)
    text = reply.body[:65536].decode("utf-8", "replace")
    return _error(call, reply.status, reply.headers, payload, text, headers, credentials)


def _error(
    call: Call[Any],
    http: int,
    answered: Mapping[str, str],
    payload: object,
    text: str,
    headers: Headers,
    credentials: Credentials,
) -> CallError:
    secrets = [
        Secret(value.removeprefix("Bearer "))
        for key, value in headers
        if key in _SECRET_HEADERS or isinstance(value, Secret)
    ]
    return status.error_from_reply(
        http,
        answered,
        payload,
        text=text,
        resource=call.resource,
        method=call.method,
        secrets=secrets,
        # Only what Google Cloud serves has an origin of its own.
        addressee=Addressee.of(
            credentials.kind, credentials.source, os.environ, sys.modules, GEMINI if call.origin is None else CLOUD
        ),
    )
