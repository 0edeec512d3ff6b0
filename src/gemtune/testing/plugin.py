"""The pytest plugin: fixtures that hold a local Gemini API.

It is loaded in every test run where gemtune is installed, so that it imports nothing but pytest until a fixture is
used. ``-p no:gemtune`` switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemtune.testing.fixture import GeminiEmulator

_MARKER = (
    "gemini_emulator(**options): options of gemtune.emulator.create_app for the test's emulator, such as "
    "step_seconds=60, auth='required' or answers={...}"
)
_ADDRESSES = ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "STORAGE_EMULATOR_HOST")
_TO_GEMINI = {
    "GOOGLE_GENAI_API_VERSION": "beta",  # what google-genai calls v1beta
    "GOOGLE_API_KEY": "emulator",
    "GEMINI_API_KEY": "emulator",
}
_TO_VERTEX = {
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_CLOUD_PROJECT": "test-project",
    "GOOGLE_CLOUD_LOCATION": "us-central1",
    "GEMTUNE_BUCKET": "test-bucket",  # of every GeminiEmulator
}


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
    with gemini_emulator.serve() as url:
        _lead(monkeypatch, url, _TO_GEMINI, _TO_VERTEX)
        yield url


@pytest.fixture
def vertex_emulator_url(
    gemini_emulator: GeminiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """Serve the test's Vertex AI and Cloud Storage on a socket and return the address.

    Until the end of the test the environment leads there, with a service account, a project and a bucket: gemtune
    needs no arguments. Waits are short, as for ``gemini_emulator_url``.
    """
    with gemini_emulator.serving() as server:
        account = tmp_path / "service_account.json"
        server.write_credentials(account, _TO_VERTEX["GOOGLE_CLOUD_PROJECT"])
        _lead(monkeypatch, server.url, _TO_VERTEX | {"GOOGLE_APPLICATION_CREDENTIALS": str(account)}, _TO_GEMINI)
        yield server.url


def _lead(monkeypatch: pytest.MonkeyPatch, url: str, there: Mapping[str, str], elsewhere: Iterable[str]) -> None:
    """Let the environment lead to an address, to one of the services there and not to the other."""
    from gemtune.testing.fixture import shorten_waits

    for name in elsewhere:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**dict.fromkeys(_ADDRESSES, url), **there}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), "127.0.0.1"))))
    shorten_waits(monkeypatch)
