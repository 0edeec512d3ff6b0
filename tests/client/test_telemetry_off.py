"""A client that is not observed loads nothing of OpenTelemetry, and says how to get it if it is wanted."""

import json
import logging
import subprocess
import sys
import types

import pytest

from gemtune.protocol.hosts import Routes
from gemtune.telemetry.switch import observatory

PROGRAM = """\
import asyncio, json, sys
{before}
from gemtune import Client
from gemtune.testing import GeminiEmulator

async def main():
    async with GeminiEmulator.make().client({options}) as client:
        await client.generate_content("gemini-3.7-flash", "x")
        await (await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 20))
        await client.generate_many("gemini-3.7-flash", ["1", "2"])
        return client

try:
    client = asyncio.run(main())
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    print(json.dumps([client._observer is not None, sorted(n for n in sys.modules if n.startswith("opentelemetry"))]))
"""
MISSING = "sys.modules['opentelemetry'] = None"


def run(before: str = "", options: str = "", **environ: str) -> list[object]:
    program = PROGRAM.format(before=before, options=options)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, env=environ)
    said: list[object] = json.loads(done.stdout)
    return said


def test_a_client_of_a_program_without_opentelemetry_loads_nothing_of_it():
    assert run() == [False, []]


@pytest.mark.parametrize("said", ["0", "off", "False", " no "])
def test_the_argument_and_the_variable_switch_it_off_for_a_program_that_uses_it(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))
    routes = Routes(base_url="http://127.0.0.1")
    assert observatory(None, {"GEMTUNE_TELEMETRY": said}, "gemini", routes) is None
    assert observatory(False, {"GEMTUNE_TELEMETRY": "1"}, "gemini", routes) is None


def test_an_opentelemetry_that_is_too_old_is_said_once_and_stops_nobody(monkeypatch, caplog):
    old = types.ModuleType("opentelemetry")  # a package without what the newer ones have
    monkeypatch.setitem(sys.modules, "opentelemetry", old)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))
    for name in [name for name in sys.modules if name.startswith("gemtune.telemetry.o")]:
        monkeypatch.delitem(sys.modules, name)
    assert observatory(None, {}, "gemini", Routes(base_url="http://127.0.0.1")) is None
    assert "telemetry is off, because the OpenTelemetry that is installed is too old" in caplog.text


def test_gemtune_log_shows_what_happens_to_whoever_runs_a_program():
    program = PROGRAM.format(before="", options="")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, env={"GEMTUNE_LOG": "debug"}
    )
    lines = done.stderr.splitlines()
    assert [line for line in lines if "DEBUG gemtune.http generateContent models/gemini-3.7-flash: HTTP 200" in line]
    assert [line for line in lines if "INFO gemtune.jobs" in line and "CREATING -> ACTIVE" in line]
    assert [line for line in lines if "DEBUG gemtune.jobs look at tunedModels/" in line]


@pytest.mark.parametrize(
    ("options", "environ", "who"),
    [("telemetry=True", {}, "telemetry"), ("", {"GEMTUNE_TELEMETRY": "1"}, "GEMTUNE_TELEMETRY")],
)
def test_who_wants_it_without_the_extra_is_told_what_to_install(options, environ, who):
    kind, message = run(before=MISSING, options=options, **environ)
    assert kind == "SettingsError"
    what = f"{who} needs OpenTelemetry 1.30 or newer, which is not installed"
    assert message == f"{what}; run pip install 'gemtune[otel]'"


def test_the_package_logs_to_nobody_unless_somebody_listens():
    program = "import gemtune.client, logging; logging.getLogger('gemtune').error('nobody asked')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("gemtune").handlers)
