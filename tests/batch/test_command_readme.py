"""What the README says of ``gemtune batch`` works as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.socket

README = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
(EXAMPLE,) = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "gemtune batch" in block]


def test_the_readmes_command_answers_and_goes_on(app, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = {"cwd": tmp_path, "env": os.environ | {"PATH": path}, "capture_output": True, "text": True}
    first = subprocess.run(["bash", "-e", "-c", EXAMPLE], check=True, **shell)
    assert first.stderr == "2 answered, 0 failed: 2 lines in answers.jsonl\n"
    again = subprocess.run(["bash", "-e", "-c", f"{EXAMPLE.rstrip()} --resume"], check=True, **shell)
    assert again.stderr == "0 answered, 0 failed, 2 from before: 2 lines in answers.jsonl\n"
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == ["fr", "tr"]
    assert "What is Paris known for?" in str(lines[0]["response"])
