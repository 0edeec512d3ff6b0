"""Who may talk to an emulator on somebody's own machine: programs, and no web page that happens to be open there.

A page can reach a local server in two ways. By *DNS rebinding* it lets its own name point to 127.0.0.1: the browser
takes the emulator for the page's own server and hands it every reply, training data included. Such a request says the
page's name in ``Host``. By a *simple request*, a POST without a preflight, it cannot read the reply but could plant a
fault or reset the emulator. Such a request says the page's ``Origin``. So both headers must name this machine, the
address that the emulator listens on, or a host that was allowed (``allow_hosts``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from gemtune.emulator.front.delivery import Scope
from gemtune.emulator.front.replies import own_error
from gemtune.emulator.messages.http import HttpReply


def refuse_foreign(scope: Scope, allowed: Collection[str]) -> HttpReply | None:
    """Return a 403 for a request that a foreign page may have sent; None if it may come in.

    Args:
        scope: of the request.
        allowed: further hosts, in lower case, without a port.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    here = {*allowed, str((scope.get("server") or ("",))[0]).lower()}
    host, origin = headers.get(b"host"), headers.get(b"origin")
    if host is not None and not _is_near(_name_of(f"//{host}"), here):
        return _foreign(f"the host {host[:100]!r}", _name_of(f"//{host}"))
    if origin is not None and not _is_near(_name_of(origin), here):
        return _foreign(f"a page of {origin[:100]!r}", _name_of(origin))
    # An image or a script of a foreign page says no Origin, but every browser says that it is foreign.
    if headers.get(b"sec-fetch-site") == "cross-site" and headers.get(b"sec-fetch-mode") != "navigate":
        return _foreign("a page of another site", "")
    return None


def _name_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_near(name: str, here: Collection[str]) -> bool:
    if name in here or name == "localhost" or name.endswith(".localhost"):
        return bool(name)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _foreign(who: str, name: str) -> HttpReply:
    remedy = f" If it is yours, allow it: --allow-host {name}, or create_app(allow_hosts=[{name!r}])." if name else ""
    message = f"The emulator answers only programs on this machine, and this request is for or from {who}.{remedy}"
    return own_error(403, message, "PERMISSION_DENIED")
