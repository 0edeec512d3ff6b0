"""What telemetry costs a call, counted in Python functions, which no load of the machine changes."""

import sys

import pytest

from gemtune.testing import GeminiEmulator

MOST_WITHOUT_SDK = 20
"""Functions that a call takes more if the API of OpenTelemetry is there, and no SDK."""
MOST_WITH_SDK = 400


async def functions(**options) -> float:
    """How many Python functions a call of a client takes, the emulator's included, which are always the same."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event == "call"

    async with GeminiEmulator.make(answers=lambda prompt: "x").client(**options) as client:
        for _ in range(3):
            await client.generate_content("gemini-3.7-flash", "x")
        sys.setprofile(profile)
        try:
            await client.generate_content("gemini-3.7-flash", "x")
        finally:
            sys.setprofile(None)
    return count


async def test_without_an_sdk_telemetry_costs_next_to_nothing_and_with_one_what_the_sdk_does(collected):
    off = min([await functions(telemetry=False) for _ in range(3)])
    api = min([await functions(telemetry=True) for _ in range(3)])
    sdk = min([await functions(telemetry=collected.telemetry()) for _ in range(3)])
    assert off < api <= off + MOST_WITHOUT_SDK
    assert api < sdk <= off + MOST_WITH_SDK


@pytest.mark.parametrize("switch", [{"telemetry": False}, {}])
async def test_an_observer_that_is_not_there_is_asked_nothing(switch, monkeypatch):
    monkeypatch.setenv("GEMTUNE_TELEMETRY", "0")
    async with GeminiEmulator.make().client(**switch) as client:
        assert client._observer is None
