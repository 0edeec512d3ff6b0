"""Headers of the user's own: for a gateway that wants a team's name, a key or a trace beside what the API wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gemtune import checks
from gemtune.errors import SettingsError
from gemtune.settings import Secret

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")
_OURS: Final = frozenset({
    "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
    "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
    "x-goog-api-client", "x-goog-api-key",
})  # fmt: skip
"""What a request needs as we write it: its framing, the names it goes by, its credential."""
_OF_TOKENS: Final = frozenset({"authorization", "x-goog-user-project"})


def extra_headers(headers: object, credential: str) -> tuple[tuple[str, str], ...]:
    """Return headers of the user's own under their lower-case names.

    Args:
        headers: Names and values; None means none.
        credential: The kind of credential in the settings. With an API key, ``authorization`` is free for a gateway's.

    Raises:
        SettingsError: A header cannot be sent, or would take the place of one of ours.
    """
    if headers is None:
        return ()
    if not isinstance(headers, Mapping):
        checks.refuse("headers", "a mapping of names to values", headers, error=SettingsError)
    ours = _OURS if credential == "api_key" else _OURS | _OF_TOKENS
    found: dict[str, str] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SettingsError(f"headers: {checks.shown(name)} is no name of a header", field="headers")
        if name.lower() in ours:
            raise SettingsError(f"headers: {name} is set by the client itself and cannot be replaced", field="headers")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise SettingsError(
                f"headers: the value of {name} must be a string of printable ASCII, without line breaks or spaces at "
                "its ends",
                field="headers",
            )
        if name.lower() in found:
            raise SettingsError(f"headers: {name} is given twice", field="headers")
        found[name.lower()] = Secret(value)  # it may be a gateway's key
    return tuple(found.items())
