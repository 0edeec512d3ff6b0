"""The single-file examples do what they say, without arguments and without a network: each is run as a reader would."""

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

import pages

FOLDER = Path(__file__).parents[3] / "docs" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
PRINTS = {
    "compare_rates": [
        "0.5 x the usual rate succeeded",
        "4 x the usual rate       loss ",
        "the best is 4 x the usual rate",
    ],
    "find_best_model": ["the best of 6 points is ", "best is better than base: exact_match 0.", "p < 0.001 on "],
    "many_prompts": ["0 were answered in earlier runs", "1000 answers are in many_prompts.jsonl"],
    "move_openai_data": ["row 6, contents: ends with a turn of 'user'", "5 rows from layout openai", "Tokyo (emulator"],
    "server_batch": [
        "killed, with a batch under way",
        "1000 answers are in server_batch.jsonl",
        "1 batch was created",
    ],
    "tune_and_watch": ["step  14  loss ", "seven -> eight"],
}
"""What some examples print, apart from the requests of a web application, which has a test of its own."""


def needs(path: Path) -> set[str]:
    """The distributions that the head of a script names (PEP 723)."""
    head = re.search(r"^# /// script\n((?:#.*\n)+?)# ///$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert head is not None, "no head"
    told = tomllib.loads(re.sub(r"^# ?", "", head[1], flags=re.MULTILINE))
    assert told["requires-python"] == ">=3.11"
    return {re.split(r"[\[<>=~! ]", need)[0] for need in told["dependencies"]}


def run(path: Path, folder: Path) -> str:
    (folder / "sitecustomize.py").write_text(pages.QUICK)  # looks follow each other quickly
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "error", str(path)]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_head_of_an_example_names_what_it_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert packages <= needs(path)  # each of these is called as its distribution


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTS)
def test_an_example_runs_offline_and_without_arguments(name, tmp_path):
    printed = run(FOLDER / f"{name}.py", tmp_path)
    assert [line for line in PRINTS[name] if line not in printed] == [], printed


@pytest.mark.socket
@pytest.mark.slow
def test_many_prompts_continues_where_it_was_stopped(tmp_path):
    run(FOLDER / "many_prompts.py", tmp_path)
    journal = tmp_path / "many_prompts.journal"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    printed = run(FOLDER / "many_prompts.py", tmp_path)
    skipped = re.search(r"(\d+) were answered in earlier runs", printed)
    assert skipped is not None
    assert 0 < int(skipped[1]) < 1000
    answers = [json.loads(line) for line in (tmp_path / "many_prompts.jsonl").read_text().splitlines()]
    assert len({answer["key"] for answer in answers}) == 1000


@pytest.mark.socket
@pytest.mark.slow
def test_the_web_application_tunes_shows_its_jobs_and_ends_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "error", str(FOLDER / "web_app.py"), "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == f"open {url}/, and press Ctrl-C to end\n"
            patient = httpx.HTTPTransport(retries=8)
            with httpx.Client(base_url=url, trust_env=False, transport=patient, follow_redirects=True) as browser:
                assert "<html" in browser.get("/").text
                assert "row 1: output is empty" in browser.post("/jobs", json=[["one", ""]]).json()["error"]
                name = browser.post("/jobs", json=[["one", "two"], ["two", "three"]]).json()["name"]
                with browser.stream("GET", "/tuning/api/events") as events:
                    lines = events.iter_lines()
                    first = next(line for line in lines if line.startswith("data:"))
                    assert [job["name"] for job in json.loads(first.removeprefix("data:"))["jobs"]] == [name]
                    server.send_signal(signal.SIGINT)  # with the stream still open
                    for _ in lines:
                        pass
            _, complaints = server.communicate(timeout=20)
        finally:
            server.kill()
    assert complaints == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_how_to_run_it_and_is_on_the_page_of_examples(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring is not None
    assert f"uv run {path.name} " in f"{docstring} "
    assert f"(examples/{path.name})" in (FOLDER.parent / "examples.md").read_text(encoding="utf-8")
