"""``gemtune data convert``: training data from one layout into another."""

from __future__ import annotations

import argparse
import shlex

from gemtune.cli.console import Console
from gemtune.cli.data.given import add_data, add_output, file_options, finished, note, target, wanted, write
from gemtune.cli.exits import FAILED
from gemtune.cli.options import Commands, add_command
from gemtune.cli.remedies import in_shell
from gemtune.errors import InvalidInput

_TO = ("vertex", "gemini", "openai", "sharegpt", "alpaca", "pairs", "preference")

EXAMPLES = """\
  gemtune data convert openai.jsonl --to vertex -o train.jsonl
  gemtune data convert rows.csv --to openai
  gemtune data convert openai.jsonl --to vertex --weights learn --overwrite -o train.jsonl
"""
_REMARKS = """
The layout of DATA is found out. What a row loses is said on standard error, or with --json and -o on standard output.
Exit code 1 says that rows could not be converted and were left out; the others are written.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    told = "convert training data, such as OpenAI's, from any layout into another"
    parser = add_command(commands, "convert", _run, told, EXAMPLES + _REMARKS, common=file_options())
    add_data(parser)
    parser.add_argument(
        "--to",
        required=True,
        choices=_TO,
        help="vertex: to tune on Vertex AI; gemini: requests, with files anywhere; openai; sharegpt; alpaca; pairs: to "
        "tune on the Gemini API; preference: prompt, chosen, rejected",
    )
    parser.add_argument("--files", metavar="FOLDER", help="a folder for images that stand in DATA itself")
    parser.add_argument(
        "--files-uri", metavar="URI", help="where you will put that folder's files, such as gs://bucket/images"
    )
    add_output(parser)


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import convert
    from gemtune.datasets.dataset import TABLES

    if (options.files is None) != (options.files_uri is None):
        what = "--files and --files-uri belong together: a folder, and where you will put it"
        raise InvalidInput(what, field="--files")
    path = target(options.output, options)
    given = wanted(options, console)
    conversion = convert(options.data, to=options.to, files=options.files, files_uri=options.files_uri, **given)
    delimiter = None if path is None else TABLES.get(path.suffix.lower())
    write(conversion.lines() if delimiter is None else conversion.table(delimiter), path, console)
    note(console, options, conversion.worded(in_shell))
    if path is not None:
        console.record(conversion.to_dict())
        if options.files is not None:
            there = shlex.join(["gcloud", "storage", "cp", "-r", f"{options.files.rstrip('/')}/*", options.files_uri])
            note(console, options, f"put the files in their place with: {there}")
        if options.to == "vertex" and conversion.rows:
            method = ["--method", "preference"] if conversion.data.method == "preference" else []
            tune = shlex.join(["gemtune", "tune", str(path), "--vertex", *method, "--base"])
            note(console, options, f"tune on it with: {tune} MODEL --bucket BUCKET")
    return FAILED if conversion.left_out else finished(conversion.rows, options, console)
