"""The repair of training data: a new file without what is wrong, and a report of what it lacks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from gemtune.datasets.dataset import TABLES, DataSet, load, row_line
from gemtune.datasets.parting.likeness import COMPARED, digest
from gemtune.datasets.problems import Findings, Issue, issue_of
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.review.service import Service, unfit
from gemtune.errors import InvalidInput
from gemtune.wholefile import whole_file


@attrs.frozen(kw_only=True)
class Fixed(SaidInLines):
    """What ``gemtune.datasets.fix`` did; printing it says so.

    Args:
        path: The new file.
        rows: How many rows it has.
        changes: What was done, row by row; of each kind the first hundred.
        left_out: The rows that were wrong and are not in it.
        repeats: The rows that were the same as an earlier one and are not in it.
        mended: The rows that are written anew, because something in them had no place there.
    """

    path: str
    rows: int
    changes: tuple[Issue, ...]
    left_out: int
    repeats: int
    mended: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**attrs.asdict(self, recurse=False), "changes": [change.to_dict() for change in self.changes]}

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.rows:,} row{'' if self.rows == 1 else 's'}"]
        for count, what in (
            (self.left_out, "left out because they were wrong"),
            (self.repeats, "left out because they repeat an earlier one"),
            (self.mended, "mended"),
        ):
            if count:
                lines.append(f"{count:,} {what}")
        lines += [f"  {change}" for change in self.changes[:10]]
        if len(self.changes) > 10:
            lines.append("  and more")
        return "\n".join(lines)


def fix(source: object, path: str | os.PathLike[str], *, service: Service = "vertex", **given: Any) -> Fixed:
    """Write training data anew without wrong rows and without repeats; the source stays as it is.

    A row that is right stays as it is, to the byte in a file of JSON lines. One that holds something without a place,
    such as a role in a system instruction, is written without it.

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        path: The new file, of JSON lines, or a table if its name ends in ``.csv`` or ``.tsv``; it is replaced if it
            exists.
        service: For which service it is to be right, as for ``check``.
        given: How to read it, as for ``load``.

    Raises:
        InvalidInput: The source cannot be read, or it is the output, or rows that are no table are to become one.
        OSError: The file could not be written.
    """
    data, target = load(source, **given), Path(path)
    if data.is_at(target):
        raise InvalidInput(f"{target} is the data itself, which is never changed: name another file", field="path")
    fixing = _Fixing(data, service)
    with whole_file(target) as file:
        for line in fixing.lines(TABLES.get(target.suffix.lower())):
            file.write(line)
    found = fixing.findings.counts
    return Fixed(
        path=str(target),
        rows=fixing.rows,
        changes=fixing.findings.issues(),
        left_out=sum(times for (severity, _), times in found.items() if severity == "error"),
        repeats=found["warning", "duplicate_example"],
        mended=found["note", "mended"],
    )


@attrs.define(eq=False)
class _Fixing:
    data: DataSet
    service: Service
    rows: int = 0
    findings: Findings = attrs.field(factory=Findings)
    _first: dict[int, int] = attrs.field(factory=dict, init=False)

    def lines(self, delimiter: str | None) -> Iterator[bytes]:
        """Yield the lines of the new file: of a table with its heading, or of JSON."""
        if delimiter is None:
            yield from (line for _, line in self._right())
        else:
            kept = frozenset(number for number, _ in self._right())
            yield from self.data.only(kept).lines(delimiter)

    def _right(self) -> Iterator[tuple[int, bytes]]:
        for read in self.data.reader:
            line = self._line(read)
            if line is not None:
                self.rows += 1
                yield read.number, line

    def _line(self, read: ReadRow) -> bytes | None:
        problem = read.problem or unfit(read.example, self.service)
        if problem is not None:
            self.findings.add(issue_of(problem, read.number, self.data.unit))
            return None
        if len(self._first) < COMPARED:
            known = self._first.setdefault(digest(read.line), read.number)
            if known != read.number:
                message = f"is the same as row {known:,}"
                self.findings.found("duplicate_example", "warning", message, row=read.number)
                return None
        if self.data.layout_of(read) == "vertex" and read.example is not read.row:
            self.findings.found("mended", "note", "is written without what has no place in it", row=read.number)
            return read.line
        return row_line(read)
