"""Killed without warning and run again, an evaluation asks for no answer that a journal holds, the judge's included."""

import json
import random
import re
import subprocess
import sys
from contextlib import suppress

import pytest

from gemtune.batch import read_journal
from gemtune.emulator import create_app, running_emulator

pytestmark = [pytest.mark.socket, pytest.mark.slow]

IN_FLIGHT = 8
# In flight, and what was answered while the last lines were on their way to the file.
REPEATED_BY_A_KILL = 3 * IN_FLIGHT
PROGRAM = """
import anyio, gemtune, json, sys
from gemtune.metrics import judge

async def main():
    async with gemtune.Client() as client:
        found = await client.evaluate(
            {"one": "models/gemini-3.7-flash", "two": "models/gemini-1.0-pro-001"},
            [(f"what is {n}?", f"answer {n}") for n in range(60)],
            metrics=["exact_match", judge("models/gemini-3.7-flash")],
            concurrency=int(sys.argv[1]),
            journal="run",
        )
    print(json.dumps([each.answered for each in found.models]), found.judges["judge"].answered)

anyio.run(main)
"""
COMMAND = [sys.executable, "-c", PROGRAM, str(IN_FLIGHT)]


@pytest.fixture
def app(monkeypatch):
    # Each model in words of its own, as answers that are alike need no judge.
    answers = lambda prompt: f"{prompt.model}: {prompt.text}"[:200]  # noqa: E731
    with running_emulator(
        create_app(clock="real", answers=answers, answer_seconds=0.01, request_log_size=100_000)
    ) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield server.app


def asked(app):
    """What was asked of whom, in the order of the requests."""
    entries = app.requests.of("models.generateContent")
    return [(e.path, json.loads(e.body)["contents"][0]["parts"][0]["text"]) for e in entries]


def held(folder):
    """What the journals hold: each answer by its model and key."""
    found = set()
    for path in folder.glob("run/*.journal"):
        if path.stat().st_size:
            name = path.name.rpartition("-")[0]
            found |= {(name, result.key) for result in read_journal(path)}
    return found


def question_of(request):
    """The file and the key of a row that a model was asked; None for what a judge was asked."""
    path, text = request
    model = path.partition("/models/")[2].partition(":")[0]
    found = re.fullmatch(r"what is (\d+)\?", text)
    return None if found is None else (model, int(found[1]) + 1)


def killed_after(app, folder, requests, spin):
    before = len(app.requests)
    with subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while len(app.requests) < before + requests and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.002)
        for _ in range(spin):
            process.poll()
        process.kill()
        _, err = process.communicate()
    assert process.returncode in {-9, 0}, err


def test_killed_while_models_and_judge_are_asked_it_loses_no_answer_and_asks_none_twice(app, tmp_path):
    dice = random.Random(7)
    done: set[tuple[str, str | int]] = set()
    for requests in (dice.randrange(20, 60), dice.randrange(70, 110), dice.randrange(60, 120)):
        before = len(asked(app))
        killed_after(app, tmp_path, requests, dice.randrange(20_000))
        since = {name for name in map(question_of, asked(app)[before:]) if name}
        assert not since & done, "asked again although the journal held the answer"
        now = held(tmp_path)
        assert done <= now, "an answer has gone from a journal"
        done = now
    last = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert last.stdout == "[60, 60] 120\n"
    everything = asked(app)
    assert len(everything) <= len(set(everything)) + 3 * REPEATED_BY_A_KILL
    again = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout == last.stdout
    assert len(asked(app)) == len(everything), "asked although everything was answered"
    index = json.loads((tmp_path / "run" / "index.json").read_text())
    assert sorted(index["files"]) == sorted(path.name for path in tmp_path.glob("run/*.journal"))
