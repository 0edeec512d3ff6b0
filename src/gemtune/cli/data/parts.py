"""``gemtune data split``, ``dedupe`` and ``sample``: parts of training data, every row as it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gemtune.cli.console import Console
from gemtune.cli.data.given import add_data, add_output, file_options, finished, note, target, wanted, write
from gemtune.cli.exits import DONE
from gemtune.cli.options import Commands, add_command
from gemtune.errors import InvalidInput

if TYPE_CHECKING:
    from gemtune.datasets import DataSet

_SPLIT = """\
  gemtune data split rows.csv --validation 0.2 -o train.jsonl --validation-output validation.jsonl
"""
_SPLIT_REMARKS = """
Each row's side follows from its question and the seed alone: the same split on every machine, and rows that are added
later move no other row. Rows that are alike stand on one side. The share is met on average.
"""
_DEDUPE = """\
  gemtune data dedupe rows.jsonl -o new.jsonl
  gemtune data dedupe rows.jsonl --near 0.8
"""
_SAMPLE = """\
  gemtune data sample rows.jsonl 2 --seed 7
  gemtune data sample rows.csv 0.5 -o new.csv
"""
EXAMPLES = _SPLIT + _DEDUPE + _SAMPLE


def add(commands: Commands) -> None:
    """Add the commands."""
    _add_split(commands)
    told = "leave out the rows of training data that come again"
    parser = add_command(commands, "dedupe", _dedupe, told, _DEDUPE, common=file_options())
    add_data(parser)
    _add_near(parser, "leave out rows that are nearly the same as well: 0.9 is strict, 0.7 is bold")
    add_output(parser)
    told = "take some rows of training data at random"
    parser = add_command(commands, "sample", _sample, told, _SAMPLE, common=file_options())
    add_data(parser)
    parser.add_argument("size", type=_size, metavar="SIZE", help="how many rows, or which share of them, such as 0.1")
    parser.add_argument("--seed", default="0", metavar="S", help="another seed takes other rows (default: %(default)s)")
    add_output(parser)


def _add_split(commands: Commands) -> None:
    told = "split training data into a part to train on and one to validate with"
    parser = add_command(commands, "split", _split, told, _SPLIT + _SPLIT_REMARKS, common=file_options())
    add_data(parser)
    parser.add_argument(
        "--validation", type=float, default=0.1, metavar="X", help="the share for validation (default: %(default)s)"
    )
    parser.add_argument("--seed", default="0", metavar="S", help="another seed gives another split")
    parser.add_argument("--group-by", metavar="COLUMN", help="the column whose rows of one value stand on one side")
    _add_near(parser, "how far the words of alike rows agree (default: 0.8); 1 counts equal ones only")
    add_output(parser, "the file for the part to train on")
    parser.add_argument("--validation-output", metavar="FILE", required=True, help="the file for the other part")


def _add_near(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument("--near", type=float, metavar="X", help=told)


def _size(text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, nor a share such as 0.1") from None


def _split(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import split

    if options.output is None:
        raise InvalidInput("name the file for the part to train on", field="-o")
    paths = [target(each, options) for each in (options.output, options.validation_output)]
    if len({path and path.resolve() for path in paths}) == 1:
        raise InvalidInput("both parts go to the same file: name two", field="--validation-output")
    near = 0.8 if options.near is None else options.near
    parts = split(
        options.data,
        validation=options.validation,
        seed=options.seed,
        group_by=options.group_by,
        near=near,
        **wanted(options, console),
    )
    both = zip((parts.train, parts.validation), paths, strict=True)
    count = sum([_written(data, path, console) for data, path in both])
    note(console, options, str(parts))
    if all(path is not None for path in paths):
        console.record(parts.to_dict())
    return finished(count, options, console)


def _dedupe(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import dedupe

    path = target(options.output, options)
    found = dedupe(options.data, near=options.near, **wanted(options, console))
    _written(found.data, path, console)
    note(console, options, str(found))
    if path is not None:
        console.record(found.to_dict())
    return finished(found.rows + found.wrong, options, console)


def _sample(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import sample

    path = target(options.output, options)
    count = _written(sample(options.data, options.size, seed=options.seed, **wanted(options, console)), path, console)
    note(console, options, f"{count:,} row{'' if count == 1 else 's'}")
    if path is not None:
        console.record({"rows": count})
    return DONE


def _written(data: DataSet, path: Path | None, console: Console) -> int:
    """Write the rows of a set as they are, and return how many they are."""
    return write(data.lines(), None, console) if path is None else data.write(path)
