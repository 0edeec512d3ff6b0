"""The README does what it says: its program runs as it stands, against the emulator, in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gemtune.emulator import create_app, running_emulator

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


def test_what_the_readme_names_exists():
    import gemtune

    for name in set(re.findall(r"gemtune\.(\w+)", README)):
        assert name in {*gemtune.__all__, "emulator", "testing", "batch", "watch"}, name
