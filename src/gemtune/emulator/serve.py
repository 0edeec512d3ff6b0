"""The emulator on a real socket, through uvicorn (extra ``emulator``)."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio.to_thread
import attrs

from gemtune.emulator.app import Emulator, create_app
from gemtune.emulator.front.delivery import CONNECTION, Connection

if TYPE_CHECKING:
    import uvicorn

_MISSING = "the emulator needs uvicorn to listen on a socket: pip install 'gemtune[emulator]'"


@attrs.define(repr=False, eq=False)
class RunningEmulator:
    """An emulator listening in a thread of its own; a context manager, for ``with`` and for ``async with``.

    Args:
        app: what is served.
        host: address to listen on.
        port: 0 for any free one.
        certfile: PEM file of a certificate, to speak HTTPS.
        keyfile: PEM file of its key.
    """

    app: Emulator
    host: str = "127.0.0.1"
    port: int = 0
    certfile: str | None = None
    keyfile: str | None = None
    _server: uvicorn.Server | None = attrs.field(default=None, init=False)
    _thread: threading.Thread | None = attrs.field(default=None, init=False)

    def __repr__(self) -> str:
        return f"<RunningEmulator {self.url if self._server else 'stopped'} {self.app!r}>"

    @property
    def url(self) -> str:
        """Where it listens; known once it has started."""
        scheme = "https" if self.certfile else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def start(self) -> None:
        """Listen; returns when the first connection can be made."""
        ready = threading.Event()
        server = _make_server(self.app, self.certfile, self.keyfile, ready.set)
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([listener],), name="gemtune-emulator", daemon=True)
        self._thread.start()
        while not ready.wait(0.1):
            if not self._thread.is_alive():
                listener.close()
                raise RuntimeError("the emulator's server thread ended before it could listen")

    def stop(self) -> None:
        """Close the socket and every connection, and wait for the thread to end."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)


def running_emulator(
    app: Emulator | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certfile: str | None = None,
    keyfile: str | None = None,
    **options: Any,
) -> RunningEmulator:
    """Return an emulator on a real socket, for the length of a ``with`` or ``async with`` block.

    Args:
        app: from ``create_app``; None makes one from ``options``.
        host: address to listen on.
        port: 0 for any free one.
        certfile: PEM file of a certificate, to speak HTTPS.
        keyfile: PEM file of its key.
        options: of ``create_app``.

    Returns:
        A context manager that yields itself: ``.url`` is where clients connect, ``.app`` the emulator.
    """
    if app is not None and options:
        raise TypeError(f"options are for a new emulator, but one was given: {', '.join(options)}")
    return RunningEmulator(app or create_app(**options), host, port, certfile, keyfile)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: TCP_NODELAY only if told
    if os.name == "posix":  # elsewhere the option lets two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _make_server(
    app: Emulator, certfile: str | None, keyfile: str | None, on_ready: Callable[[], object]
) -> uvicorn.Server:
    try:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ImportError as error:
        raise ImportError(_MISSING) from error

    class Protocol(H11Protocol):
        """HTTP/1.1 that lets the application reach its own connection."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            inner, connection = self.app, Connection(transport)

            async def with_connection(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("extensions", {})[CONNECTION] = connection
                await inner(scope, receive, send)

            self.app = with_connection

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    config = uvicorn.Config(
        app, http=Protocol, ws="none", loop="asyncio", lifespan="off", interface="asgi3", log_config=None,
        log_level="warning", access_log=False, server_header=False, date_header=False, timeout_keep_alive=65,
        timeout_graceful_shutdown=1, ssl_certfile=certfile, ssl_keyfile=keyfile,
    )  # fmt: skip
    return Server(config)


def _clear_ready_file(path: Path) -> None:
    """Take away the file of an earlier run, and refuse a path where no file could appear."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"--ready-file {path}: no file can be made there")
    path.unlink(missing_ok=True)


def _write_ready_file(path: Path, line: str) -> None:
    """Let the file appear, whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(line)
    Path(name).replace(path)


def _announce(url: str, options: argparse.Namespace) -> None:
    facts = {"url": url, "pid": os.getpid(), "version": importlib.metadata.version("gemtune")}
    line = json.dumps(facts) + "\n"
    if options.ready_file:
        _write_ready_file(options.ready_file, line)
    if options.json:
        sys.stdout.write(line)
        sys.stdout.flush()
    else:
        sys.stderr.write(f"The emulator is listening on {url} (Ctrl-C to stop)\n")


_EXAMPLES = """\
examples:
  gemtune emulator --port 8080
  gemtune emulator --clock scaled:60 --seed 7     a minute of tuning in a second, the same every time
  gemtune emulator --json > ready.json &          its address, as soon as it listens
"""


def parse_arguments(argv: Sequence[str] | None, parser_type: type[argparse.ArgumentParser]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = parser_type(
        prog="gemtune emulator",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        description="A local Gemini API for tuning. Point a client at it, for instance with GOOGLE_GEMINI_BASE_URL.\n"
        "Nothing is learned: a tuned model answers with its nearest training example.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    facts = '{"url", "pid", "version"}'
    parser.add_argument("--json", action="store_true", help=f"print {facts} once it listens")
    parser.add_argument("--ready-file", type=Path, metavar="F", help=f"write {facts} to this file then")
    parser.add_argument(
        "--clock", default="real", metavar="real|scaled:N|stepped", help="how its time runs (default: real)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for ids and loss curves (default: 0)")
    parser.add_argument(
        "--step-seconds", type=float, default=1.2, metavar="S", help="length of a tuning step (default: 1.2)"
    )
    parser.add_argument(
        "--auth",
        choices=("any", "required", "strict"),
        default="any",
        help="whether requests need a credential; strict: a known one (default: any)",
    )
    parser.add_argument("--state", metavar="FILE", help="keep tuned models in this file, across restarts")
    return parser.parse_args(argv)


def main(
    argv: Sequence[str] | None = None, parser_type: type[argparse.ArgumentParser] = argparse.ArgumentParser
) -> int:
    """Serve until interrupted.

    Args:
        argv: the command line without the program's name.
        parser_type: what parses it, and reports what is wrong with it.

    Returns:
        The exit code: 0; 2 when it could not start; 130 when interrupted.
    """
    options = parse_arguments(argv, parser_type)
    try:
        app = create_app(
            clock=options.clock, seed=options.seed, step_seconds=options.step_seconds, auth=options.auth,
            state=options.state,
        )  # fmt: skip
        if options.ready_file:
            _clear_ready_file(options.ready_file)
        server = _make_server(app, None, None, lambda: _announce(url, options))
        listener = _listen(options.host, options.port)
    except (ValueError, OSError, OverflowError, ImportError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    url = RunningEmulator(app, options.host, listener.getsockname()[1]).url
    try:
        server.run([listener])
    except KeyboardInterrupt:
        return 130
    return 0
