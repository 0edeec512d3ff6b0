"""What ``gemtune evaluate`` writes: a table for people, lines of JSON for programs, a file of all rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.errors import GemtuneError
from gemtune.show.terminal import in_ascii, width_of

if TYPE_CHECKING:
    from gemtune.evaluation.result import Evaluation

_WIDEST = 160


def records(found: Evaluation, changed: int | None) -> Iterator[dict[str, Any]]:
    """Return an object for each model, each judge, each comparison, and each changed row that is to be shown."""
    whole = found.to_dict()
    for model in whole["models"]:
        yield {"kind": "model", **model}
    for metric, judge in whole["judges"].items():
        yield {"kind": "judge", "metric": metric, **judge}
    for comparison in whole["comparisons"]:
        yield {"kind": "comparison", **comparison}
    rows = {row.row.number: said for row, said in zip(found.rows, whole["rows"], strict=True)}
    for change in found.picture().changed if changed else ():
        for kind in ("better", "worse"):
            for row in getattr(change, kind)[:changed]:
                about = {"metric": change.metric, "model": change.model, "other": change.other}
                yield {"kind": kind, **about, **rows[row.row.number]}


def show(found: Evaluation, console: Console, changed: int | None) -> None:
    """Print the table, the comparisons, and the rows that changed as far as they are wanted."""
    from gemtune.evaluation.text import MOST_PAIRS, evaluation_text

    whole = found.picture()
    # Which rows of other pairs changed, the API says and not a command: --json has them all.
    picture = attrs.evolve(whole, changed=whole.changed[:MOST_PAIRS])
    width = width_of(console.out, _WIDEST) - 1
    paint = paint_for(console, console.out)
    if paint is None:
        text = evaluation_text(picture, width, changed or 0)
        console.print(text if console.unicode else in_ascii(text))
    else:
        from gemtune.cli.screen.evaluation import evaluated

        print_painted(console, paint, evaluated(picture, width, changed or 0))
    shares = [metric.name for metric in whole.metrics if metric.kind == "share"]
    for name in shares:
        if all(model.scores[name].value == 0 for model in whole.models):
            console.note(nothing_right(name))
    if not changed and any(each.better or each.worse for each in whole.changed):
        console.note("--changed 5 shows the rows that a model does better, and those that it does worse")


def nothing_right(metric: str) -> str:
    """Return what to do if all answers are wrong: the metric may not fit them, or an emulator knows nothing."""
    return (
        f"no answer is right by {metric}: look at some with gemtune evaluate --output FILE; an emulator answers only "
        "those rows right that it was given with --knows"
    )


def write_rows(found: Evaluation, path: Path) -> None:
    """Write the file, whole or not at all: the evaluation, or a line for each row; blocks.

    Raises:
        GemtuneError: It could not be written.
    """
    from gemtune.wholefile import whole_file

    kind = path.suffix.lower()
    try:
        if kind == ".json":
            found.write(path)
            return
        with whole_file(path) as file:
            if kind == ".jsonl":
                for row in found.to_dict()["rows"]:
                    file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
                return
            text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
            table = csv.writer(text, delimiter="\t" if kind == ".tsv" else ",", lineterminator="\n")
            table.writerows(_cells(found))
            text.detach()
    except OSError as error:
        raise GemtuneError(f"{path} could not be written: {error.strerror}") from None


def _cells(found: Evaluation) -> Iterator[list[object]]:
    """Yield a table: what was asked, and for each model its answer and its scores."""
    labels, metrics = [model.label for model in found.models], [metric.name for metric in found.metrics]
    failed = [label for label in labels if any(row.answers[label].error for row in found.rows)]
    heads = [head for label in labels for head in (label, *(f"{label} {metric}" for metric in metrics))]
    yield ["key", "question", "expected", *heads, *(f"{label} error" for label in failed)]
    for row in found.rows:
        cells: list[object] = [row.row.key, row.row.question, row.row.expected]
        for label in labels:
            cells += [row.answers[label].text, *(_number(row.scores[metric][label]) for metric in metrics)]
        yield [*cells, *(row.answers[label].error for label in failed)]


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:g}"
