"""The pytest plugin: fixtures that hold a local Gemini API.

It is loaded in every test run where gemtune is installed, so that it imports nothing but pytest until a fixture is
used. ``-p no:gemtune`` switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemtune.testing.fixture import GeminiEmulator

_MARKER = (
    "gemini_emulator(**options): options of gemtune.emulator.create_app for the test's emulator, such as "
    "step_seconds=60, auth='required' or answers={...}"
)
_OTHER_SERVICE = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def gemini_emulator(request: pytest.FixtureRequest) -> GeminiEmulator:
    """Return a Gemini API in this process, with a client, its clock, faults, answers and requests in reach.

    Tuning takes no time, and the clock stands still until ``gemini_emulator.advance(seconds)``. To see a job at work,
    mark the test with ``@pytest.mark.gemini_emulator(step_seconds=60)`` and advance the clock.
    """
    from gemtune.testing.fixture import GeminiEmulator

    options: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("gemini_emulator"))):
        options |= marker.kwargs
    return GeminiEmulator.make(**options)


@pytest.fixture
def gemini_emulator_url(gemini_emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the test's Gemini API on a socket and return its address.

    Until the end of the test the environment leads there: gemtune and google-genai need no arguments. What asks Vertex
    AI or Cloud Storage is led there as well, but has to bring its own project, location and credential. What the
    application leaves open in a ``WatchPolicy`` or ``RetryPolicy`` is short, so that no test waits for the next look
    at a job or the next attempt.
    """
    from gemtune.testing.fixture import shorten_waits

    with gemini_emulator.serve() as url:
        for name in ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "STORAGE_EMULATOR_HOST"):
            monkeypatch.setenv(name, url)
        monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "beta")  # what google-genai calls v1beta
        for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
            monkeypatch.setenv(name, "emulator")
        for name in _OTHER_SERVICE:
            monkeypatch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))))
        shorten_waits(monkeypatch)
        yield url
