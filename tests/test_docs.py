"""The README does what it says: its program runs as it stands, against the emulator, in a process of its own."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gemtune.emulator import Answer, create_app, running_emulator

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.mark.socket
@pytest.mark.slow
def test_the_program_in_the_readme_tunes_follows_and_generates(tmp_path):
    program = tmp_path / "readme.py"
    program.write_text(PROGRAMS[0], encoding="utf-8")
    with running_emulator(create_app()) as server:
        ran = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", str(program)],
            env={"GOOGLE_GEMINI_BASE_URL": server.url, "GOOGLE_API_KEY": "anything", "PATH": ""},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:-2]] == [f"step {step}" for step in range(1, 6)]
    assert lines[-2].endswith(" is ACTIVE")
    assert lines[-1].endswith("(emulator: nearest training example)")


def defined(number):
    """Return the one function that a block of the README defines."""
    names = {}
    exec(compile(PROGRAMS[number], f"README.md, block {number}", "exec"), names)
    return next(value for name, value in names.items() if inspect.iscoroutinefunction(value))


async def test_the_readmes_watcher_tells_every_job(gemini_emulator, capsys):
    async with gemini_emulator.client() as client:
        jobs = [await client.tune("models/gemini-1.0-pro-001", [("1", "2")]) for _ in range(3)]
        await defined(1)(client, jobs)
    assert capsys.readouterr().out.count("'kind': 'succeeded'") == 3


async def test_the_readmes_batch_answers_every_prompt_survives_a_blocked_one_and_loses_nothing_to_a_break(
    gemini_emulator, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    gemini_emulator.answers = {"bad": Answer(block_reason="SAFETY")}
    prompts = ["a", "bad", "", "d", "e", "f"]
    async with gemini_emulator.client() as client:
        async with client.batch("gemini-3.7-flash", prompts, journal="run.journal") as results:
            await anext(results)
            results.drain()
        await defined(2)(client, "gemini-3.7-flash", prompts)
    told = capsys.readouterr().out.splitlines()
    assert 1 <= len(told) <= 6
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [(line["key"], "response" in line) for line in lines] == [(n, n != 2) for n in range(6)]


async def test_the_readmes_test_passes(gemini_emulator):
    await defined(3)(gemini_emulator)


def test_what_the_readme_names_exists():
    import gemtune

    for name in set(re.findall(r"gemtune\.(\w+)", README)):
        assert name in {*gemtune.__all__, "emulator", "testing", "batch", "watch"}, name
