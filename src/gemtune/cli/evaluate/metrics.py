"""How answers are scored: ``--metric`` and ``--judge``."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gemtune.cli.options import MODEL
from gemtune.errors import InvalidInput

NAMES: Final = ("exact_match", "contains", "json_equal", "labels", "similarity", "number")
_OWN: Final = "a function of your own as module:function, from a file in this folder"


def add_metrics(
    parser: argparse._ActionsContainer, told: str = "default: exact_match, or with --judge the judge alone"
) -> None:
    """Add the options, and what help says of what happens without them."""
    parser.add_argument(
        "--metric",
        type=_metric,
        action="append",
        metavar="METRIC",
        help=f"how answers are scored: {', '.join(NAMES)}, or {_OWN}; can be repeated ({told})",
    )
    parser.add_argument(
        "--judge", metavar="M", help=f"a model that says which of two answers is better, in both orders: {MODEL}"
    )


def metrics_of(options: argparse.Namespace) -> list[Any]:
    """Return the metrics, as ``client.evaluate`` takes them.

    Raises:
        InvalidInput: A function is not there, or what a metric needs is not installed.
    """
    given = options.metric or []
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"--metric {twice} is given twice: leave one out")
    found: list[Any] = [_function(name) if ":" in name else name for name in options.metric or ()]
    if options.judge is not None:
        from gemtune.metrics import judge

        found.append(judge(options.judge))
    return found or ["exact_match"]


def _metric(given: str) -> str:
    if given in NAMES or all(part.strip() for part in given.partition(":")):
        return given
    if given == "judge":
        raise argparse.ArgumentTypeError("a judge is a model: name it with --judge")
    near = difflib.get_close_matches(given, NAMES, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(NAMES)}, or module:function"
    raise argparse.ArgumentTypeError(f"there is no metric {given!r}; {meant}")


def _function(given: str) -> Callable[..., Any]:
    module, _, name = given.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as python itself does for a script in this folder
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise InvalidInput(f"--metric {given} cannot be loaded: {error}") from None
    if not callable(found):
        raise InvalidInput(f"--metric {given}: {module} has no function {name}")
    function: Callable[..., Any] = found
    return function
