"""Killed without warning at any moment, and run again, a batch ends with every line once.

``GEMTUNE_KILLS`` is how often; ``nox -s crash`` makes it 200. ``GEMTUNE_SEED`` makes the moments the same.
"""

import json
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gemtune.batch import read_journal
from gemtune.emulator import create_app, running_emulator

pytestmark = [pytest.mark.socket, pytest.mark.slow]

KILLS = int(os.environ.get("GEMTUNE_KILLS", "10"))
MODEL = "models/gemini-3.7-flash"
IN_FLIGHT = 16
# In flight, and what was answered while the last lines were on their way to the file.
REPEATED_BY_A_KILL = 3 * IN_FLIGHT

COMMAND = [
    sys.executable, "-m", "gemtune", "batch", "in.jsonl", "out.jsonl", "--model", MODEL,
    "--concurrency", str(IN_FLIGHT), "--resume",
]  # fmt: skip
PROGRAM = """
import anyio, gemtune, json, sys

async def main():
    rows = [(row["key"], row["prompt"]) for row in map(json.loads, open("in.jsonl"))]
    async with gemtune.Client() as client:
        options = {"concurrency": int(sys.argv[2]), "resume": sys.argv[3], "order": sys.argv[4]}
        batch = client.batch(sys.argv[1], rows, journal="out.jsonl.journal", **options)
        async with batch as results:
            async for result in results:
                print(result.key, flush=True)

anyio.run(main)
"""


@pytest.fixture
def app(monkeypatch):
    with running_emulator(create_app(clock="real", answer_seconds=0.01, request_log_size=1_000_000)) as server:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "key-of-the-tests")
        yield server.app


def asked(app, since=0):
    entries = app.requests.of("models.generateContent")[since:]
    return [json.loads(entry.body)["contents"][0]["parts"][0]["text"] for entry in entries]


def answered(journal: Path):
    found = [result.key for result in read_journal(journal)] if journal.exists() and journal.stat().st_size else []
    assert len(found) == len(set(found))
    return set(found)


def killed_after(app, command, folder, requests, spin):
    """Run a command until the emulator has had so many more requests, and some moments longer; return what it wrote."""
    before = len(app.requests)
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while len(app.requests) < before + requests and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.002)
        for _ in range(spin):
            process.poll()
        process.kill()
        out, err = process.communicate()
    assert process.returncode in {-9, 0}, err
    return out


PROGRAMS = {
    "a program that publishes": ("rest", "completed"),
    "a program that fills a database": ("all", "completed"),
    "a program that fills one in order": ("all", "input"),
}


@pytest.mark.parametrize("what", ["the command", *PROGRAMS])
def test_killed_at_random_and_run_again_it_finishes_the_file(app, tmp_path, what):
    dice = random.Random(os.environ.get("GEMTUNE_SEED"))
    published = PROGRAMS.get(what)
    kills = KILLS if not published else max(3, KILLS // 4)
    prompts = {f"k{n}": f"prompt {n} " + "x" * dice.randrange(3000) for n in range(40 * kills)}
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"key": k, "prompt": p}) + "\n" for k, p in prompts.items()))
    journal = tmp_path / "out.jsonl.journal"
    command = [sys.executable, "-c", PROGRAM, MODEL, str(IN_FLIGHT), *published] if published else COMMAND
    everything = published is not None and published[0] == "all"
    keys = {prompt: key for key, prompt in prompts.items()}
    done: set[str] = set()
    seen: list[str] = []
    for _ in range(kills):
        requests = len(asked(app))
        out = killed_after(app, command, tmp_path, dice.randrange(60), dice.randrange(20_000))
        seen = [*out.split()] if everything else [*seen, *out.split()]
        assert len(seen) == len(set(seen)), "published twice"
        again = {keys[text] for text in asked(app, requests)} & done
        assert not again, "asked again although the journal held the answer"
        held = answered(journal)
        assert done <= held, "an answer has gone from the journal"
        done = held
        assert set(seen) <= done, "published and lost"
    last = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    seen = [*last.stdout.split()] if everything else [*seen, *last.stdout.split()]
    assert len(seen) == len(set(seen)), "published twice"
    assert not everything or set(seen) == set(prompts), "run again, and not complete"
    assert not everything or published[1] == "completed" or seen == list(prompts)
    assert answered(journal) == set(prompts)
    assert len(asked(app)) <= len(prompts) + kills * REPEATED_BY_A_KILL
    if not published:
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [line["key"] for line in lines] == list(prompts)
        assert all(prompts[line["key"]] in json.dumps(line["response"]) for line in lines)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"in.jsonl", journal.name} | (set() if published else {"out.jsonl"})
