"""Options that several commands share, and the parser that reports errors our way.

One rule for names in all commands, as in the SDK: in full, such as tunedModels/my-model, or as a bare id. In ``gemtune
jobs`` that is a tuned model's; ``--model`` and ``--base`` take it for a base model's if it looks like one.
"""

from __future__ import annotations

import argparse
import difflib
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gemtune.cli.console import Console, unwritten
from gemtune.cli.exits import USAGE
from gemtune.cli.streams import silence

Run = Callable[[argparse.Namespace, Console], int]
"""Carries out a command and returns its exit code."""

JOB: Final = (
    "tunedModels/my-model, or the bare id my-model; an operation's name means its job. On Vertex AI "
    "projects/.../tuningJobs/..., or the number at its end"
)
BATCH: Final = "batches/abc123, or the bare id abc123. On Vertex AI projects/.../batchPredictionJobs/..., or its number"
MODEL: Final = (
    "models/... or tunedModels/..., or a bare id: gemini-3.7-flash is a base model's, my-model a tuned one's. On "
    "Vertex AI a base model's id, or projects/... in full: a job, a tuned model or an endpoint, such as a checkpoint's"
)
"""What help says of the names that a command takes."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"error: {message} (see: {self.prog} --help)\n")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Say what a number is, rather than which Python type it is not."""
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            wanted = {int: "a whole number", float: "a number"}.get(action.type)  # type: ignore[call-overload]
            if wanted is None:
                raise
            raise argparse.ArgumentError(action, f"{arg_string!r} is not {wanted}") from None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is not among the choices, and say which one may have been meant (argparse does from 3.14 on)."""
        if action.choices is not None and value not in action.choices:
            near = difflib.get_close_matches(str(value), list(map(str, action.choices)), 1)
            meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(map(str, action.choices))}"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}; {meant}")

    def refuse(self, left: Sequence[str]) -> NoReturn:
        """Refuse what no option or argument takes, and say which option may have been meant."""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        near = difflib.get_close_matches(left[0].partition("=")[0], known, 1, 0.7)
        self.error(f"unrecognized arguments: {' '.join(left)}" + (f"; did you mean {near[0]}?" if near else ""))

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write help or a version at once: argparse swallows a failure (from 3.12 on), or leaves it to the end."""
        stream = file or sys.stderr
        try:
            stream.write(message)
            stream.flush()
        except OSError as error:
            silence(stream)
            raise unwritten(error) from None


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]
else:
    Commands = object


def seconds(text: str) -> float:
    """Return the seconds in ``30``, ``30s``, ``5m`` or ``2h``."""
    found = _DURATION.fullmatch(text.strip())
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30, 30s, 5m or 2h")
    return value


def text(value: str) -> str:
    """Return an argument that will be sent, and refuse one that cannot be: bytes that are not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("holds bytes that are not UTF-8") from None
    return value


def common_options(timeout: str = "give up after this long (30, 30s, 5m, 2h)") -> Parser:
    """Return the options that every command takes, as a parent parser."""
    parent = Parser(add_help=False)
    group = parent.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="write JSON, one object per line")
    group.add_argument("--base-url", metavar="URL", help="the service's address, such as that of an emulator")
    group.add_argument(
        "--trust-host",
        metavar="HOST",
        action="append",
        help="a host of your own network to which the credential may go in plain http; can be repeated",
    )
    group.add_argument(
        "--vertex",
        action=argparse.BooleanOptionalAction,
        help="use Vertex AI, or the Gemini API (default: by GOOGLE_GENAI_USE_VERTEXAI)",
    )
    group.add_argument("--project", metavar="ID", help="the project: on Vertex AI of everything, else the one to bill")
    group.add_argument(
        "--location", metavar="L", help="where on Vertex AI, such as europe-west4 (default: us-central1)"
    )
    group.add_argument("--bucket", metavar="B", help="with --vertex, your bucket of Cloud Storage for data")
    group.add_argument("--timeout", type=seconds, metavar="T", help=timeout)
    group.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR in the environment means the same")
    return parent


def place_options(options: argparse.Namespace) -> list[str]:
    """Return the options of a command that say which service it talks to and where, for a command that follows it."""
    words = [] if options.vertex is None else ["--vertex" if options.vertex else "--no-vertex"]
    for name in ("base_url", "project", "location"):
        value = getattr(options, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", value]
    for host in options.trust_host or ():
        words += ["--trust-host", host]
    return words


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Add what says which columns of training data are what."""
    parser.add_argument("--input-column", metavar="NAME", help="the column with the input, if its name is unusual")
    parser.add_argument("--output-column", metavar="NAME", help="the column with the output, if its name is unusual")
    parser.add_argument(
        "--heading",
        action=argparse.BooleanOptionalAction,
        help="whether line 1 names the columns; without it, that has to be plain",
    )
    parser.add_argument("--delimiter", metavar="C", help="what separates the columns, if that is unusual")


def columns_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was said of the columns, as arguments of ``client.tune`` and ``gemtune.datasets.load``."""
    return {
        "input": options.input_column,
        "output": options.output_column,
        "heading": options.heading,
        "delimiter": options.delimiter,
    }


def add_command(
    commands: Commands, name: str, run: Run, help: str, examples: str, *, common: Parser | None = None, **more: Any
) -> Parser:
    """Add a command with its examples and the common options, and return its parser."""
    parser = add_parser(commands, name, help, examples, parents=[common or common_options()], **more)
    parser.set_defaults(run=run)
    return parser


def add_parser(commands: Commands, name: str, help: str, examples: str, **more: Any) -> Parser:
    """Add a command or a group of commands with its examples, and return its parser."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **more,
    )
    parser.set_defaults(parser=parser)
    return parser
