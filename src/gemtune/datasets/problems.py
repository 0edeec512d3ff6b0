"""What is wrong with training data, collected: whoever mends a file wants to mend it once.

One and the same finding is read by three. ``client.tune`` refuses everything in one error (``Problems``);
``gemtune.datasets.check`` lists an ``Issue`` for each row; ``convert`` says in the same words what a row has lost. The
error about a row carries what a report needs beside its message: the name that Google has for what is wrong, if there
is one, and the place in the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from gemtune.errors import InvalidInput
from gemtune.markup import escape, table
from gemtune.remedy import Remedy, Wording

Severity: TypeAlias = Literal["error", "warning", "note"]

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
SHOWN_OF_A_KIND: Final = 3
"""So many issues of one kind are shown to people."""
KEPT: Final = 100
"""So many issues of one kind are kept; of more, only their number."""

SHOWN: Final = 5
"""So many problems are named; of more nobody reads the list."""
_ENOUGH: Final = 1000
"""After so many different ones, reading on would teach nothing."""


def row_error(
    message: str,
    *remedies: Remedy,
    code: str = "invalid_input",
    path: str = "",
    field: str | None = None,
    row: int | None = None,
) -> InvalidInput:
    """Return the error that a row is wrong.

    Args:
        message: What is wrong.
        remedies: How to correct it.
        code: What a report calls it.
        path: The place in the row, such as ``contents[1].role``.
        field: The field that is wrong.
        row: The number of the row, if it is known.
    """
    error = InvalidInput(message, *remedies, field=field, row=row)
    error.code, error.place = code, path
    return error


@attrs.frozen(kw_only=True)
class Issue:
    """Something about training data that you may want to mend.

    Args:
        code: A name for programs. Where Google's own checks have a name for it, it is theirs, such as
            ``unrecognized_role`` or ``missing_text``.
        severity: ``error``: the service refuses or drops the row. ``warning``: the model most likely learns something
            else than you want. ``note``: worth knowing.
        message: What is the matter, without the row and the place.
        row: The line of a file, or the row in memory, counted from 1; None if it concerns the whole set.
        path: The place in the row, such as ``contents[1].role``; empty if it concerns the whole row.
        fix: What to do about it; empty if that is plain.
    """

    code: str
    severity: Severity
    message: str
    row: int | None = None
    path: str = ""
    fix: str = ""
    _remedies: tuple[Remedy, ...] = attrs.field(default=(), eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.severity}: {self.worded()}"

    def worded(self, wording: Wording = str) -> str:
        """Return where it is, what is the matter and what to do, in the words of one kind of reader."""
        place = [] if self.row is None else [f"row {self.row:,}"]
        where = ", ".join([*place, self.path] if self.path else place)
        said = f"{where}: {self.message}" if where else self.message
        fix = advised(self._remedies, wording) if self._remedies else self.fix
        return f"{said}; {fix}" if fix else said

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {name: getattr(self, name) for name in ("code", "severity", "message", "row", "path", "fix")}


def advised(remedies: Iterable[Remedy], wording: Wording = str) -> str:
    """Return remedies as alternatives, in the words of one kind of reader."""
    return ", or ".join(phrase for remedy in remedies if (phrase := remedy.worded(wording)))


def issue_of(problem: InvalidInput, row: int | None, unit: str) -> Issue:
    """Return the issue that an error about a row is.

    Args:
        problem: The error.
        row: The row, which the error itself names only in words, or not at all.
        unit: What is counted, ``row`` or ``line``.
    """
    path = problem.place or problem.field or ""
    path = "" if path == "training_data" else path
    message = problem.message
    for told in (f"{unit} {problem.row}: ", f"{path} "):
        message = message.removeprefix(told)
    fix = advised(problem.remedies)
    return Issue(
        code=problem.code,
        severity="error",
        message=message,
        row=row,
        path=path,
        fix=fix,
        remedies=tuple(problem.remedies),
    )


def by_severity(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Return issues, the grave ones first, otherwise as they were."""
    return tuple(sorted(issues, key=lambda one: SEVERITIES.index(one.severity)))


@attrs.define(eq=False)
class Findings:
    """The issues so far, of each kind the first ones and how many there are."""

    counts: Counter[tuple[Severity, str]] = attrs.field(factory=Counter)
    _kept: list[Issue] = attrs.field(factory=list, init=False)

    def add(self, issue: Issue) -> None:
        """Take in an issue."""
        kind = issue.severity, issue.code
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT:
            self._kept.append(issue)

    def found(self, code: str, severity: Severity, message: str, *, row: int | None = None, fix: str = "") -> None:
        """Take in what concerns a whole row, or the whole set."""
        self.add(Issue(code=code, severity=severity, message=message, row=row, fix=fix))

    def issues(self) -> tuple[Issue, ...]:
        """Return them, the grave ones first, each kind in the order of its rows."""
        kinds = {kind: place for place, kind in enumerate(self.counts)}
        return by_severity(sorted(self._kept, key=lambda one: (kinds[one.severity, one.code], one.row or 0)))


def issue_table(issues: Iterable[Issue], counts: Mapping[str, int]) -> str:
    """Return issues as a table of HTML, of each kind the first ones; empty if there are none."""
    shown: Counter[str] = Counter()
    rows = []
    for issue in issues:
        shown[issue.code] += 1
        if shown[issue.code] > SHOWN_OF_A_KIND:
            continue
        more = counts[issue.code] - SHOWN_OF_A_KIND if shown[issue.code] == SHOWN_OF_A_KIND else 0
        grave = f"<strong>{issue.severity}</strong>" if issue.severity == "error" else issue.severity
        place = f"<code>{escape(issue.path)}</code>" if issue.path else ""
        said = f"{issue.message}; {issue.fix}" if issue.fix else issue.message
        said = f"{said} (and {more:,} more)" if more > 0 else said
        row = "" if issue.row is None else f"{issue.row:,}"
        rows.append((grave, f"<code>{escape(issue.code)}</code>", row, place, escape(said)))
    return table(("", "code", "row", "place", "what"), rows, wide={4}) if rows else ""


@attrs.define
class Problems:
    """The problems found so far; one that many rows share is one object, counted."""

    _found: Counter[InvalidInput] = attrs.field(factory=Counter, init=False)

    def add(self, problem: InvalidInput) -> None:
        """Take note of one."""
        self._found[problem] += 1

    @property
    def enough(self) -> bool:
        """Whether there are so many that the rest need not be read."""
        return len(self._found) >= _ENOUGH

    def refuse(self) -> None:
        """Raise an error about all of them, if there are any.

        Raises:
            InvalidInput: It names the first five; ``row`` and ``field`` are those of the first.
        """
        if not self._found:
            return
        ordered = sorted(self._found, key=lambda problem: problem.row or 0)
        first, named = ordered[0], ordered[:SHOWN]
        lines = [problem.message + _shared(self._found[problem] - 1) for problem in named]
        if len(ordered) > SHOWN:
            lines.append(f"and {self._found.total() - sum(self._found[problem] for problem in named):,} more")
        message = "; ".join(lines)
        if len(ordered) > 1:
            least = "at least " if self.enough else ""
            message = f"training_data has {least}{self._found.total():,} problems: {message}"
        raise InvalidInput(message, *first.remedies, field=first.field, row=first.row)


def _shared(others: int) -> str:
    return f" (the same in {others:,} more row{'s' if others > 1 else ''})" if others else ""


def some(items: Iterable[str]) -> str:
    """Return the first items as a list, and how many more there are."""
    every = [*items]
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
