"""Writes the examples that ``gemtune COMMAND --help`` prints as pages, which pages.py runs as any other.

    python help_page.py FOLDER       # help-tune.md, help-jobs.md and so on

Before each example two tuned models and the files that the examples name are made anew, because examples delete them.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_GEMTUNE = [sys.executable, "-m", "gemtune"]
_READY = """\
import contextlib
import gzip
import json
import shutil
from pathlib import Path

import gemtune

DATA = [("1", "2"), ("3", "4"), ("-3", "-2")]
EXAMPLES = [{"text_input": number, "output": next} for number, next in DATA]
PROMPTS = [{"text": "cat", "language": "French"}, {"text": "dog", "language": "Turkish"}]
MANY = [{"text_input": str(number), "output": str(number + 1)} for number in range(24)]


async def ready(command, epochs=1):
    columns = {"tune": EXAMPLES, "data": EXAMPLES, "evaluate": MANY, "sweep": MANY}.get(command, PROMPTS)
    lines = [",".join(columns[0]), *(",".join(row.values()) for row in columns)]
    Path("rows.csv").write_text("\\n".join(lines))
    for name in ("rows.jsonl", "more.jsonl"):
        Path(name).write_text("\\n".join(map(json.dumps, MANY if command == "sweep" else EXAMPLES)))
    Path("space.yaml").write_text("epoch_count: [1, 2]\\nlearning_rate_multiplier: [0.5, 1, 2]\\n")
    Path("question.txt").write_text("How far is the moon?")
    Path("questions.txt").write_text("one\\ntwo\\n")
    request = {"contents": [{"parts": [{"text": "How far is the moon?"}]}]}
    Path("requests.jsonl").write_text(json.dumps({"key": "moon", "request": request}))
    Path("rows.jsonl.gz").write_bytes(gzip.compress(json.dumps({"prompt": "one"}).encode()))
    chats = [{"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]} for a, b in DATA]
    Path("openai.jsonl").write_text("\\n".join(map(json.dumps, chats)))
    made = ("out.jsonl", "answers.jsonl", "train.jsonl", "validation.jsonl", "new.jsonl", "scored.csv")
    for written in [*Path().glob("*.journal"), *map(Path, made)]:
        written.unlink(missing_ok=True)
    for folder in ("rows.csv.sweep", "asked"):
        shutil.rmtree(folder, ignore_errors=True)
    async with gemtune.Client() as client:
        for name in ("my-model", "another-model"):
            with contextlib.suppress(gemtune.errors.NotFound):
                await client.tuned_models.delete(f"tunedModels/{name}")
            await client.tune(
                "models/gemini-1.0-pro-001",
                DATA,
                tuned_model_id=name,
                hyperparameters=gemtune.Hyperparameters(epoch_count=epochs, batch_size=1),
            )
        if command == "batches":
            await (await client.batches.create("models/gemini-3.7-flash", ["one", "two"]))
"""
_ENDLESS = ("gemtune dashboard", "gemtune emulator", "gemtune jobs watch --all")
"""What runs until it is interrupted."""
_UNFIT = {
    "demo --live": "it needs credentials of your own",
    "--speed 1": "it takes as long as the real service",
    "operations/abc123": "it names an operation that there is not",
}
"""What is not run, and why."""
_ASKS = "gemtune jobs delete my-model"
"""What asks on a terminal, and refuses where there is none; ``test_commands`` answers it."""
_LONG = "jobs cancel"
"""What is about jobs that have not ended."""


def examples() -> Iterator[tuple[str, str]]:
    """The commands that have examples, and each example as it stands there, without its remark."""
    overview = _help()
    for command in re.findall(r"^    (\w+)  ", overview.partition("options:")[0], re.MULTILINE):
        told = _help(command).partition("examples:\n")[2].partition("\n\n")[0]
        for line in told.splitlines():
            yield command, re.split(r"\s{2,}(?=[a-z])", line.strip())[0]
    for line in overview.partition("start here:\n")[2].partition("\n\n")[0].splitlines():
        yield line.split()[1], re.split(r"\s{2,}(?=[A-Za-z])", line.strip())[0]


def _help(*command: str) -> str:
    return subprocess.check_output([*_GEMTUNE, *command, "--help"], text=True)


def written(folder: Path) -> list[Path]:
    """Write a page for each command, so that they can be run beside each other."""
    pages: dict[str, list[str]] = {}
    for command, line in examples():
        pages.setdefault(command, [f"```python\n{_READY}```"]).extend(_blocks(command, line))
    skipped = sum(block.startswith("<!-- skip: it") for blocks in pages.values() for block in blocks)
    assert skipped <= 4, "few examples may be only to be read, apart from those that need a tool which is not here"
    paths = []
    for command, blocks in pages.items():
        paths.append(folder / f"help-{command}.md")
        paths[-1].write_text("\n\n".join([*blocks, ""]), encoding="utf-8")
    return paths


def _blocks(command: str, line: str) -> Iterator[str]:
    unfit = next((why for what, why in _UNFIT.items() if what in line), None)
    if line == _ASKS:
        unfit = "it asks on a terminal"
    if "jq" in line.split() and shutil.which("jq") is None:
        unfit = "there is no jq"
    if "--study" in line.split() and importlib.util.find_spec("optuna") is None:
        unfit = "there is no optuna"
    if ".yaml" in line and importlib.util.find_spec("yaml") is None:
        unfit = "there is no yaml"
    if command == "completion" and importlib.util.find_spec("shtab") is None:
        unfit = "there is no shtab"
    if unfit is not None:
        yield f"<!-- skip: {unfit} -->\n```sh\n{line}\n```"
        return
    yield f'```python\nawait ready("{command}", {40 if _LONG in line else 1})\n```'
    mark = "<!-- background -->\n" if line.startswith(_ENDLESS) else ""
    yield f"{mark}```sh\n{line.removesuffix(' &')}\n```"


if __name__ == "__main__":
    written(Path(sys.argv[1]))
