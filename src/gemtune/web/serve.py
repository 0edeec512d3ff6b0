"""A dashboard on a socket of its own, for ``gemtune dashboard``: through uvicorn, and until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import attrs
import uvicorn
from starlette.types import ASGIApp

from gemtune.client import Client
from gemtune.watch import Watcher
from gemtune.web.dashboard import Show, made
from gemtune.web.guard import KEY, Entrance, VisitorCheck

_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - to be told apart, not to listen on
_GRACE = 1
"""Seconds that uvicorn waits for a browser that takes nothing."""


@attrs.define(eq=False)
class DashboardSite:
    """Where a dashboard listens, and who may enter.

    On this machine's own addresses everybody on it may look. Elsewhere, and wherever models may be asked, only those
    who were given a link.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        on_used: Called with a new link once the last one was used.
        locked: Whether a link is needed even on this machine.
    """

    host: str
    port: int = 0
    on_used: Callable[[str], object] = lambda _: None
    locked: bool = False
    _entrance: Entrance | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.locked or not self.is_loopback:
            self._entrance = Entrance(on_used=lambda: self.on_used(self.link))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def listen(self) -> socket.socket:
        """Return the socket it listens on.

        Raises:
            OSError: The address cannot be had.
            OverflowError: There is no such port.
        """
        if not 0 <= self.port < 65536:  # create_server would leave its socket open
            raise OverflowError("there is no such port")
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        self.port = listener.getsockname()[1]
        return listener

    @property
    def link(self) -> str:
        """The address to open; with a key that works once, if one is needed."""
        host = socket.gethostname() if self.host in _ANY else self.host
        host = f"[{host}]" if ":" in host else host
        query = f"?{KEY}={self._entrance.key}" if self._entrance is not None else ""
        return f"http://{host}:{self.port}/{query}"

    def app(self, watcher: Watcher, client: Client, title: str, *, allow_asking: bool) -> ASGIApp:
        """Return the application."""
        # Behind a key the Host proves nothing more: the cookie is kept by the browser for this name alone.
        hosts = frozenset("*") if not self.is_loopback else None
        return made(Show(watcher, client, tuple, title, allow_asking), VisitorCheck(hosts), self._entrance)


async def serve(
    app: ASGIApp, listener: socket.socket, on_ready: Callable[[], object], limit: float | None = None
) -> bool:
    """Serve an application until SIGINT or SIGTERM; its open streams end with it.

    Args:
        app: The application.
        listener: Where it listens.
        on_ready: Called once it does.
        limit: Seconds after which it ends in any case.

    Returns:
        Whether a signal ended it.
    """
    stopped = False

    class SignalledServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - of uvicorn
            # uvicorn would raise the signal again when all is closed, and kill a process that has ended well.
            nonlocal stopped
            self.force_exit = stopped and sig == signal.SIGINT
            self.should_exit = stopped = True

    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", interface="asgi3", log_config=None, log_level="error",
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=_GRACE,
    )  # fmt: skip
    server = SignalledServer(config)
    if limit is not None:
        asyncio.get_running_loop().call_later(limit, setattr, server, "should_exit", True)
    await server.serve([listener])
    return stopped


def opens_browser() -> bool:
    """Return whether this machine can show a page to whoever sits before it."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    # Without a desktop, webbrowser would start one that draws in this terminal.
    return sys.platform in {"darwin", "win32"} or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))


def open_browser(url: str) -> None:
    """Show a page, if there is a browser, and do not wait for it."""
    import webbrowser

    def show() -> None:
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(url)

    threading.Thread(target=show, name="gemtune-browser", daemon=True).start()
