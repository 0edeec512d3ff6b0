"""What the commands of ``gemtune data`` take and write: options of a data set, progress while it is read, an output."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED
from gemtune.cli.options import Parser, add_columns, columns_of
from gemtune.errors import InvalidInput

_LARGE: Final = 50_000_000
"""Bytes of a file from which on it is said how far it has been read."""
_PLACE: Final = ("vertex", "base_url", "project", "location", "bucket", "trust_host", "timeout")


def file_options() -> Parser:
    """Return the options of a command that reads files and asks no service, as a parent parser."""
    parent = Parser(add_help=False)
    group = parent.add_argument_group("common options")
    group.add_argument("--json", action="store_true", help="write JSON, one object per line")
    group.add_argument("-q", "--quiet", action="store_true", help="write nothing to standard error but errors")
    group.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR in the environment means the same")
    parent.set_defaults(**dict.fromkeys(_PLACE))
    return parent


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the data set and how it is read."""
    parser.add_argument("data", metavar="DATA", help="a CSV, TSV, JSONL or JSON file; - is standard input")
    add_columns(parser)
    parser.add_argument(
        "--method",
        choices=("supervised", "preference"),
        help="what the rows are for: answers, or pairs of answers (default: found out)",
    )
    parser.add_argument(
        "--weights",
        choices=("refuse", "learn"),
        default="refuse",
        help="whether answers of OpenAI's weight 0 are refused or learned (default: %(default)s)",
    )


def wanted(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Return the arguments of ``gemtune.datasets.load`` for the options."""
    return {
        "method": options.method,
        "weights": options.weights,
        **columns_of(options),
        "on_bytes": None if options.quiet else progress(options.data, console),
    }


def progress(source: str, console: Console) -> Callable[[int], None] | None:
    """Return what says how far a large file has been read, if somebody sits before the terminal; None otherwise."""
    path = Path(source)
    size = path.stat().st_size if source != "-" and path.is_file() else 0
    if size < _LARGE or not console.err.isatty():
        return None
    said = 0

    def on_bytes(count: int) -> None:
        nonlocal said
        tenth = 10 * count // size
        if tenth > said:
            said = tenth
            console.note(f"{path.name}: {10 * tenth} % of {size / 1e6:,.0f} MB read")
        elif tenth < said - 1:  # it is read again
            said = tenth

    return on_bytes


def add_output(parser: argparse.ArgumentParser, told: str = "the file to write; - or none is standard output") -> None:
    """Add the output file, of which help says something."""
    parser.add_argument("-o", "--output", metavar="FILE", help=told)
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def target(output: str | None, options: argparse.Namespace) -> Path | None:
    """Return the file to write; None for standard output.

    Raises:
        InvalidInput: It is the data itself, it exists, or it cannot be there.
    """
    if output in {None, "-"}:
        return None
    path = Path(str(output))
    if path.exists() and options.data != "-" and Path(options.data).exists() and path.samefile(options.data):
        raise InvalidInput(f"{path} is the data itself, which is never changed: name another file", field="-o")
    if path.exists() and not options.overwrite:
        raise InvalidInput(f"{path} exists: name another file, or replace it with --overwrite", field="-o")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"{path} cannot be written: there is no such folder, or it is one", field="-o")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"{path} cannot be written: nothing may be written in this folder", field="-o")
    return path


def write(lines: Iterable[bytes], path: Path | None, console: Console) -> int:
    """Write lines into a file, whole or not at all, or to standard output; return how many they were."""
    from gemtune.wholefile import whole_file

    count = 0
    if path is None:
        for line in lines:
            console.write(line.decode("utf-8", "replace"))
            count += 1
        return count
    with whole_file(path) as file:
        for line in lines:
            file.write(line)
            count += 1
    return count


def note(console: Console, options: argparse.Namespace, text: str) -> None:
    """Write a line for people to standard error, unless they want quiet."""
    if not options.quiet:
        for line in text.splitlines():
            console.note(line)


def finished(rows: int, options: argparse.Namespace, console: Console) -> int:
    """Return the exit code of a command that has read so many rows; that there were none is an error."""
    if rows:
        return DONE
    source = "standard input" if options.data == "-" else options.data
    console.error(f"there are no rows in {source}")
    return FAILED
