"""Commands that do one thing to each of the jobs that they name, even if it fails for others."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED, exit_code, together
from gemtune.cli.options import Commands, Run, add_command
from gemtune.cli.remedies import worded
from gemtune.cli.running import open_client, run_async
from gemtune.errors import GemtuneError, InvalidInput

if TYPE_CHECKING:
    from gemtune.client import Client

Each = Callable[["Client", str, argparse.Namespace, Console], Awaitable[None]]
"""What is done to one job."""


def with_quiet(actions: Commands, name: str, run: Run, help: str, examples: str, alias: str) -> argparse.ArgumentParser:
    """Add a command with ``--quiet``, and perhaps another name, and return its parser."""
    parser = add_command(actions, name, run, help, examples, aliases=[alias] if alias else [])
    parser.add_argument("-q", "--quiet", action="store_true", help="print names only")
    return parser


def for_each(each: Each, *, deed: bool, asks: bool = False) -> Run:
    """Return what runs a command for each name.

    Args:
        each: What is done to one job.
        deed: Whether it changes something.
        asks: Whether somebody has to agree.
    """

    def run(options: argparse.Namespace, console: Console) -> int:
        console.deed = deed
        if asks and not _agreed(options, console):
            console.note("nothing was deleted")
            return FAILED
        return run_async(_each, each, options, console, limit=options.timeout)

    return run


async def _each(each: Each, options: argparse.Namespace, console: Console) -> int:
    codes = []
    async with open_client(options) as client:
        for name in options.names:
            try:
                await each(client, name, options, console)
            except GemtuneError as error:
                console.error(worded(error, options))
                codes.append(exit_code(error))
            else:
                codes.append(DONE)
    return together(codes)


def _agreed(options: argparse.Namespace, console: Console) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():  # a script that deletes says so; a mistyped pipe is not consent
        raise InvalidInput("there is no terminal to ask on: pass --yes to delete without being asked", field="--yes")
    console.err.write(f"delete {', '.join(options.names)} for good? [y/N] ")
    console.err.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
