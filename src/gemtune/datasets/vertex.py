"""Training data for Vertex AI: everything that ``tune`` takes, as the lines of JSON that the service reads.

Lines are made and checked one by one, so that a file of a gigabyte is never held. A line that is right as the service
wants it (``conversations.py``) stays as it is, to the byte; pairs, chats and preferences of other layouts are written
anew. What is wrong is collected and refused together, with line and field, as for the Gemini API; the limits are those
that are documented for Vertex AI. Of tokens nothing can be known here: an example that is likely to have too many is
noted, since the service drops those and only counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from gemtune.datasets.conversations import LONG, Looked, Method
from gemtune.datasets.examples import refuse_nothing
from gemtune.datasets.headings import Choice
from gemtune.datasets.problems import Problems, some
from gemtune.datasets.reading import ExampleReader, Readable, ReadRow
from gemtune.datasets.report import DataReport, TrainingSet
from gemtune.errors import InvalidInput

MAX_BYTES: Final = 2**30
"""Of one file."""
MAX_EXAMPLES: Final = 10_000_000
MAX_WITH_FILES: Final = 300_000
MAX_VALIDATION: Final = 5_000
_COMPARED: Final = 100_000
"""Lines among which one that occurs again is found: 10 MB of memory."""


@attrs.define(eq=False)
class ExampleLines:
    """The lines of training data; when all have been taken there is a report of them.

    Args:
        source: What they are read from.
        choice: What the caller says about its columns.
        method: How to tune.
    """

    source: Readable
    choice: Choice
    method: Method
    _reader: ExampleReader = attrs.field(init=False)
    _problems: Problems = attrs.field(factory=Problems, init=False)
    _remarks: _Remarks = attrs.field(init=False)
    _converted: bool = attrs.field(default=False, init=False)
    _rows: int = attrs.field(default=0, init=False)
    _files: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.source, ExampleReader):
            self._reader = attrs.evolve(self.source, method=self.method)
        else:
            self._reader = ExampleReader(self.source, self.choice, self.method)
        self._remarks = _Remarks(self._reader.unit)

    def __iter__(self) -> Iterator[bytes]:
        for read in self._reader:
            if read.problem is not None:
                self._problems.add(self._placed(read.problem, read.number))
                if self._problems.enough:
                    break
                continue
            if read.line is not read.raw:
                self._converted = True
            self._counted(read.seen)
            self._look(read)
            yield read.line
        self._problems.refuse()
        if not self._rows:
            refuse_nothing()

    @property
    def verbatim(self) -> bool:
        """Whether every line so far is as the file has it."""
        return isinstance(self.source, Path) and self._reader.whole and not self._converted

    @property
    def report(self) -> DataReport:
        """What was read."""
        report = self._reader.report(self._rows)
        return attrs.evolve(report, notes=(*report.notes, *self._remarks.notes()))

    def _placed(self, problem: InvalidInput, number: int) -> InvalidInput:
        """Return a problem that says in which row it is; one that many rows share stays one."""
        if problem.row is not None:
            return problem
        what = f"{self._reader.unit} {number}: {problem.message}"
        return InvalidInput(what, *problem.remedies, field=problem.field or "training_data", row=number)

    def _look(self, read: ReadRow) -> None:
        if isinstance(self._reader.source, TrainingSet) or self._reader.of_table:
            return  # which were compared when they were read
        self._remarks.look(read.line, read.number, read.seen)

    def _counted(self, seen: Looked) -> None:
        self._rows += 1
        self._files = self._files or seen.files
        most = MAX_WITH_FILES if self._files else MAX_EXAMPLES
        if self._rows > most:
            kind = "examples, some of them with files" if self._files else "examples"
            raise InvalidInput(f"training_data has more than {most:,} {kind}: use fewer", field="training_data")


@attrs.define(eq=False)
class _Remarks:
    """What may be worth knowing of lines that are right."""

    unit: str
    _first: dict[int, int] = attrs.field(factory=dict, init=False)
    _again: list[str] = attrs.field(factory=list, init=False)
    _long: list[str] = attrs.field(factory=list, init=False)

    def look(self, line: bytes, number: int, seen: Looked) -> None:
        """Take note of a line that is very long, or that occurred before."""
        if seen.characters > LONG:
            self._long.append(str(number))
        if len(self._first) < _COMPARED:
            first = self._first.setdefault(hash(line), number)
            if first != number:
                self._again.append(f"{number} (as {first})")

    def notes(self) -> list[str]:
        """Return them in words."""
        notes = []
        if self._again:
            notes.append(f"the same example comes again in {self._listed(self._again)}")
        if self._long:
            what = f"more than {LONG:,} characters, most likely too many tokens (131,072 at most)"
            notes.append(f"{what}, in {self._listed(self._long)}: the service drops such examples and counts them")
        return notes

    def _listed(self, items: list[str]) -> str:
        return f"{self.unit}{'s' if len(items) > 1 else ''} {some(items)}"


def check_validation(training: DataReport | None, validation: DataReport | None) -> str | None:
    """Check how many examples there are to validate with, and return a note if they are more than usual.

    Args:
        training: What was read of the training data; None if it lies in Cloud Storage already.
        validation: The same of the validation data.

    Raises:
        InvalidInput: They are too many.
    """
    if validation is None:
        return None
    if validation.rows > MAX_VALIDATION:
        what = f"validation_data has {validation.rows:,} rows, more than the {MAX_VALIDATION:,} allowed: use fewer"
        raise InvalidInput(what, field="validation_data")
    if training is None or validation.rows * 10 <= training.rows * 3:
        return None
    # Documented as a limit, but not whether it holds for a handful of rows, with which everybody begins.
    return (
        f"there are {validation.rows:,} rows for {training.rows:,} of training data, and Google documents 30 % at most"
    )
