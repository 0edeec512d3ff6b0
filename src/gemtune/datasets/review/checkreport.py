"""What a check found, as a value: for a terminal, a notebook, a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from gemtune.datasets.dataset import Layout
from gemtune.datasets.problems import SEVERITIES, SHOWN_OF_A_KIND, Issue, Severity, issue_table
from gemtune.datasets.report import DataReport, SaidInLines
from gemtune.datasets.review.figures import DataFigures
from gemtune.datasets.review.service import Service
from gemtune.markup import box, escape, line
from gemtune.remedy import Wording

_SERVICES: Final[Mapping[Service, str]] = {"vertex": "Vertex AI", "gemini": "the Gemini API"}


@attrs.frozen(kw_only=True)
class CheckReport(SaidInLines):
    """What ``gemtune.datasets.check`` found; printing it says so, and a notebook shows it as a table.

    Args:
        issues: What is the matter; of each code the first hundred.
        counts: How many issues there are of each code, all of them counted.
        layout: How the rows are laid out, ``openai`` for example.
        method: What they are for, ``supervised`` or ``preference``.
        service: For which service they were checked.
        data: What was read: the source, and which columns were what.
        stats: The figures of the rows that are right.
        validation: The same of the validation data, if there is some.
    """

    issues: tuple[Issue, ...]
    counts: Mapping[str, int]
    layout: Layout
    method: str
    service: Service
    data: DataReport
    stats: DataFigures
    validation: CheckReport | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        own = all(issue.severity != "error" for issue in self.issues)
        return own and (self.validation is None or self.validation.ok)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "ok": self.ok,
            "issues": [issue.to_dict() for issue in self.issues],
            "counts": dict(self.counts),
            "layout": self.layout,
            "method": self.method,
            "service": self.service,
            "data": attrs.asdict(self.data),
            "stats": self.stats.to_dict(),
            "validation": None if self.validation is None else self.validation.to_dict(),
        }

    def headline(self) -> str:
        """Return in one line what was checked."""
        count = f"{self.stats.examples:,} example{'' if self.stats.examples == 1 else 's'}"
        of = f"{self.data.source}: " if self.data.source else ""
        return f"{of}{count}, layout {self.layout}, {self.method}, checked for {_SERVICES[self.service]}"

    def verdict(self) -> str:
        """Return in one line what came out."""
        graves = Counter(self._severities())
        if not graves:
            return "nothing to mend"
        said = [f"{graves[one]:,} {one}{'' if graves[one] == 1 else 's'}" for one in SEVERITIES if graves[one]]
        return ", ".join(said)

    def _severities(self) -> Iterable[Severity]:
        kinds = {issue.code: issue.severity for issue in self.issues}
        for code, severity in kinds.items():
            yield from [severity] * self.counts[code]

    def groups(self) -> list[tuple[str, list[Issue]]]:
        """Return the issues by their codes."""
        found: dict[str, list[Issue]] = {}
        for issue in self.issues:
            found.setdefault(issue.code, []).append(issue)
        return list(found.items())

    def __str__(self) -> str:
        return self.worded()

    def worded(self, wording: Wording = str) -> str:
        """Return it in the words of one kind of reader, such as of a shell."""
        lines = [self.headline()]
        for code, issues in self.groups():
            lines.append(f"{issues[0].severity}: {code}{_times(issues, self.counts[code])}")
            lines += [f"  {issue.worded(wording)}" for issue in issues[:SHOWN_OF_A_KIND]]
            if self.counts[code] > len(issues[:SHOWN_OF_A_KIND]):
                lines.append(f"  and {self.counts[code] - SHOWN_OF_A_KIND:,} more")
        lines.append(self.verdict())
        if self.validation is not None:
            lines += ["", f"validation data: {self.validation.worded(wording)}"]
        return "\n".join(lines)

    def _as_html(self) -> str:
        more = "" if self.validation is None else line("Validation data") + self.validation._as_html()
        head = line(escape(self.headline()), f"<strong>{escape(self.verdict())}</strong>")
        return box(head, issue_table(self.issues, self.counts), more, label="check of training data")


def _times(issues: list[Issue], count: int) -> str:
    if issues[0].row is None:
        return ""
    return f", {count:,} rows" if count > 1 else ", 1 row"
