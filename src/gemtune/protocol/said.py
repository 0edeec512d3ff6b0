"""What a reply says in words, for people: short, printable, without secrets, and read in one pass.

All of it comes from outside: from Google, from a gateway on the way, from whoever answers for a name. So every
function looks at the first kilobytes only, or goes over its input once (``tests/proofs/test_linear.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LIMIT: Final = 2048
_PAGE: Final = 8192
"""Characters of a page that are looked at. What is wrong stands in its title and its first lines."""
_SHOWN: Final = 200
# Shorter ones are not secrets, and masking them would garble every word.
_SHORTEST_SECRET: Final = 8
_CONTROL: Final = re.compile(
    r"\x1b\[[0-9;]{0,16}[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can bring it, and no file, terminal or exporter can write it."""
_UNSEEN: Final = re.compile(r"(script|style)\b", re.IGNORECASE)
_NESTED: Final = 4
_MESSAGE_KEYS: Final = (
    "message",
    "error_description",  # OAuth 2.0 (RFC 6749)
    "detail",  # FastAPI, problem details (RFC 9457)
    "faultstring",  # Apigee
    "msg",
    "title",
    "description",
    "error",
    "errors",
    "fault",
    "reason",
)
"""Where other services put their words, the most telling first."""


def clean(text: object, secrets: Iterable[str] = (), limit: int = _LIMIT) -> str:
    """Return untrusted text without control characters and secrets, at most ``limit`` characters long.

    Half of a surrogate pair becomes the escape that it was read from, so that any file can take what is shown.
    """
    shown = _CONTROL.sub("", str(text))
    if not shown.isascii():
        shown = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", shown)
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            shown = shown.replace(secret, "****")
    shown = shown.strip()
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def unended(said: str) -> str:
    """Return a sentence without its full stop, so that more can follow."""
    return said[:-1] if said.endswith(".") and not said.endswith("..") else said


def message_of(payload: object, depth: int = _NESTED) -> str:
    """Return the words of an error in JSON that is not Google's, such as ``{"detail": "..."}`` or ``{"fault": {...}}``.

    Returns:
        The words, of a list those of its first three entries; an empty string if there are none where they usually are.
    """
    if isinstance(payload, str):
        return payload
    if not depth:
        return ""
    if isinstance(payload, list):
        return "; ".join(filter(None, (message_of(item, depth - 1) for item in payload[:3])))
    if isinstance(payload, dict):
        for key in _MESSAGE_KEYS:
            if found := message_of(payload.get(key), depth - 1):
                return found
    return ""


def page_text(page: str, secrets: Iterable[str] = ()) -> str:
    """Return the beginning of what a reader sees of a page, HTML or plain, in one line of at most 200 characters."""
    known = tuple(secrets)
    # Masked before it is cut: half of a secret at the end would not be recognized any more.
    longest = max(map(len, known), default=0)
    masked = clean(page[: _PAGE + longest], known, limit=_PAGE + longest)
    kept = masked[:_PAGE]
    if kept != masked and kept.rfind("<") > kept.rfind(">"):
        kept = kept[: kept.rfind("<")]  # a tag that was cut in two is no text
    return clean(" ".join(_without_tags(kept).split()), limit=_SHOWN)


def _without_tags(page: str) -> str:
    first, *pieces = page.split("<")
    seen, hidden = [first], ""
    for piece in pieces:
        if hidden and piece[: len(hidden)].lower() != hidden:
            continue  # within a script, whose own "<" are no tags
        tag = _UNSEEN.match(piece)
        hidden = f"/{tag[1].lower()}" if tag else ""
        _, ended, text = piece.partition(">")
        if not hidden:
            seen.append(text if ended else f"<{piece}")
    return " ".join(seen)
