"""Google's REST tutorial, taken literally: its commands in bash with curl, its Python in an interpreter.

Changed are the address of the service, and ``x = !command``, which only notebooks understand; ``gcloud`` is a script
that prints a token.
"""

import ast
import contextlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.emulated import GOLDEN

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # the tutorial leaves a file open

SERVICE = "https://generativelanguage.googleapis.com"
_CODE = re.compile(r"(import|while|if|print|m|[a-z_]+|[a-z.]+\[.*\]|[a-z.]+\(.*\))\b.*[=:()]|import |operation$|name$")
_NOTEBOOK = re.compile(r"= !(.*)")  # x = !command


def cells(url: str = SERVICE) -> Iterator[tuple[str, str, str]]:
    """The tutorial's code in its order, as (section, language, code); prose and printed outputs are passed over."""
    lines = (GOLDEN / "tutorial.txt").read_text(encoding="utf-8").replace(SERVICE, url).splitlines()
    section, number = "", 0
    while number < len(lines):
        line = lines[number]
        if line in ("CURL", "Python"):
            section = line
        elif line.startswith(("curl ", "export ")):
            end = next(end for end in itertools.count(number + 1) if _is_whole_command("\n".join(lines[number:end])))
            yield section, "bash", "\n".join(lines[number:end])
            number = end
            continue
        elif _CODE.match(line):
            end = _end_of_python(lines, number)
            if end is not None:
                yield section, "python", "\n".join(lines[number:end])
                number = end
                continue
        number += 1


def _is_whole_command(text: str) -> bool:
    return not text.endswith("\\") and text.count("'") % 2 == 0


def _end_of_python(lines: list[str], start: int) -> int | None:
    """Where the statement that begins on a line ends: after the last indented line of its block."""
    for end in range(start + 1, len(lines) + 1):
        text = _NOTEBOOK.sub(r"= shell('\1')", "\n".join(lines[start:end]))
        with contextlib.suppress(SyntaxError):
            ast.parse(text)
            body = itertools.takewhile(lambda line: not line or line.startswith("  "), lines[end:])
            return end + sum(1 for _ in body)
    return None


@pytest.fixture
def emulator(serve, monkeypatch, tmp_path):
    """The service as it was in March 2024."""
    emulator = serve(answers={"LXIII": "LXIV", "六": "七"}, usage_metadata=False)
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text("#!/bin/sh\necho ya29.token\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gcloud.parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("access_token", "project_id", "base_url", "modelname"):
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", emulator.app.advance)
    return emulator


def bash(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True, timeout=30)


def run_python(code: str, names: dict) -> str:
    """Run a cell and return what it printed."""
    names["shell"] = lambda command: bash(command).stdout.splitlines()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(_NOTEBOOK.sub(r"= shell('\1')", code), "tutorial", "exec"), names)
    return printed.getvalue()


def printed_json(after: str) -> dict:
    """The first JSON object that the tutorial prints after some text."""
    text = (GOLDEN / "tutorial.txt").read_text(encoding="utf-8")
    return json.JSONDecoder().raw_decode(text[text.index("{\n", text.index(after) + len(after)) :])[0]


def test_the_tutorial_has_the_cells_that_are_run_here():
    found = [(section, language) for section, language, _ in cells()]
    assert found.count(("CURL", "bash")) == 3 + 4
    assert sum(" = requests." in code for *_, code in cells()) == 5


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="needs curl and bash")
def test_the_curl_commands_run(emulator):
    names, exports, done = {}, [], []
    for section, language, code in cells(emulator.url):
        if section != "CURL":
            continue
        if language == "python":
            run_python(code, names)
        elif code.startswith("export"):
            exports.append(code)
        else:
            done.append(bash("\n".join([*exports, code])))
            emulator.app.advance(100)
    listed, created, state, answered = done
    assert listed.stdout == "{}\n"
    operation = json.loads(created.stdout)
    assert Path("tunemodel.json").read_text() == created.stdout
    observed = printed_json("tee tunemodel.json")
    assert operation["metadata"].keys() == observed["metadata"].keys()
    assert operation["metadata"]["totalSteps"] == observed["metadata"]["totalSteps"] == 38
    assert len(operation["name"]) == len(observed["name"])
    assert re.search(r"\b296\b.*\b1984\b", created.stderr)  # curl's own count of the bytes, as printed there
    assert state.stdout.strip() == '"state": "ACTIVE",'
    assert json.loads(answered.stdout) == printed_json("2> /dev/null")
    headers = [entry.headers for entry in emulator.app.requests]
    assert {header["authorization"] for header in headers} == {"Bearer ya29.token"}
    assert {header["x-goog-user-project"] for header in headers} == {"my-project-id"}


def test_the_python_cells_run(emulator):
    names = {}
    printed = [
        run_python(code, names)
        for section, language, code in cells(emulator.url)
        if section == "Python" and language == "python"
    ]
    assert names["operation"].json()["metadata"]["totalSteps"] == 19
    *_, progress = re.findall(r"^(\d+\.\d\d)% - (.*)$", "".join(printed), re.MULTILINE)
    assert progress[0] == "100.00"
    snapshot = ast.literal_eval(progress[1])
    assert list(snapshot) == ["step", "epoch", "meanLoss", "computeTime"]
    assert (snapshot["step"], snapshot["epoch"]) == (19, 5)
    assert names["tuned_model"].json()["state"] == "CREATING"
    assert names["m"].json()["candidates"][0]["content"] == {"parts": [{"text": "七"}], "role": "model"}
    assert "'text': '七'" in printed[-1]
    paths = [entry.path.partition("/tunedModels")[0] for entry in emulator.app.requests]
    assert {"/v1beta", "/v1"} == set(paths)
