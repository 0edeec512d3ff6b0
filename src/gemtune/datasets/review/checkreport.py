"""What a check found, as a value: for a terminal, a notebook, a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

import attrs

from gemtune.datasets.dataset import Layout
from gemtune.datasets.problems import SEVERITIES, Issue, Severity
from gemtune.datasets.report import DataReport
from gemtune.datasets.review.figures import DataFigures
from gemtune.datasets.review.service import Service
from gemtune.remedy import Wording

_SHOWN: Final = 3
_SERVICES: Final[Mapping[Service, str]] = {"vertex": "Vertex AI", "gemini": "the Gemini API"}


@attrs.frozen(kw_only=True)
class CheckReport:
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
            lines += [f"  {issue.worded(wording)}" for issue in issues[:_SHOWN]]
            if self.counts[code] > len(issues[:_SHOWN]):
                lines.append(f"  and {self.counts[code] - _SHOWN:,} more")
        lines.append(self.verdict())
        if self.validation is not None:
            lines += ["", f"validation data: {self.validation.worded(wording)}"]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.to_html()}

    def to_html(self) -> str:
        """Return it as a table for a page; light and dark are the page's."""
        rows = [
            f"<tr><td>{escape(issue.severity)}</td><td><code>{escape(issue.code)}</code></td>"
            f"<td>{'' if issue.row is None else f'{issue.row:,}'}</td>"
            f"<td><code>{escape(issue.path)}</code></td>"
            f"<td>{escape(_said(issue))}</td></tr>"
            for _, issues in self.groups()
            for issue in issues[:_SHOWN]
        ]
        head = "".join(f"<th>{name}</th>" for name in ("", "code", "row", "place", "what"))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>" if rows else ""
        more = "" if self.validation is None else f"<p>Validation data</p>{self.validation.to_html()}"
        return f"<div><p>{escape(self.headline())}: <b>{escape(self.verdict())}</b></p>{table}{more}</div>"


def _times(issues: list[Issue], count: int) -> str:
    if issues[0].row is None:
        return ""
    return f", {count:,} rows" if count > 1 else ", 1 row"


def _said(issue: Issue) -> str:
    return f"{issue.message}; {issue.fix}" if issue.fix else issue.message
