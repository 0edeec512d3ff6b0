"""Options that several commands share, and the parser that reports errors our way."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from gemtune.cli.console import Console
from gemtune.cli.exits import USAGE
from gemtune.errors import CallError, DeadlineExceeded

if TYPE_CHECKING:
    from gemtune.client import Client

Run = Callable[[argparse.Namespace, Console], int]
"""Carries out a command and returns its exit code."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        """Report and leave."""
        self.exit(USAGE, f"error: {message} (see: {self.prog} --help)\n")


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]
else:
    Commands = object


def seconds(text: str) -> float:
    """Return the seconds that ``30``, ``30s``, ``5m`` or ``2h`` stand for."""
    found = _DURATION.fullmatch(text.strip())
    value = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30, 30s, 5m or 2h")
    return value


def text(value: str) -> str:
    """Return an argument that is to be sent, and refuse bytes of the command line that are no characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("holds bytes that are not UTF-8") from None
    return value


def common_options(timeout: str = "give up after this long (30, 30s, 5m, 2h)") -> Parser:
    """Return the options that every command takes, as a parent parser."""
    parent = Parser(add_help=False)
    group = parent.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="write JSON, one object a line")
    group.add_argument("--base-url", metavar="URL", help="another address of the service, such as an emulator's")
    group.add_argument("--project", metavar="ID", help="the quota project to bill")
    group.add_argument("--timeout", type=seconds, metavar="T", help=timeout)
    group.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR is honoured, too)")
    return parent


def add_command(
    commands: Commands, name: str, run: Run, help: str, examples: str, *, common: Parser | None = None, **more: Any
) -> Parser:
    """Add a command with its examples and the common options, and return its parser."""
    parser = add_parser(commands, name, help, examples, parents=[common or common_options()], **more)
    parser.set_defaults(run=run)
    return parser


def add_parser(commands: Commands, name: str, help: str, examples: str, **more: Any) -> Parser:
    """Add a command, or a group of them, with its examples, and return its parser."""
    return commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **more,
    )


def open_client(options: argparse.Namespace, **more: Any) -> Client:
    """Return a client for the common options and the environment."""
    from gemtune.client import Client

    return Client(base_url=options.base_url, project=options.project, user_agent_suffix="gemtune-cli", **more)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise DeadlineExceeded unless the block is done in time, whatever it was that took too long."""
    import anyio

    end = math.inf if seconds is None else anyio.current_time() + seconds
    met = ""
    try:
        with anyio.move_on_after(seconds):
            yield
            return
    except CallError as error:
        if anyio.current_time() < end:
            raise
        met = f" ({error.message})"
    raise DeadlineExceeded(f"not done after {seconds:g} s{met}; allow more with --timeout")


def run_async(command: Callable[..., Awaitable[int]], *arguments: object, limit: float | None = None) -> int:
    """Run the asynchronous part of a command, with all that it needs loaded before the event loop turns.

    Args:
        command: The coroutine function; it returns the exit code.
        arguments: What it is called with.
        limit: Seconds after which it is given up.
    """
    import anyio

    import gemtune.client  # noqa: F401

    async def limited() -> int:
        with time_limit(limit):
            return await command(*arguments)
        raise AssertionError("unreachable")

    return anyio.run(limited)
