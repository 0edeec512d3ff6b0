"""Where something is displayed that changes: a cell of Jupyter, a cell of marimo, or lines of text.

Jupyter, VS Code and Colab have one protocol: a display with an id, whose content is replaced by a later message. It
needs no widget, and a notebook that is saved keeps the last content, which is why nothing else is used. marimo replaces
the output of the cell that runs. Everywhere else a line is written whenever there is something to say: a terminal of
IPython would show each replacement below the one before.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

import attrs

from gemtune.markup import Displayed


@attrs.frozen
class Shown(Displayed):
    """What is displayed at one moment.

    Args:
        html: For a notebook.
        text: For a place without HTML.
        lines: What a log says: for each of the things shown, its line, and what of it has to change to be said anew.
    """

    html: str
    text: str
    lines: Mapping[str, tuple[object, str]] = attrs.field(factory=dict)

    def _as_text(self) -> str:
        return self.text

    def _as_html(self) -> str:
        return self.html


class DisplayPlace(Protocol):
    """Somewhere to show a view, and then the next one in its place."""

    def show(self, view: Shown) -> None:
        """Show a view instead of the last one."""
        ...


@attrs.define
class JupyterCell:
    """A cell of Jupyter, VS Code or Colab."""

    _handle: Any = attrs.field(default=None, init=False)

    def show(self, view: Shown) -> None:
        """Display it, or put it in the place of the last one, wherever the notebook shows that by now."""
        if self._handle is None:
            self._handle = importlib.import_module("IPython.display").display(view, display_id=True)
        else:
            self._handle.update(view)


@attrs.define
class MarimoCell:
    """The output of the cell of marimo that runs."""

    def show(self, view: Shown) -> None:
        """Replace the output; once the cell has ended, its last expression follows below."""
        sys.modules["marimo"].output.replace(view)


@attrs.define
class PlainLines:
    """A stream of text; what has been said is not repeated.

    Args:
        stream: Where to write.
    """

    stream: TextIO
    _said: dict[str, object] = attrs.field(factory=dict, init=False)

    def show(self, view: Shown) -> None:
        """Write the lines of whatever has changed."""
        news = [(name, mark, line) for name, (mark, line) in view.lines.items() if self._said.get(name) != mark]
        for name, mark, line in news:
            self._said[name] = mark
            self.stream.write(f"{line}\n")
        if news:
            self.stream.flush()


def this_place() -> DisplayPlace:
    """Return where the running code displays something."""
    marimo: Any = sys.modules.get("marimo")
    if marimo is not None and marimo.running_in_notebook():
        return MarimoCell()
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and type(shell).__name__ != "TerminalInteractiveShell":
        return JupyterCell()
    return PlainLines(sys.stdout)
