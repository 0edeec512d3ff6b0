"""Training data from one layout into another, by way of Vertex AI's, which holds more than any other.

So there is one reader and one writer for each layout, and no pair of layouts has rules of its own. What a row loses on
the way is said of that row; a row that cannot be converted at all is left out and said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune import checks
from gemtune.datasets.chats import Manner, Weights
from gemtune.datasets.conversations import Method
from gemtune.datasets.dataset import TABLES, DataSet, opened, row_line, table_line
from gemtune.datasets.files import FileShelf
from gemtune.datasets.headings import Choice
from gemtune.datasets.problems import Findings, Issue, issue_of, issue_table
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import SaidInLines
from gemtune.datasets.writing import chats, tables
from gemtune.errors import InvalidInput
from gemtune.markup import box, escape, line
from gemtune.protocol.codec import dumps
from gemtune.remedy import Wording
from gemtune.wholefile import whole_file

Target: TypeAlias = Literal["vertex", "gemini", "openai", "sharegpt", "alpaca", "pairs", "preference"]
TARGETS: Final = ("vertex", "gemini", "openai", "sharegpt", "alpaca", "pairs", "preference")

_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any], Manner], dict[str, Any]]]] = {
    "openai": chats.openai,
    "sharegpt": chats.sharegpt,
    "alpaca": tables.alpaca,
    "pairs": tables.pairs,
    "preference": tables.preference,
}
_AS_IT_IS: Final = frozenset({"openai", "sharegpt", "alpaca"})
"""Layouts whose rows stay as they are if they are asked for in the same layout."""
_SHOWN: Final = 10


@attrs.define(eq=False)
class Conversion(SaidInLines):
    """Training data on its way into another layout: iterate over it for the new rows, or ``write`` them.

    What was lost is known once all rows have been taken.

    Args:
        data: What is converted.
        to: The layout that it gets.
    """

    data: DataSet
    to: Target
    _manner: Manner = attrs.field(repr=False)
    _findings: Findings = attrs.field(factory=Findings, init=False, repr=False)
    _rows: int = attrs.field(default=0, init=False)
    _changed: bool = attrs.field(default=False, init=False, repr=False)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row, _ in self._converted():
            yield row

    def lines(self) -> Iterator[bytes]:
        """Yield the new rows as lines of JSON; one that need not change is as it was, to the byte."""
        for row, as_it_was in self._converted():
            yield as_it_was or dumps(row, strict=True) + b"\n"

    def table(self, delimiter: str) -> Iterator[bytes]:
        """Yield the new rows as lines of a table, after its heading.

        Raises:
            InvalidInput: The layout is no table, or a row has no cells like the first one.
        """
        names: list[str] = []
        for row, _ in self._converted():
            if not names:
                names = [*row]
                yield table_line(names, delimiter)
            if [*row] != names or not all(isinstance(cell, str) for cell in row.values()):
                what = f"rows of {self.to!r} do not all fit into one table: let the name of the output end in .jsonl"
                raise InvalidInput(what, field="path")
            yield table_line([*row.values()], delimiter)

    def write(self, path: str | os.PathLike[str]) -> Conversion:
        """Write the new rows into a file, whole or not at all, and return this; blocks.

        The file holds JSON lines, or a table if its name ends in ``.csv`` or ``.tsv``.

        Raises:
            InvalidInput: It is the file that is read, or the rows are no table.
            OSError: It could not be written.
        """
        target = Path(path)
        delimiter = TABLES.get(target.suffix.lower())
        if self.data.is_at(target):
            raise InvalidInput(f"{target} is the data itself, which is never changed: name another file", field="path")
        with whole_file(target) as file:
            for line in self.lines() if delimiter is None else self.table(delimiter):
                file.write(line)
        return self

    @property
    def rows(self) -> int:
        """How many rows were converted so far."""
        return self._rows

    @property
    def left_out(self) -> int:
        """How many rows could not be converted so far."""
        return sum(times for (severity, _), times in self._findings.counts.items() if severity == "error")

    @property
    def issues(self) -> tuple[Issue, ...]:
        """What was lost so far: of each kind the first hundred."""
        return self._findings.issues()

    @property
    def lossless(self) -> bool:
        """Whether nothing was lost so far."""
        return not self._findings.counts

    def to_dict(self) -> dict[str, Any]:
        """Return what became of the rows as plain JSON."""
        return {
            "layout": self.data.layout,
            "to": self.to,
            "method": self.data.method,
            "rows": self.rows,
            "left_out": self.left_out,
            "lossless": self.lossless,
            "counts": {code: times for (_, code), times in self._findings.counts.items()},
            "issues": [issue.to_dict() for issue in self.issues],
        }

    def __str__(self) -> str:
        return self.worded()

    def worded(self, wording: Wording = str) -> str:
        """Return what became of the rows in the words of one kind of reader, such as of a shell."""
        kept = "nothing was lost" if self.lossless else f"{self.left_out:,} left out" if self.left_out else ""
        said = f"{self.rows:,} row{'' if self.rows == 1 else 's'} from layout {self.data.layout} to {self.to}"
        said = f"{said}, {self.data.method}"
        lines = [f"{said}; {kept}" if kept else said]
        shown: dict[str, int] = {}
        for issue in self.issues:
            shown[issue.code] = shown.get(issue.code, 0) + 1
            if shown[issue.code] <= _SHOWN:
                lines.append(f"  {issue.severity}: {issue.worded(wording)}")
        for (_, code), times in self._findings.counts.items():
            if times > _SHOWN:
                lines.append(f"  and {times - _SHOWN:,} more of {code}")
        return "\n".join(lines)

    def _as_html(self) -> str:
        counts = {code: times for (_, code), times in self._findings.counts.items()}
        return box(line(escape(str(self).partition("\n")[0])), issue_table(self.issues, counts))

    def _converted(self) -> Iterator[tuple[Mapping[str, Any], bytes | None]]:
        self._findings, self._rows, self._changed = Findings(), 0, False
        for read in self.data.reader:
            try:
                if read.problem is not None:
                    raise read.problem
                row, line = self._row(read)
            except InvalidInput as problem:
                self._findings.add(issue_of(problem, read.number, self.data.unit))
                continue
            self._rows += 1
            yield row, line
        self._note_columns()

    def _row(self, read: ReadRow) -> tuple[Mapping[str, Any], bytes | None]:
        may_stay = self.to in _AS_IT_IS and self.to == self.data.layout_of(read)
        if may_stay and isinstance(read.row, Mapping):
            return read.row, row_line(read)
        self._changed = True
        writer = _WRITERS.get(self.to)
        losses = self._manner.begin(read.number)
        row = read.example if writer is None else writer(read.example, self._manner)
        for issue in (*read.losses, *losses):
            self._findings.add(issue)
        joined = self.data.joined(read)
        if joined:
            what = f"the columns {' + '.join(map(repr, joined))} are joined to one text"
            self._findings.found("columns_joined", "note", what, row=read.number)
        return row, read.line if writer is None else None

    def _note_columns(self) -> None:
        if self._changed and not self.data.of_chats:
            for name in self.data.report(self._rows).left_out:
                self._findings.found("left_out", "note", f"the column {name!r:.60} is not used")


def convert(
    source: object,
    *,
    to: Target,
    method: Method | None = None,
    weights: Weights = "refuse",
    files: str | os.PathLike[str] | None = None,
    files_uri: str | None = None,
    input: str | int | None = None,
    output: str | int | None = None,
    heading: bool | None = None,
    delimiter: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Conversion:
    """Convert training data from any layout into another, and say of every row what it loses::

        conversion = gemtune.datasets.convert("openai.jsonl", to="vertex").write("train.jsonl")
        print(conversion)

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        to: ``vertex`` for tuning on Vertex AI; ``gemini`` for requests, where files may lie anywhere; ``openai``
            (chats, or preferences); ``sharegpt``; ``alpaca``; ``pairs`` of ``text_input`` and ``output``, as the Gemini
            API learns them; ``preference`` (``prompt``, ``chosen``, ``rejected``).
        method: What it is for, ``supervised`` or ``preference``; None finds out.
        weights: Whether answers of weight 0 are learned, as for ``load``.
        files: A folder for images that stand in the data itself, if ``to`` is ``vertex``, which learns from Cloud
            Storage only. They are written there under the hash of their content.
        files_uri: Where in Cloud Storage you will put that folder's files: ``gs://bucket/folder``.
        input: The column with the input, as for ``load``; the same for ``output``, ``heading``, ``delimiter`` and
            ``on_bytes``.

    Raises:
        InvalidInput: The source cannot be read, or an argument is wrong. A row that is wrong is left out and reported.
    """
    checks.one_of("to", to, *TARGETS)
    checks.one_of("weights", weights, "refuse", "learn")
    if (files is None) != (files_uri is None):
        raise InvalidInput("files and files_uri belong together: a folder, and where you will put it", field="files")
    shelf = None if files is None or files_uri is None else FileShelf.of(files, files_uri)
    manner = Manner(weights=weights, anywhere=to != "vertex", shelf=shelf)
    if isinstance(source, DataSet):
        return Conversion(source.in_manner(manner), to, Manner())
    if method is not None:
        checks.one_of("method", method, "supervised", "preference")
    choice = Choice.of(input, output, heading=heading, delimiter=delimiter)
    return Conversion(opened(source, choice, method, manner, on_bytes), to, Manner())
