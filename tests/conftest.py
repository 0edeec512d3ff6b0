"""What every test may ask for: an async backend, virtual time, and the guard against blocking calls.

A coroutine test runs on asyncio. Marked ``both_backends`` it runs on asyncio and on trio; with the fixture
``virtual_time`` it runs in virtual time (see virtualtime.py for its one hazard).

What gates a change runs with fixed seeds and without deadlines, so that it is green or red for a reason;
``--hypothesis-profile random`` searches, as ``nox -s deep`` does.
"""

import gc
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

import gemtune
import virtualtime

# What meets the keys of a batch on the loop: a page of an unnamed database, from its cache or the system's. And what a
# test calls on its loop although it reads a file.
UNNAMED_DATABASES = {
    "gemtune/batch/keys.py": {"unnamed_database", "__attrs_post_init__", "meet", "confirm", "known"},
    "gemtune/batch/journal/export.py": {"_offsets"},
}

settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("fixed")

# What the variables of the machine say (CI, proxies, credentials, colours, log levels) changes what the package says,
# and so must not reach a test, nor a program that a test starts: only what a process needs in order to run is kept.
KEPT = ("COV", "HYPOTHESIS", "NOX", "PIP", "PY", "UV", "XDG")
KEPT_NAMES = {"PATH", "HOME", "USER", "LANG", "TMPDIR", "TEMP", "TMP", "SHELL", "VIRTUAL_ENV", "SYSTEMROOT", "PATHEXT"}
# What a session says to the tests themselves; no program reads these. tests/test_sessions.py knows if one is missing.
KEPT_NAMES |= {"GEMTUNE_DEEP", "GEMTUNE_DRAW", "GEMTUNE_JSON", "GEMTUNE_KILLS", "GEMTUNE_SEED"}
for name in os.environ.keys() - KEPT_NAMES:
    if not name.startswith(KEPT):
        del os.environ[name]

# A shell starts what is put into the background ("&") with these ignored, and nohup with the last; programs that the
# tests start would inherit that and never notice an interrupt.
for inherited in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(inherited) is signal.SIG_IGN:
        signal.signal(inherited, signal.default_int_handler if inherited is signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Keep the tests themselves out of the garbage collector's way: a collection takes a tenth of the time then."""
    # Thousands of tests are millions of objects, which every full collection would walk; and what counts objects, as
    # the tests of what is left behind do, would count them as well.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--hypothesis-profile") != "random":
        random.seed(item.nodeid)


def pytest_report_header() -> str:
    return f"gemtune: {Path(gemtune.__file__).parent}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "anyio_backend" not in metafunc.fixturenames:
        return
    both = metafunc.definition.get_closest_marker("both_backends") is not None
    virtual = "virtual_time" in metafunc.fixturenames
    if not both and not virtual:
        return
    backends: list[Any] = [virtualtime.asyncio_backend() if virtual else "asyncio"]
    ids: list[Any] = ["asyncio"] if both else [pytest.HIDDEN_PARAM]
    if both:
        backends.append(virtualtime.trio_backend() if virtual else "trio")
        ids.append("trio")
    metafunc.parametrize("anyio_backend", backends, ids=ids, indirect=True)


@pytest.fixture(scope="session")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The backend of anyio's pytest plugin: asyncio, or what pytest_generate_tests chose for the test."""
    return getattr(request, "param", "asyncio")


@pytest.fixture
async def virtual_time(anyio_backend_name: str) -> Callable[[], float]:
    """Virtual time; the value is a function: virtual seconds since the test began."""
    if not virtualtime.in_force(anyio_backend_name):
        pytest.fail("an async fixture of wider scope has started a loop in real time: give it function scope")
    start = anyio.current_time()
    return lambda: anyio.current_time() - start


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """A call of gemtune's that blocks the asyncio event loop (a file, a lock, time.sleep) fails the test."""
    with blockbuster_ctx("gemtune") as guard:
        for call in ("Connection.execute", "Connection.executemany", "Cursor.fetchone"):
            for file, functions in UNNAMED_DATABASES.items():
                guard.functions[f"sqlite3.{call}"].can_block_in(file, functions)
        yield
