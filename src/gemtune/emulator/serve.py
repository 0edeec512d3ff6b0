"""The emulator on a real socket, through uvicorn (extra ``emulator``)."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import ipaddress
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio.to_thread
import attrs

from gemtune.emulator import credentials
from gemtune.emulator.app import Emulator, create_app
from gemtune.emulator.server import listen, make_server
from gemtune.emulator.world.keeping.files import write_whole
from gemtune.emulator.world.recall.reading import read_rows
from gemtune.emulator.world.settings import read_setting

if TYPE_CHECKING:
    import uvicorn

_FACTS = ("url", "pid", "version")


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
    _changing: threading.Lock = attrs.field(factory=threading.Lock, init=False)

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
        server = make_server(self.app, self.certfile, self.keyfile, ready.set)
        listener = listen(self.host, self.port)
        self.app.hosts.add(self.host.lower())
        self.port = listener.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([listener],), name="gemtune-emulator", daemon=True)
        self._thread.start()
        # The thread may die before it is ready (a bad certificate): waiting for readiness alone would hang.
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

    def _start_unless(self, left: threading.Event) -> None:
        with self._changing:
            if not left.is_set():
                self.start()

    def _stop_once_started(self) -> None:
        with self._changing:
            self.stop()

    def write_credentials(self, path: str | os.PathLike[str], project: str = "demo") -> None:
        """Write a service account's file whose tokens this emulator gives, for GOOGLE_APPLICATION_CREDENTIALS.

        Args:
            path: where.
            project: the project that the account belongs to.

        Raises:
            ImportError: the package cryptography is not installed.
        """
        credentials.write_service_account(Path(path), self.url, project)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        left = threading.Event()
        try:
            await anyio.to_thread.run_sync(self._start_unless, left)
        except BaseException:
            # A task of asyncio may be cancelled while the thread starts it, and nobody else would stop it.
            left.set()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._stop_once_started)
            raise
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


def _check_ready_file(path: Path) -> None:
    """Refuse a path where no file can appear, or where something lies that no emulator wrote."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text.strip() else dict.fromkeys(_FACTS)
    except FileNotFoundError:
        if os.access(path.parent, os.W_OK):
            return
        raise ValueError(f"--ready-file {path}: no file can be made there") from None
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(found) != set(_FACTS):
        raise ValueError(f"--ready-file {path}: something else is there; remove it, or choose another name")


def _warn(host: str) -> None:
    """Say so if other machines can reach the emulator: it knows no secrets of its own to keep them out."""
    try:
        alone = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = False
    if not alone:
        sys.stderr.write(
            f"warning: with --host {host} other machines can command the emulator and read the requests it saw\n"
        )


def _announce(url: str, options: argparse.Namespace) -> None:
    facts = (url, os.getpid(), importlib.metadata.version("gemtune"))
    line = json.dumps(dict(zip(_FACTS, facts, strict=True))) + "\n"
    if options.credentials:
        credentials.write_service_account(options.credentials, url, "demo")
    if options.ready_file:
        write_whole(options.ready_file, line)
    if options.json:
        sys.stdout.write(line)
        sys.stdout.flush()
    else:
        sys.stderr.write(f"The emulator is listening on {url} (Ctrl-C to stop)\n")


_EXAMPLES = """\
examples:
  gemtune emulator --port 8080
  gemtune emulator --clock scaled:60 --seed 7     a minute of tuning in a second, the same every time
  gemtune emulator --bucket my-bucket             for Vertex AI: a place where training data is uploaded to
  gemtune emulator --json > ready.json &          its address, as soon as it listens
"""


def parse_arguments(argv: Sequence[str] | None, parser_type: type[argparse.ArgumentParser]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = parser_type(
        prog="gemtune emulator",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        description="A local Gemini API, Vertex AI and Cloud Storage for tuning. Point clients at it with\n"
        "GOOGLE_GEMINI_BASE_URL, GOOGLE_VERTEX_BASE_URL and STORAGE_EMULATOR_HOST.\n"
        "Nothing is learned: a tuned model answers with its nearest training example, or as --knows lets it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    facts = '{"url", "pid", "version"}'
    parser.add_argument("--json", action="store_true", help=f"print {facts} once it listens")
    parser.add_argument("--ready-file", type=Path, metavar="F", help=f"write {facts} to this file then")
    text = "how its time runs (default: real)"
    parser.add_argument("--clock", default="real", metavar="real|scaled:N|stepped", help=text)
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
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="answer under this name, as in a compose file (repeatable; this machine's names always work)",
    )  # fmt: skip
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME",
        help="a bucket of Cloud Storage that is there from the beginning (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--credentials", type=Path, metavar="F",
        help="write a service account to this file whose tokens the emulator gives; "
        "GOOGLE_APPLICATION_CREDENTIALS may name it",
    )  # fmt: skip
    text = "held-out rows (CSV, JSON, JSON lines); a model answers more of them right the lower its loss is"
    parser.add_argument("--knows", type=Path, metavar="F", help=text)
    parser.add_argument("--log", action="store_true", help="write a line about each request to standard error")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="any field of gemtune.emulator.Settings, such as max_connections=50 (repeatable)",
    )  # fmt: skip
    parser.add_argument("--state", metavar="FILE", help="keep what it stores here, across restarts (but for --knows)")
    return parser.parse_args(argv)


def _app(options: argparse.Namespace) -> Emulator:
    app = create_app(**{
        "clock": options.clock, "seed": options.seed, "step_seconds": options.step_seconds, "auth": options.auth,
        "state": options.state, "allow_hosts": options.allow_host, "buckets": options.bucket,
        "knows": read_rows(options.knows) if options.knows else (),
        **dict(map(read_setting, options.set)),
    })  # fmt: skip
    if options.log:
        app.requests.on_line = _log
    return app


def _log(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def main(
    argv: Sequence[str] | None = None, parser_type: type[argparse.ArgumentParser] = argparse.ArgumentParser
) -> int:
    """Serve until interrupted.

    Args:
        argv: the command line without the program's name.
        parser_type: what parses it, and reports what is wrong with it.

    Returns:
        The exit code: 2 if it could not start, otherwise 130: only Ctrl-C or SIGTERM ends it.
    """
    options = parse_arguments(argv, parser_type)
    try:
        app = _app(options)
        if options.ready_file:
            _check_ready_file(options.ready_file)
        if options.credentials:
            credentials.check_place(options.credentials)
        server = make_server(app, None, None, lambda: _announce(url, options))
        listener = listen(options.host, options.port)
    except (ValueError, OSError, OverflowError, ImportError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)  # an earlier run's address is stale; a start that failed kept it
    app.hosts.add(options.host.lower())
    _warn(options.host)
    if app.state is not None and app.state.forgotten:
        sys.stderr.write(
            f"note: {app.state.path} was written by an emulator that knew {app.state.forgotten:,} held-out rows, which "
            "are not in it: pass --knows again\n"
        )
    url = RunningEmulator(app, options.host, listener.getsockname()[1]).url
    with contextlib.suppress(KeyboardInterrupt):  # it came before the server listened for signals
        server.run([listener])
    return 130
