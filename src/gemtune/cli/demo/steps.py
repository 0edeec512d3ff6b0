"""What a demonstration prints: its steps, each with the requests that it makes and with what came of it."""

from __future__ import annotations

import textwrap
from typing import Final

import attrs

from gemtune.cli.console import Console, Styled
from gemtune.cli.demo.requests import request_lines, shortened
from gemtune.show.terminal import width_of

SWEEP_SPEED: Final = 60.0
"""How many times as fast as real time a sweep is shown: its jobs would take a quarter of an hour."""


@attrs.define(eq=False)
class DemoSteps:
    """The steps of a demonstration.

    Args:
        console: Where to print.
    """

    console: Console
    requests: int = attrs.field(default=0, init=False)
    """Those of the present step."""
    shown: set[tuple[str, str]] = attrs.field(factory=set, init=False)
    _number: int = attrs.field(default=0, init=False)

    def begin(self, title: str) -> None:
        """Print the heading of the next step."""
        self._number += 1
        self.shown.clear()
        self.requests = 0
        self.console.record({"kind": "step", "number": self._number, "title": title})
        heading = "\n".join(textwrap.wrap(f"{self._number}. {title}", width_of(self.console.out, 110) - 1))
        self.console.print("\n", Styled(heading, "bold"))

    def show_request(self, method: str, target: str, body: bytes | None) -> None:
        """Print a request that is about to be sent; one that the step has shown already is only counted."""
        shown = shortened(body)
        self.console.record({"kind": "request", "verb": method, "target": target, "body": shown})
        self.requests += 1
        # On Vertex AI a look at a job is two requests in turn: to compare with the one before would show them all.
        if (method, target) in self.shown:
            return
        self.shown.add((method, target))
        for line in request_lines(method, target, shown, width_of(self.console.out, 110) - 4):
            self.console.print("   ", Styled(line, "cyan"))

    def result(self, text: str) -> None:
        """Print what came of a step."""
        arrow = "→" if self.console.unicode else "->"
        first, *others = textwrap.wrap(text, width_of(self.console.out, 110) - 6, break_on_hyphens=False) or [""]
        self.console.print("   ", Styled(arrow, "green"), f" {first}")
        for line in others:
            self.console.print(f"     {line}")


def about(console: Console, text: str) -> None:
    """Print what a demonstration is, and what it is not."""
    for line in textwrap.wrap(text, width_of(console.out, 100) - 1, break_on_hyphens=False):
        console.print(line)


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
