"""The real dashboard over an emulator, served on a socket from a thread: a test is its visitor, and starts jobs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import uvicorn
from sse_starlette.sse import AppStatus

from gemtune.testing import GeminiEmulator
from gemtune.web import dashboard

T = TypeVar("T")
BASE = "models/gemini-1.0-pro-001"
EXAMPLES = [(str(number), str(number + 1)) for number in range(1, 21)]


class Theatre:
    """An emulator, a client and a watcher of all jobs, on a loop in a thread."""

    def __init__(self, **options: Any) -> None:
        self.emulator = GeminiEmulator.make(clock="real", queue_seconds=0.3, **options)
        self.loop = asyncio.new_event_loop()
        self.over: asyncio.Event | None = None
        self.client: Any = None
        self.watcher: Any = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        ready = threading.Event()
        thread = threading.Thread(target=self._run, args=(ready,))
        thread.start()
        assert ready.wait(10)
        try:
            yield
        finally:
            assert self.over is not None
            self.loop.call_soon_threadsafe(self.over.set)
            thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        async def hold() -> None:
            self.over = asyncio.Event()
            async with self.emulator.client() as client, client.watch(filter="owner:me") as watcher:
                self.client, self.watcher = client, watcher
                ready.set()
                await self.over.wait()

        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(hold())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its value."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    @contextlib.contextmanager
    def served(self, port: int = 0, **options: Any) -> Iterator[str]:
        """Serve the dashboard; the value is its address."""
        app = dashboard(self.watcher, client=self.client, allow_asking=True, **options)
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined, method-assign]
        serving = asyncio.run_coroutine_threadsafe(server._serve(), self.loop)
        try:
            while not server.started:
                assert not serving.done(), serving
                self.do(asyncio.sleep(0.01))
            (socket,) = server.servers[0].sockets
            yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
        finally:
            AppStatus.should_exit = server.should_exit = True  # as after a signal, which a thread cannot get
            serving.result(10)
            AppStatus.should_exit = False
