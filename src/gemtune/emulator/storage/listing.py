"""Lists in pages: by prefix, and with a delimiter as if there were folders.

A page token is the name after which the next page starts, in base64. So a list stays right while objects come and go:
none that is there all the time is missed or comes twice.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator

import attrs

from gemtune.emulator.storage.calls import number
from gemtune.emulator.storage.refusals import bad_parameter
from gemtune.emulator.world.store import MethodCall

_MOST = 1_000
_LAST = "\U0010ffff"
Names = Callable[[str], Iterator[str]]


@attrs.define
class NamesPage:
    """One page: names, the prefixes up to a delimiter that stand for others, and what the next page begins with."""

    names: list[str] = attrs.field(factory=list)
    prefixes: list[str] = attrs.field(factory=list)
    token: str = ""


def page_of(call: MethodCall, names: Names) -> NamesPage:
    """Return the page of a list that a call asks for.

    Args:
        call: its parameters are prefix, delimiter, startOffset, endOffset, maxResults and pageToken.
        names: returns the names from one on, in their order.

    Raises:
        RpcError: 400 for a token or a number that is none.
    """
    prefix, delimiter = call.query.get("prefix", ""), call.query.get("delimiter", "")
    end = call.query.get("endOffset", "")
    most = min(number(call, "maxResults") or _MOST, _MOST)
    start = max(prefix, call.query.get("startOffset", ""), _start(call.query.get("pageToken", "")))
    page = NamesPage()
    while (name := next(names(start), None)) is not None and name.startswith(prefix) and not (end and name >= end):
        if len(page.names) + len(page.prefixes) == most:
            page.token = base64.urlsafe_b64encode(start.encode("utf-8", "surrogatepass")).decode("ascii")
            return page
        cut = name.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            page.names.append(name)
            start = name + "\0"
        else:
            page.prefixes.append(name[: cut + len(delimiter)])
            start = page.prefixes[-1] + _LAST  # past everything that this prefix stands for
    return page


def _start(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError):
        raise bad_parameter("pageToken", token) from None
