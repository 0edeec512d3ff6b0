"""Lists in pages: opaque tokens that hold their place when items come and go."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from gemtune.emulator.messages.errors import bad_request, violations
from gemtune.emulator.world.store import MethodCall

T = TypeVar("T")


def take_page(call: MethodCall, items: Iterable[tuple[int, T]], *, default: int, maximum: int) -> tuple[list[T], str]:
    """Return one page of a list.

    Args:
        call: its query holds ``page_size`` and ``page_token``.
        items: (number, item) in the order of the numbers; numbers are never used twice.
        default: page size when none is asked for.
        maximum: larger sizes are cut to this.

    Returns:
        The items, and the token of the next page (empty on the last).

    Raises:
        RpcError: 400 for a bad size, a bad token, or a token of a list with other parameters.
    """
    size = _page_size(call.query.get("page_size"), default, maximum)
    check = _fingerprint(call)
    # A token says after which number to go on and not how many were seen: whatever is created or deleted between two
    # pages, nothing is shown twice and nothing that stays is left out.
    after = _read_token(call.query.get("page_token", ""), check)
    rest: Sequence[tuple[int, T]] = [(number, item) for number, item in items if number > after]
    page = rest[:size]
    token = _write_token(page[-1][0], check) if len(rest) > size else ""
    return [item for _, item in page], token


def _page_size(text: str | None, default: int, maximum: int) -> int:
    if not text:
        return default
    try:
        size = int(text)
    except ValueError:
        raise violations([("page_size", f"Invalid value at 'page_size' (TYPE_INT32), \"{text}\"")]) from None
    if size < 0:
        raise bad_request("Page size must not be negative.")
    # 0 is "not given" in proto3.
    return min(size, maximum) or default


def _fingerprint(call: MethodCall) -> str:
    # AIP-158: a token is good only for the list it came from, so a hash of all other parameters goes with it.
    others = {name: value for name, value in call.query.items() if name != "page_token" and value}
    key = json.dumps([call.method, call.version, call.params, others], sort_keys=True)
    return hashlib.blake2b(key.encode(), digest_size=6).hexdigest()


def _write_token(number: int, check: str) -> str:
    return base64.urlsafe_b64encode(f"{check}{number}".encode()).decode().rstrip("=")


def _read_token(token: str, check: str) -> int:
    if not token:
        return 0
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        number = int(text[len(check) :])
    except ValueError:
        raise bad_request("Invalid page token.") from None
    if not text.startswith(check):
        raise bad_request("Invalid page token: all other parameters must match the call that provided the token.")
    return number
