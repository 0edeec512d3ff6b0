"""The check of training data: everything that can be known of it before it is paid for.

Rows are read by the one reader and looked at once, so that a file of a gigabyte takes the memory of what is compared:
of the first 200,000 rows a few numbers each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from gemtune import checks
from gemtune.datasets.chats import Weights
from gemtune.datasets.conversations import Method
from gemtune.datasets.dataset import DataSet, load
from gemtune.datasets.examples import MAX_BYTES as MAX_INLINE
from gemtune.datasets.examples import NOTHING
from gemtune.datasets.parting.likeness import COMPARED, digest, question
from gemtune.datasets.problems import Findings, by_severity, issue_of
from gemtune.datasets.reading import ReadRow
from gemtune.datasets.report import DataReport
from gemtune.datasets.review.checkreport import CheckReport
from gemtune.datasets.review.figures import RunningFigures
from gemtune.datasets.review.service import Service, unfit
from gemtune.datasets.review.tokens import MOST, weigh
from gemtune.datasets.vertex import MAX_BYTES, MAX_EXAMPLES, MAX_VALIDATION, MAX_WITH_FILES
from gemtune.errors import InvalidInput
from gemtune.protocol.codec import dumps

_ADVISED: Final = 100
_LABEL: Final = 40
"""Characters of an answer that may be a label."""
_LABELS: Final = 20
_MOSTLY: Final = 0.9


def check(
    source: object,
    *,
    service: Service = "vertex",
    validation: object = None,
    method: Method | None = None,
    weights: Weights = "refuse",
    input: str | int | None = None,
    output: str | int | None = None,
    heading: bool | None = None,
    delimiter: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> CheckReport:
    """Check training data for a service, and report everything that is wrong or suspicious; nothing is sent.

    Rows that are wrong are listed, each with its place and Google's own name for what is wrong. A file that cannot be
    read as training data at all is one issue::

        report = gemtune.datasets.check("train.jsonl", validation="validation.jsonl")
        print(report)
        assert report.ok

    Args:
        source: The training data, whatever ``gemtune.datasets.load`` takes.
        service: ``vertex`` for Vertex AI, ``gemini`` for the Gemini API, which learns pairs only.
        validation: Validation data, which is checked as well, and for rows that are in the training data.
        method: What it is for, ``supervised`` or ``preference``; None finds out.
        weights: Whether answers of weight 0 are learned, as for ``load``.
        input: The column with the input, as for ``load``; the same for ``output``, ``heading``, ``delimiter`` and
            ``on_bytes``.

    Raises:
        InvalidInput: An argument is wrong, or there is no such file.
    """
    checks.one_of("service", service, "vertex", "gemini")
    given: dict[str, Any] = {"method": method, "weights": weights, "input": input, "output": output}
    given |= {"heading": heading, "delimiter": delimiter, "on_bytes": on_bytes}
    report, seen = _checked(source, service, given)
    if validation is None:
        return report
    other, again = _checked(validation, service, given, validation=True)
    findings = Findings()
    _compare(findings, report.stats.examples, other.stats.examples)
    for key, number in again.items():
        if key in seen:
            message = f"is row {number:,} of the validation data as well, which then measures what was learned by heart"
            findings.found("leakage", "warning", message, row=seen[key], fix="take it out of one of the two")
    counts = {code: times for (_, code), times in findings.counts.items()}
    issues = by_severity((*report.issues, *findings.issues()))
    return attrs.evolve(report, issues=issues, counts={**report.counts, **counts}, validation=other)


def _checked(
    source: object, service: Service, given: Mapping[str, Any], *, validation: bool = False
) -> tuple[CheckReport, dict[int, int]]:
    review = _Review(service, validation)
    try:
        data = load(source, **given)
        review.data = data
        for read in data.reader:
            review.add(read)
        return review.report(data.report(review.tally.examples)), review.questions
    except InvalidInput as problem:
        if _is_usage(source, problem):
            raise
        message = problem.message.removeprefix("training_data").removeprefix(":").strip()
        told = InvalidInput(message, *problem.remedies)
        review.findings.add(attrs.evolve(issue_of(told, None, "row"), code="unreadable"))
        name = os.path.basename(os.fspath(source)) if isinstance(source, str | os.PathLike) else ""  # noqa: PTH119
        return review.report(DataReport(rows=0, source=os.fsdecode(name))), review.questions


def _is_usage(source: object, problem: InvalidInput) -> bool:
    """Return whether it is the call that is wrong, and not what is in the data."""
    if problem.field not in {None, "training_data", "text_input", "output", "input", "heading", "delimiter"}:
        return True
    if isinstance(source, str | os.PathLike) and os.fspath(source) not in {"-", b"-"}:
        try:
            return not Path(os.fsdecode(os.fspath(source))).is_file()
        except ValueError:
            return True
    return not (isinstance(source, list | tuple | Mapping) or hasattr(source, "read"))


@attrs.define(eq=False)
class _Review:
    """What was seen of the rows so far."""

    service: Service
    validation: bool
    data: DataSet | None = None
    findings: Findings = attrs.field(factory=Findings)
    tally: RunningFigures = attrs.field(factory=RunningFigures)
    questions: dict[int, int] = attrs.field(factory=dict)
    """The row in which each question was asked first."""
    _answers: dict[int, int] = attrs.field(factory=dict, init=False)
    _labels: Counter[str] | None = attrs.field(factory=Counter, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _rows: int = attrs.field(default=0, init=False)

    def add(self, read: ReadRow) -> None:
        """Look at a row."""
        self._rows += 1
        unit = "row" if self.data is None else self.data.unit
        problem = read.problem or unfit(read.example, self.service)
        if problem is not None:
            self.findings.add(issue_of(problem, read.number, unit))
            return
        for issue in read.losses:
            self.findings.add(issue)
        weight = weigh(read.example)
        self.tally.add(weight)
        self._bytes += len(read.line)
        tokens = (weight.asked + weight.answered).tokens()
        if self.service == "vertex" and tokens.value > MOST:
            message = f"has about {tokens} tokens, and {MOST:,} are allowed: the service drops such rows"
            self.findings.found("too_long", "warning", message, row=read.number, fix="shorten it")
        if read.example is read.row:
            self._roles(read.example["contents"], read.number)
        self._compare(read)
        self._look_at_answer(read)

    def _roles(self, contents: Any, number: int) -> None:
        before = None
        for place, turn in enumerate(contents):
            role = turn.get("role") or "user"
            if role == before:
                message = f"contents[{place}] is of the same role as the turn before"
                self.findings.found("consecutive_turns", "warning", message, row=number, fix="make one turn of both")
                return
            before = role

    def _compare(self, read: ReadRow) -> None:
        if len(self._answers) >= COMPARED:
            return
        answers = read.example.get("completions") or read.example["contents"][-1]
        asked, answer = digest(question(read.example)), digest(dumps(answers))
        first = self.questions.setdefault(asked, read.number)
        known = self._answers.setdefault(asked ^ answer, read.number)
        if known != read.number:
            message = f"is the same as row {known:,}"
            self.findings.found("duplicate_example", "warning", message, row=read.number, fix="drop one of them")
        elif first != read.number and "completions" not in read.example:
            message = f"has the input of row {first:,} and another output"
            self.findings.found("conflicting_output", "warning", message, row=read.number, fix="keep the right one")

    def _look_at_answer(self, read: ReadRow) -> None:
        parts = read.example["contents"][-1].get("parts") or [{}]
        text = parts[0].get("text") if len(parts) == 1 and "completions" not in read.example else None
        if not isinstance(text, str):
            self._labels = None
            return
        if text in NOTHING:
            message = f"has the output {text!r}, which may have been an empty cell"
            self.findings.found("maybe_empty", "warning", message, row=read.number)
        if text != text.strip():
            message = "has an output that begins or ends with a space or a line end, which the model learns"
            self.findings.found("outer_space", "note", message, row=read.number)
        if self._labels is not None:
            self._labels[text] += 1
            if len(text) > _LABEL or len(self._labels) > _LABELS:
                self._labels = None

    def report(self, data: DataReport) -> CheckReport:
        """Return everything."""
        self._limits()
        if not self.validation:
            self._sizes()
        for name in data.left_out:
            self.findings.found("left_out", "note", f"{name!r:.60} is not used")
        counts = {code: times for (_, code), times in self.findings.counts.items()}
        known = self.data
        return CheckReport(
            issues=self.findings.issues(),
            counts=counts,
            layout="pairs" if known is None else known.layout,
            method="supervised" if known is None else known.method,
            service=self.service,
            data=data,
            stats=self.tally.stats(),
        )

    def _limits(self) -> None:
        tally, found = self.tally, self.findings.found
        if not self._rows and not self.findings.counts:
            found("no_examples", "error", "there is no example", fix=f"give at least one, better {_ADVISED} or more")
        if self.service == "gemini":
            if self._bytes > MAX_INLINE:
                what = f"{self._bytes:,} bytes of text are more than the {MAX_INLINE:,} that can be sent"
                found("too_large", "error", what, fix="use fewer or shorter examples")
            return
        most = MAX_WITH_FILES if tally.files else MAX_EXAMPLES
        if tally.examples > most:
            found("too_many_examples", "error", f"{tally.examples:,} examples are more than the {most:,} allowed")
        if self._bytes > MAX_BYTES:
            found("too_large", "error", f"{self._bytes:,} bytes are more than the {MAX_BYTES:,} allowed")
        if self.validation and tally.examples > MAX_VALIDATION:
            what = f"{tally.examples:,} rows of validation data are more than the {MAX_VALIDATION:,} allowed"
            found("too_many_examples", "error", what, fix="use fewer")

    def _sizes(self) -> None:
        tally, found = self.tally, self.findings.found
        if 0 < tally.examples < _ADVISED:
            only = f"only {tally.examples:,} example{'' if tally.examples == 1 else 's'}"
            what = f"{only}: Google advises {_ADVISED} or more"
            found("few_examples", "warning", what)
        if 0 < tally.with_system < tally.examples:
            what = f"{tally.examples - tally.with_system:,} of {tally.examples:,} rows have no system instruction"
            found("missing_system_instruction", "warning", what, fix="give every row one, or none")
        if self._rows > COMPARED:
            found("not_compared", "note", f"repeats were looked for among the first {COMPARED:,} rows only")
        if self._labels and tally.examples >= _ADVISED:
            (label, times), *_ = self._labels.most_common(1)
            if times > _MOSTLY * tally.examples:
                what = f"{label!r} is the output of {times:,} of {tally.examples:,} rows"
                found("class_imbalance", "warning", what, fix="add rows with other outputs")


def _compare(findings: Findings, training: int, validation: int) -> None:
    if training and validation * 10 > training * 3:
        what = f"{validation:,} rows of validation data are more than 30 % of the {training:,} for training"
        findings.found("validation_share", "warning", what, fix="use fewer")
