"""What is logged is fields as well as words: a formatter that writes JSON, as in production, finds them."""

import io
import json
import logging

import pytest

from gemtune.config import WatchPolicy
from gemtune.emulator import Fault
from gemtune.testing import GeminiEmulator

KNOWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """What structlog's and python-json-logger's formatters do: every attribute that logging itself does not set."""

    def format(self, record):
        fields = {name: value for name, value in vars(record).items() if name not in KNOWN}
        return json.dumps({"log": record.name, "level": record.levelname, "said": record.getMessage()} | fields)


@pytest.fixture
def lines(monkeypatch):
    """A function that returns what was logged until now, as a program reads it that takes lines of JSON."""
    stream, log = io.StringIO(), logging.getLogger("gemtune")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    log.removeHandler(handler)
    log.setLevel(level)


async def test_a_request_and_a_retry_say_what_happened_as_fields(lines):
    emulator = GeminiEmulator.make()
    request_id = {"x-goog-request-id": "r-1"}
    emulator.faults.add(Fault(method="models.generateContent", status=503, headers=request_id))
    async with emulator.client() as client:
        await client.generate_content("gemini-3.7-flash", "x")
    first, retry, second = lines()
    about = {"log": "gemtune.http", "method": "generateContent", "resource": "models/gemini-3.7-flash"}
    assert first.pop("ms") >= 0
    assert first.pop("said").startswith("generateContent models/gemini-3.7-flash: HTTP 503 in ")
    assert first == {**about, "level": "DEBUG", "attempt": 1, "status": 503, "error": None, "request_id": "r-1"}
    delay = retry.pop("delay")
    assert retry.pop("said").endswith(f"attempt 1 failed (UNAVAILABLE); trying again in {delay:.1f} s")
    assert retry == {
        **about,
        "level": "WARNING",
        "attempt": 1,
        "status": 503,
        "reason": "UNAVAILABLE",
        "request_id": "r-1",
    }
    assert (second["attempt"], second["status"]) == (2, 200)


@pytest.mark.parametrize("how", ["handle", "watcher"])
async def test_each_state_is_a_line_at_info_and_each_look_one_at_debug(lines, how):
    emulator = GeminiEmulator.make(step_seconds=5.0)
    async with emulator.client() as client:
        job = await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 20, tuned_model_id="lxiv")
        await job.refresh()
        emulator.advance(3600)
        if how == "handle":
            await job
        else:
            async with client.watch([job]) as watcher:
                await watcher.wait()
    log = {"handle": "gemtune.jobs", "watcher": "gemtune.watch"}[how]
    said = [line for line in lines() if line["log"] == log and line["level"] == "INFO"]
    assert {line["job"] for line in said} == {"tunedModels/lxiv"}
    before = {"handle": "CREATING", "watcher": "UNKNOWN"}[how]  # a watcher that comes later has seen nothing
    assert [(line["old_state"], line["state"]) for line in said if "state" in line][-1] == (before, "ACTIVE")
    assert [line["event"] for line in said if "event" in line] == ["succeeded"]
    looks = [line for line in lines() if line["log"] == log and line["said"].startswith("look at tunedModels/lxiv")]
    assert looks
    for look in looks:
        assert look["level"] == "DEBUG"
        assert (look["job"], look["error"], look["status"]) == ("tunedModels/lxiv", None, None)
        assert look["source"] in {"job", "work"}
    assert sum(look["steps"] for look in looks) == len(job.snapshots)


async def test_a_look_that_fails_says_how(lines):
    emulator = GeminiEmulator.make()
    async with emulator.client(watch=WatchPolicy(freshness=0.05, terminal_freshness=0.05, min_interval=0.01)) as client:
        job = await client.tune("models/gemini-1.0-pro-001", [("1", "2")] * 20)
        emulator.faults.add(Fault(method="tunedModels.operations.get", status=503))
        await job
    (failed,) = [line for line in lines() if line["said"].startswith("look at") and line["error"]]
    assert (failed["error"], failed["status"]) == ("Unavailable", 503)


async def test_what_is_not_tried_again_says_which_limit_that_is(lines):
    emulator = GeminiEmulator.make()
    emulator.faults.add(Fault(method="models.generateContent", status=429, headers={"retry-after": "7200"}))
    async with emulator.client() as client:
        with pytest.raises(Exception, match="not tried again"):
            await client.generate_content("gemini-3.7-flash", "x")
    (line,) = [line for line in lines() if line["level"] == "WARNING"]
    assert (line["status"], line["limit"].split()[0]) == (429, "RetryPolicy.max_hint")
