"""HTML as strings, for people who read a notebook: escaped, without script, without network, on paper of any colour.

A page says its text's colour and its paper's, and a notebook does not say which it has. So nothing here sets either:
lines, borders and backgrounds are made of ``currentColor`` (the colour of the text around), and what has a colour of
its own is a shape beside words that say the same. Three rules come from looking at the result: tables inherit font and
colour, because Jupyter gives them its own; cells are told to align left, because Jupyter has them at the right; and
what may be wider than the page scrolls in a box of its own.
"""

from __future__ import annotations

import html
from collections.abc import Container, Iterable, Sequence
from typing import Final

STYLE: Final = (
    "<style>"
    ".gemtune{font:13px/1.5 system-ui,sans-serif;max-width:860px;overflow-x:auto;color:inherit}"
    ".gemtune p{margin:2px 0}"
    ".gemtune .dim{opacity:.7}"
    ".gemtune table{border-collapse:collapse;font:inherit;color:inherit;margin:4px 0;border:0}"
    ".gemtune td,.gemtune th{color:inherit;background:none;border:0;padding:3px 12px 3px 0;text-align:left!important;"
    "vertical-align:top;white-space:nowrap;border-bottom:1px solid color-mix(in srgb,currentColor 15%,transparent)}"
    ".gemtune th{font-weight:600;opacity:.7}"
    ".gemtune tr{background:none!important}"
    ".gemtune td.wide{white-space:normal;overflow-wrap:anywhere;min-width:9em}"
    ".gemtune .pill{display:inline-block;padding:0 8px;border-radius:9px;font-size:12px;white-space:nowrap;"
    "border:1px solid color-mix(in srgb,currentColor 30%,transparent)}"
    ".gemtune .dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px}"
    ".gemtune .bar{display:inline-block;vertical-align:middle;height:7px;border-radius:4px;overflow:hidden;"
    "width:100%;min-width:90px;background:color-mix(in srgb,currentColor 14%,transparent)}"
    ".gemtune .bar i{display:block;height:100%}"
    ".gemtune svg{display:block;max-width:100%;height:auto}"
    ".gemtune td.right,.gemtune th.right{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".gemtune details{margin:6px 0}"
    ".gemtune summary{cursor:pointer}"
    ".gemtune td svg{display:inline-block;vertical-align:middle;margin-right:6px}"
    "</style>"
)
"""The style of everything that gemtune shows in a notebook; each output brings it, because each stands alone."""


class Displayed:
    """A value that a notebook shows richly: Jupyter, VS Code, Colab and marimo ask for these two methods.

    What inherits it defines ``_as_html``, and ``_as_text`` if its ``repr`` is not the best that a place without HTML
    can show: a terminal, a screen reader, a page that strips markup.
    """

    __slots__ = ()

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        shown = {"text/plain": self._as_text(), "text/html": self._as_html()}
        if include:
            shown = {kind: said for kind, said in shown.items() if kind in include}
        return {kind: said for kind, said in shown.items() if not exclude or kind not in exclude}

    def _repr_html_(self) -> str:
        return self._as_html()

    def _as_text(self) -> str:
        return repr(self)

    def _as_html(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def escape(text: object) -> str:
    """Return a text for HTML or SVG, between tags or in a quoted attribute; control characters become blanks."""
    return html.escape("".join(c if c.isprintable() or c == "\n" else " " for c in str(text)))


def box(*parts: str, label: str = "") -> str:
    """Return parts as one output of a cell, with the style that they need.

    Args:
        parts: HTML; what is empty is left out.
        label: What a screen reader calls it.
    """
    named = f' role="group" aria-label="{escape(label)}"' if label else ""
    return f'<div class="gemtune"{named}>{STYLE}{"".join(parts)}</div>'


def line(*parts: str, dim: bool = False) -> str:
    """Return parts of HTML with dots between them, as a line of its own; empty if all of them are."""
    said = " · ".join(part for part in parts if part)
    kind = ' class="dim"' if dim else ""
    return f"<p{kind}>{said}</p>" if said else ""


def dot(color: str) -> str:
    """Return a dot in a colour."""
    return f'<span class="dot" style="background:{color}"></span>'


def pill(word: str, color: str) -> str:
    """Return a state: its word, and a dot in the colour that means the same."""
    return f'<span class="pill">{dot(color)}{escape(word)}</span>'


def bar(share: float | None, color: str) -> str:
    """Return how much is done, from 0 to 1, as a bar; empty if that is unknown."""
    if share is None:
        return ""
    percent = f"{min(max(share, 0.0), 1.0) * 100:.0f}"
    filled = f'<i style="width:{percent}%;background:{color}"></i>'
    return f'<span class="bar" role="img" aria-label="{percent} % done">{filled}</span>'


def folded(heading: str, *parts: str, opened: bool = False) -> str:
    """Return parts of HTML under a heading with which they can be shown and hidden, without a script.

    Args:
        heading: The heading, as text.
        parts: What it hides.
        opened: Whether it is shown at first.
    """
    state = ' open="open"' if opened else ""
    return f"<details{state}><summary>{escape(heading)}</summary>{''.join(parts)}</details>"


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    wide: Container[int] = (),
    right: Container[int] = (),
) -> str:
    """Return a table.

    Args:
        heads: The headings, as text; empty for none.
        rows: The cells, as HTML.
        wide: The columns, from 0, whose text may wrap.
        right: The columns of figures, which stand at the right.
    """
    kinds = [' class="right"' if n in right else "" for n in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{escape(each)}</th>' for kind, each in zip(kinds, heads, strict=True))
    body = "".join(
        f"<tr>{''.join(_cell(cell, wide=n in wide, right=n in right) for n, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if heads else ''}<tbody>{body}</tbody></table>"


def _cell(cell: str, *, wide: bool, right: bool) -> str:
    kind = ' class="wide"' if wide else ' class="right"' if right else ""
    return f"<td{kind}>{cell}</td>"


def facts(said: Iterable[tuple[str, object]]) -> str:
    """Return names and values as a table of two columns; what is None or empty is left out."""
    rows = [
        (f'<span class="dim">{escape(name)}</span>', escape(value)) for name, value in said if value not in {None, ""}
    ]
    return table((), rows, wide={1}) if rows else ""
