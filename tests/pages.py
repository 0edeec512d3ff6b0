"""Runs a page of the documentation as a reader would: block after block, in an empty folder, warnings being errors.

    python pages.py PAGE...          # a local Gemini API is started for each
    python pages.py --quick PAGE...  # with short waits between looks at a job
    python pages.py --times --real-time PAGE...  # says how many seconds each block takes a reader
    python pages.py --beside 3 PAGE...  # three pages at a time, each in a process of its own

It needs nothing but the standard library and what a page tells its reader to install, so that it runs in an
environment that holds the built wheel and no source tree. What a block means follows from its language and from the
comment before it, which no reader sees:

    ```python                pasted into one session after the other, as into a notebook or ``python -m asyncio``;
                             with ``asyncio.run(`` in it, a program of its own
    ```sh                    run by ``bash -euo pipefail``
    ```text                  right after one of them: what it prints; ``...`` stands for anything
    <!-- file: NAME -->      not run but saved, as the page tells its reader
    <!-- cell -->            run in a Jupyter kernel, one for the page; needs nbclient and ipykernel
    <!-- background -->      runs beside the blocks that follow, which wait until its port answers, if it names one;
                             SIGTERM has to end it at the end of the page
    <!-- exports -->         the variables that it exports are there in all blocks that follow
    <!-- skip: REASON -->    not run; nor is <!-- demo --> or <!-- tests -->, which need a checkout: CI runs them itself
    <!-- needs: A, B -->     anywhere on the page: it is run only where these packages are: by nox -s pages

Ports 8000 and 8080 stand for any that is free. Everything else (``json``, ``ini`` without a name, a ``text`` that
follows no block) is only to be read.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import concurrent.futures
import contextlib
import http.server
import inspect
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n+)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_NEEDS = re.compile(r"^<!-- needs: (.+?) -->$", re.MULTILINE)
_RUN = frozenset({"python", "sh"})
_BEGINS_WITHIN = 20.0
"""Seconds a server may take to answer."""
_ENDS_WITHIN = 10.0
"""Seconds a server may take to end after SIGTERM."""
_PAGE_WITHIN = 300.0
"""Seconds for a whole page: nothing on it waits for ever."""
QUICK = """\
import sys
def shorten(policy, **short):
    usual = policy.__init__
    policy.__init__ = lambda self, **given: usual(self, **(short | given))
if not any("pytest" in word for word in sys.orig_argv):  # the fixtures do it there
    from gemtune.config import RetryPolicy, WatchPolicy
    shorten(WatchPolicy, freshness=0.05, terminal_freshness=0.05, queued_interval=0.05, min_interval=0.01)
    shorten(RetryPolicy, initial=0.01, maximum=0.05)
"""


@dataclass(frozen=True)
class Block:
    """One block of a page: where it stands, what it holds, what its comment says, what it is to print."""

    line: int
    language: str
    code: str
    mark: str = ""
    prints: str | None = None

    @property
    def skipped(self) -> bool:
        return self.mark.startswith("skip:")

    @property
    def file(self) -> str | None:
        return self.mark.removeprefix("file:").strip() if self.mark.startswith("file:") else None

    @property
    def runs(self) -> bool:
        return self.language in _RUN and self.mark in {"", "background", "cell", "exports"}


def blocks(text: str) -> list[Block]:
    """The blocks of a page in their order; what a block prints belongs to it."""
    found: list[Block] = []
    end = 0
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        block = Block(line, match["language"], match["code"], (match["mark"] or "").strip())
        if block.language == "text":
            if found and found[-1].runs and not text[end : match.start()].strip():
                found[-1] = Block(*_fields(found[-1])[:4], prints=block.code)
        else:
            found.append(block)
        end = match.end()
    return found


def needs(text: str) -> list[str]:
    """The packages that the reader of a page installs, beside gemtune with its emulator."""
    return [need.strip() for line in _NEEDS.findall(text) for need in line.split(",")]


def _fields(block: Block) -> tuple[int, str, str, str]:
    return block.line, block.language, block.code, block.mark


class Wrong(Exception):
    """A block did not do what its page says."""


class Kernel:
    """A notebook whose cells are those of a page."""

    def __init__(self, client: Any) -> None:
        self.client = client

    @classmethod
    async def start(cls, folder: Path) -> Kernel:
        import nbclient
        import nbformat

        client = nbclient.NotebookClient(
            nbformat.v4.new_notebook(), timeout=60, resources={"metadata": {"path": str(folder)}}
        )
        client.extra_arguments = ["--log-level=40"]  # it would warn of its own way of talking to us
        client.create_kernel_manager()
        await client.async_start_new_kernel(cwd=str(folder))
        await client.async_start_new_kernel_client()
        return cls(client)

    async def run(self, code: str) -> str:
        """Run a cell, and return what stands below it as text."""
        import nbformat

        cells = self.client.nb.cells
        cells.append(nbformat.v4.new_code_cell(code))
        await self.client.async_execute_cell(cells[-1], len(cells) - 1)
        texts = [output.get("text") or output["data"]["text/plain"] for output in cells[-1].outputs]
        return "\n".join(texts)

    async def close(self) -> None:
        await self.client._async_cleanup_kernel()


class Page:
    """A page on its way: its folder, its session, and the servers that it started."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name, self.folder, self.environment = name, folder, environment
        self.session = types.ModuleType("__main__")
        self.ports = {port: _free_port() for port in ("8000", "8080")}
        self.servers: list[tuple[Block, subprocess.Popen[str]]] = []
        self.kernel: Kernel | None = None
        self.ran = 0
        self.took: list[tuple[int, float]] = []

    async def run(self, found: list[Block]) -> None:
        try:
            async with asyncio.timeout(_PAGE_WITHIN):
                for block in found:
                    began = time.monotonic()
                    await self._block(block)
                    self.took.append((block.line, time.monotonic() - began))
            self._end_servers()
        finally:
            if self.kernel is not None:
                await self.kernel.close()
            for _, server in self.servers:
                with server:  # closes what it printed to
                    server.kill()

    async def _block(self, block: Block) -> None:
        if block.file is not None:
            (self.folder / block.file).write_text(block.code, encoding="utf-8")
            return
        if not block.runs:
            return
        try:
            if block.mark == "background":
                self._start(block)
                await asyncio.to_thread(self._wait_for, block)
                printed = ""
            elif block.mark == "exports":
                printed = await self._exports(block)
            elif block.mark == "cell":
                self.kernel = self.kernel or await Kernel.start(self.folder)
                printed = await self.kernel.run(block.code)
            elif block.language == "sh":
                printed = await self._command(self._shell(block.code))
            elif "asyncio.run(" in block.code:
                printed = await self._command([sys.executable, "-X", "dev", "-W", "error", "-c", block.code])
            else:
                printed = await self._paste(block)
        except Exception as error:
            raise Wrong(f"{self.name}:{block.line}: {error}") from error
        self.ran += 1
        if block.prints is not None and not matches(block.prints, printed):
            raise Wrong(f"{self.name}:{block.line} should print\n{block.prints}\nand printed\n{printed}")

    async def _command(self, command: list[str]) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed = (await process.communicate())[0].decode()
        if process.returncode:
            raise Wrong(f"exit code {process.returncode}\n{printed}")
        return printed

    async def _paste(self, block: Block) -> str:
        # Blank lines before the code give a traceback the line numbers of the page.
        source = "\n" * block.line + block.code
        code = compile(source, self.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            result = types.FunctionType(code, vars(self.session))()
            if inspect.iscoroutine(result):
                await result
        return printed.getvalue()

    def _shell(self, code: str) -> list[str]:
        for port, free in self.ports.items():
            code = re.sub(rf"\b{port}\b", str(free), code)
        return ["bash", "-euo", "pipefail", "-c", code]

    async def _exports(self, block: Block) -> str:
        printed, _, found = (await self._command(self._shell(f"{block.code}\nprintf '\\0'\nenv -0"))).partition("\0")
        new = dict(each.partition("=")[::2] for each in found.split("\0") if each)
        self.environment |= new
        os.environ |= new  # the session lives in this very process, and the kernel inherits it
        return printed

    def _start(self, block: Block) -> None:
        server = subprocess.Popen(
            self._shell(f"exec {block.code.strip()}"),
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.servers.append((block, server))

    def _wait_for(self, block: Block) -> None:
        """Wait until the server that was started last answers at its port, or has ended."""
        _, server = self.servers[-1]
        patience = time.monotonic() + _BEGINS_WITHIN
        for port in (free for named, free in self.ports.items() if re.search(rf"\b{named}\b", block.code)):
            while server.poll() is None and not _answers(port):
                if time.monotonic() > patience:
                    raise Wrong(f"{self.name}:{block.line} does not answer after {_BEGINS_WITHIN:g} s")
                time.sleep(0.05)

    def _end_servers(self) -> None:
        for block, server in self.servers:
            if server.poll() is not None:
                raise Wrong(f"{self.name}:{block.line} ended before its page did\n{server.communicate()[0]}")
            server.send_signal(signal.SIGTERM)
            try:
                printed = server.communicate(timeout=_ENDS_WITHIN)[0]
            except subprocess.TimeoutExpired:
                raise Wrong(f"{self.name}:{block.line} did not end within {_ENDS_WITHIN:g} s of SIGTERM") from None
            if "Traceback" in printed:
                raise Wrong(f"{self.name}:{block.line} ended with\n{printed}")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def matches(expected: str, printed: str) -> bool:
    """Whether a program printed what a page says: spaces at the ends of lines aside, ``...`` being anything."""
    wanted, got = ("\n".join(map(str.rstrip, text.strip().splitlines())) for text in (expected, printed))
    return re.fullmatch(".*?".join(map(re.escape, wanted.split("..."))), got, re.DOTALL) is not None


class _MachineOfGoogles(http.server.BaseHTTPRequestHandler):
    """Answers as the metadata server does, so that a reader has credentials: Vertex AI takes no API key."""

    def do_GET(self) -> None:
        body = json.dumps({"access_token": "a-readers-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        for name, value in (("metadata-flavor", "Google"), ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def _metadata_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _MachineOfGoogles) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _put(url: str, name: str) -> None:
    """Lay a file of training data into the reader's bucket, as those have who come from another SDK."""
    turns = [{"role": role, "parts": [{"text": text}]} for role, text in (("user", "1"), ("model", "2"))]
    url = f"{url}/upload/storage/v1/b/my-bucket/o?uploadType=media&name={name}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(url, json.dumps({"contents": turns}).encode()).close()


@contextlib.contextmanager
def reader(quick: bool, real_time: bool = False) -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty folder, and the environment of a reader who has started the emulator."""
    from gemtune.emulator import create_app, running_emulator

    pace: dict[str, Any] = {}
    if not real_time:
        pace = {"step_seconds": 0.02, "queue_seconds": 0.0, "batch_queue_seconds": 0.1, "batch_seconds": 0.5}
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as patches,
        running_emulator(create_app(**pace, buckets=("my-bucket",))) as server,
        _metadata_server() as metadata,
    ):
        _put(server.url, "train.jsonl")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "GEMINI_", "PYTEST"))
        }
        environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GOOGLE_GEMINI_BASE_URL": server.url,
            "GOOGLE_API_KEY": "anything",
            "GOOGLE_VERTEX_BASE_URL": server.url,
            "GCE_METADATA_HOST": metadata,
            "GCE_METADATA_IP": metadata,
            "CLOUDSDK_CONFIG": folder,  # no login of whoever runs this
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "PYTHONUNBUFFERED": "1",
        }
        if quick:
            (Path(patches) / "sitecustomize.py").write_text(QUICK)
            environment["PYTHONPATH"] = patches
        yield Path(folder), environment


def run(pages: list[Path], quick: bool, times: bool, real_time: bool) -> dict[str, dict[str, int]]:
    """Run pages, each on its own, and count their blocks."""
    counts = {}
    for path in pages:
        found = blocks(path.read_text(encoding="utf-8"))
        with reader(quick, real_time) as (folder, environment):
            os.environ |= environment
            os.chdir(folder)
            page = Page(path.name, folder, environment)
            asyncio.run(page.run(found))
            os.chdir(path.parent)
        for line, seconds in page.took if times else ():
            print(f"{path.name}:{line} {seconds:.1f} s")
        counts[path.name] = {"ran": page.ran, "skipped": sum(block.skipped for block in found)}
    return counts


def pages_of(root: Path) -> list[Path]:
    """The README and every page of the documentation."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def runnable(root: Path) -> list[Path]:
    """The pages that hold something to run and need no further packages."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages_of(root)}
    return [path for path, text in texts.items() if not needs(text) and any(block.runs for block in blocks(text))]


def check(path: Path) -> None:
    """Run a page in a process of its own, as a test: every block that runs did, and nothing else was said."""
    command = [sys.executable, "-X", "dev", "-W", "error", __file__, "--quick", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    count = sum(block.runs for block in blocks(path.read_text(encoding="utf-8")))
    assert json.loads(ran.stdout.splitlines()[0])[path.name]["ran"] == count


def run_beside(pages: list[Path], many: int, flags: list[str]) -> dict[str, dict[str, int]]:
    """Run pages in processes of their own, so many at a time: most of a page's time is waiting."""
    python = [
        sys.executable,
        *(["-X", "dev"] if sys.flags.dev_mode else []),
        *(f"-W{each}" for each in sys.warnoptions),
    ]
    with concurrent.futures.ThreadPoolExecutor(many) as threads:
        commands = ([*python, __file__, *flags, str(path)] for path in pages)
        everyone = list(
            threads.map(lambda each: subprocess.run(each, capture_output=True, text=True, check=False), commands)
        )
    counts: dict[str, dict[str, int]] = {}
    for path, ran in zip(pages, everyone, strict=True):
        if ran.returncode:  # a page may show how to log, to standard error; warnings are errors
            raise Wrong(f"{path.name}: exit code {ran.returncode}\n{ran.stderr}")
        *times, found, _ = ran.stdout.splitlines()
        print("\n".join(times), end="\n" * bool(times))
        counts |= json.loads(found)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="wait little between two looks at a job")
    parser.add_argument("--times", action="store_true", help="say how many seconds each block took")
    parser.add_argument("--real-time", action="store_true", help="let the emulator's jobs take as long as they do")
    parser.add_argument("--beside", type=int, default=1, metavar="N", help="run so many pages at a time")
    parser.add_argument("pages", nargs="+", type=lambda text: Path(text).resolve())
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # in development mode it would tell of every slow step
    if options.quick:
        exec(QUICK)  # the session lives in this very process
    try:
        if options.beside > 1:
            names = ("quick", "times", "real_time")
            flags = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]
            counts = run_beside(options.pages, options.beside, flags)
        else:
            counts = run(options.pages, options.quick, options.times, options.real_time)
        print(json.dumps(counts))
        ran, skipped = (sum(count[what] for count in counts.values()) for what in ("ran", "skipped"))
        print(f"{ran} blocks of {len(counts)} pages did what they say; {skipped} are only to be read")
    except Wrong as wrong:
        traceback.print_exception(wrong)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
