"""Google's own clients, unpatched, against the emulator on a real socket.

They are no dependency of gemtune: the tests are collected where they are installed (``nox -s foreign``).
"""

import gc
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gemtune.emulator import RunningEmulator, running_emulator


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


_NEEDED = {
    "test_google_genai.py": ("google.genai", "aiohttp", "httpx2"),
    "test_google_genai_batches.py": ("google.genai", "aiohttp", "httpx2"),
    "test_google_cloud_storage.py": ("google.cloud.storage",),
    "test_google_genai_vertex.py": ("google.genai", "google.cloud.storage"),
    "test_google_generativeai.py": ("google.generativeai",),
    "test_tuning_data.py": ("google.genai",),
    "test_together.py": ("google.genai",),
    "test_tutorial.py": ("requests",),
}
collect_ignore = [file for file, names in _NEEDED.items() if not all(map(_installed, names))]


@pytest.fixture(autouse=True)
def left_open() -> Iterator[None]:
    """Collect what Google's clients leave open while the test's own filter of warnings holds, and not at the end."""
    yield
    gc.collect()


@pytest.fixture
def serve() -> Iterator[Callable[..., RunningEmulator]]:
    """A function that starts an emulator on a stepped clock; its arguments are those of ``create_app``."""
    with ExitStack() as stack:

        def begin(**options) -> RunningEmulator:
            return stack.enter_context(running_emulator(**{"clock": "stepped"} | options))

        yield begin
