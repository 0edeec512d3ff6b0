"""Steps of jobs as a file of rows: CSV, which is what a "result file" is elsewhere, or JSONL."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path

from gemtune.errors import GemtuneError
from gemtune.telemetry.tracking.measures import COLUMNS, StepMeasures
from gemtune.wholefile import whole_file


def as_csv(rows: Iterable[StepMeasures]) -> str:
    """Return rows as CSV with a heading; what the service has not said is empty."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_dict() for row in rows)
    return out.getvalue()


def as_jsonl(rows: Iterable[StepMeasures]) -> str:
    """Return rows as one JSON object a line."""
    return "".join(f"{json.dumps(row.to_dict())}\n" for row in rows)


def write(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all.

    Raises:
        GemtuneError: It could not be written.
    """
    try:
        with whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise GemtuneError(f"{path}: cannot be written: {error.strerror}") from None
