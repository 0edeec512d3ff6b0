"""The README and every page of docs/ do what they say: each is run as a reader would run it, by pages.py."""

import ast
import codeop
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

import gemtune
import pages
from gemtune.emulator import create_app, running_emulator

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = pages.pages_of(ROOT)
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
BLOCKS = {name: pages.blocks(text) for name, text in TEXTS.items()}
FACES = ("gemtune", "gemtune.batch", "gemtune.watch", "gemtune.testing")


@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize("path", pages.runnable(ROOT), ids=lambda path: path.name)
def test_a_page_does_what_it_says(path):
    pages.check(path)


@pytest.fixture
def web_application(tmp_path):
    """The address and the process of the application on the page about web applications; its jobs take minutes."""
    (code,) = [block.code for block in BLOCKS["web.md"] if block.file == "app.py"]
    (tmp_path / "app.py").write_text(code, encoding="utf-8")
    (tmp_path / "serve.py").write_text(
        "import socket, uvicorn\n"
        "listening = socket.create_server(('127.0.0.1', 0))\n"
        "print(listening.getsockname()[1], flush=True)\n"
        "uvicorn.Server(uvicorn.Config('app:app')).run([listening])\n"
    )
    with running_emulator(create_app(step_seconds=60)) as emulator:
        environment = os.environ | {"GOOGLE_GEMINI_BASE_URL": emulator.url, "GOOGLE_API_KEY": "x"}
        process = subprocess.Popen(
            [sys.executable, "serve.py"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        with process:
            try:
                yield f"http://127.0.0.1:{process.stdout.readline().strip()}", process
            finally:
                process.kill()


@pytest.mark.socket
@pytest.mark.slow
def test_the_web_application_refuses_a_bad_id_before_the_first_byte_and_its_streams_end_at_sigterm(web_application):
    url, process = web_application
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as browser:
        job = browser.post("/jobs", json=[["1", "2"]]).json()["id"]
        for bad in ("nonsense", "c1.AAAA", "j1.x.0.1..0", "\u00ff"):
            refused = browser.get(f"/jobs/{job}/events", headers={"Last-Event-ID": bad.encode("latin-1")})
            assert (refused.status_code, "Last-Event-ID" in refused.text) == (400, True), refused.text
        assert browser.get("/jobs/nobody/events").status_code == 404
        page = browser.stream("GET", "/tuning/api/events", timeout=60)
        with browser.stream("GET", f"/jobs/{job}/events", timeout=60) as events, page as dashboard:
            lines, shown = events.iter_lines(), dashboard.iter_lines()
            first = [next(lines)]
            while not first[-1].startswith("id: "):
                first.append(next(lines))
            token = first[-1].removeprefix("id: ")
            assert job in next(line for line in shown if line.startswith("data:"))
            process.send_signal(signal.SIGTERM)
            impatient = threading.Timer(30, process.kill)
            impatient.start()
            rest = [*first, *lines, *shown]  # to the end: the replies are whole, or this raises
            impatient.cancel()
    assert token.startswith("c1.")
    assert '"kind":"added"' in "".join(rest)
    told, _ = process.communicate(timeout=60)
    assert "Traceback" not in told
    assert process.returncode in (0, -signal.SIGTERM)


def test_few_blocks_are_only_to_be_read_and_each_says_why():
    every = [block for found in BLOCKS.values() for block in found]
    assert all(block.mark.removeprefix("skip:").strip() for block in every if block.skipped)
    assert 6 * sum(block.skipped for block in every) <= sum(block.runs for block in every)


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "python -m asyncio" in text])
def test_what_is_pasted_into_the_prompt_of_asyncio_is_understood_line_by_line(name):
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    pasted = [block.code for block in BLOCKS[name] if block.language == "python" and block.runs]
    for code in pasted:
        typed = ""
        for line in [*code.splitlines(), ""]:  # Python 3.11 and 3.12 end a loop or a with only at an empty line
            typed += line + "\n"
            if compiler(typed.removesuffix("\n")) is not None:
                typed = ""
        assert not typed.strip()
    assert pasted


def test_the_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 120


@pytest.mark.parametrize(
    "path", [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
)
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_first_page_shows_every_page_that_the_margin_lists():
    text = TEXTS["index.md"]
    trees = re.findall(r"```{toctree}\n(.*?)```", text, re.DOTALL)
    listed = {word for tree in trees for word in tree.split("\n\n", 1)[1].split()}
    assert listed == {name.removesuffix(".md") for name in TEXTS} - {"README", "index"}
    assert [name for name in sorted(listed) if f"]({name}.md)" not in text] == []


def test_what_the_pages_name_exists():
    known = {face: set(importlib.import_module(face).__all__) for face in FACES}
    known["gemtune"] |= {"batch", "datasets", "emulator", "sweep", "telemetry", "testing", "watch", "web"}
    known["gemtune"] |= {"http", "jobs"}  # loggers
    code = "\n".join(text for name, text in TEXTS.items() if name not in {"design.md", "reference.md"})
    for name in set(re.findall(r"\bgemtune\.([a-zA-Z]\w+)", code)):
        assert name in known["gemtune"], name


def test_the_modules_and_classes_of_the_design_page_are_there():
    source = Path(gemtune.__file__).parent
    words = set(re.findall(r"`([\w./]+)`", TEXTS["design.md"])) - {"src/gemtune/"}
    paths = {word for word in words if re.fullmatch(r"[a-z_]+/[\w/]*(\.py)?|[a-z]+\.py", word)}
    assert len(paths) > 30
    assert [path for path in sorted(paths) if not (source / path).exists()] == []
    code = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    for name in (word for word in words if re.fullmatch(r"([A-Z][a-z]+)+", word)):
        assert re.search(rf"class {name}\b", code), name


def test_the_reference_holds_every_public_name():
    listed = set(re.findall(r"auto(?:class|data|function|module):: (\S+)", TEXTS["reference.md"]))
    whole = {"gemtune.errors", "gemtune.events", "gemtune.types", "gemtune.emulator"}
    assert whole <= listed
    plumbing = {"BatchOptions", "make_batch", "datasets"}  # client.batch explains them
    held = {name.rpartition(".")[2] for name in listed} | {"GemtuneError", "__version__"} | plumbing
    for face in whole:
        held |= set(importlib.import_module(face).__all__)
    for face in FACES:
        assert set(importlib.import_module(face).__all__) <= held, face


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "should print"),
        ("```python\nprint(1)\n```\n```text\n...0\n```\n", "should print"),
        ("```python\nraise KeyError(1)\n```\n", "KeyError"),
        ("```python\nimport asyncio\nasyncio.run(1)\n```\n", "exit code 1"),
        ("```sh\nfalse | cat\n```\n", "exit code 1"),
        ("<!-- background -->\n```sh\ntrue\n```\n```sh\nsleep 0.2\n```\n", "ended before its page"),
        ("<!-- cell -->\n```python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("<!-- cell -->\n```python\n2 + 2\n```\n```text\n5\n```\n", "should print"),
        ("<!-- file: a.py -->\n```python\nx = 1\n```\n```python\nimport a\nassert a.x == 2\n```\n", "AssertionError"),
    ],
)
async def test_a_page_that_does_not_is_found_out(text, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    environment = {"PATH": "/usr/bin:/bin"}
    with pytest.raises(pages.Wrong) as wrong:
        await pages.Page("page.md", tmp_path, environment).run(pages.blocks(text))
    assert what in f"{wrong.value} {wrong.value.__cause__!r}"


SERVES = """\
<!-- background -->
```sh
PYTHON -m http.server --bind 127.0.0.1 8080
```

<!-- exports -->
```sh
export WHERE=http://127.0.0.1:8080
echo set
```
```text
set
```

```sh
PYTHON -c "import os, urllib.request as u; print(u.urlopen(os.environ['WHERE']).status)"
```
```text
200
```

```python
import os

print(os.environ["WHERE"].startswith("http://127.0.0.1:"))
```
```text
True
```
"""


async def test_a_page_waits_for_its_servers_and_keeps_what_it_exports(tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", "nowhere")
    page = pages.Page("page.md", tmp_path, {"PATH": "/usr/bin:/bin"})
    await page.run(pages.blocks(SERVES.replace("PYTHON", sys.executable)))
    assert page.ran == 4
