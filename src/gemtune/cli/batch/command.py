"""``gemtune batch``: ask a model everything in a file."""

from __future__ import annotations

import argparse
import math
from typing import Final

from gemtune.cli.batch.asking import add_framing, add_pace, framing_of
from gemtune.cli.batch.bar import Bar
from gemtune.cli.batch.output import Target
from gemtune.cli.batch.planning import EXAMPLES, REMARKS, add_engine, show_plan
from gemtune.cli.batch.session import Session
from gemtune.cli.batch.table import check_table
from gemtune.cli.console import Console
from gemtune.cli.exits import CODES
from gemtune.cli.options import MODEL, Commands, Parser, add_command, text
from gemtune.errors import InvalidInput

_EXAMPLES = f"""\
  gemtune batch questions.txt answers.jsonl --model tunedModels/my-model
  gemtune batch rows.csv out.jsonl --model models/gemini-3.7-flash --template "Translate {{text}} to {{language}}"
  gemtune batch requests.jsonl out.jsonl --model models/gemini-3.7-flash --resume
  gemtune batch requests.jsonl - --model models/gemini-3.7-flash --rpm 600 > out.jsonl
  gemtune batch <(zcat rows.jsonl.gz) out.jsonl --model models/gemini-3.7-flash --format jsonl
{EXAMPLES}
INPUT holds one prompt per line, rows of CSV or JSONL, or {{"key", "request"}} lines in the form of the service's own
batches. Labels beside a prompt, or beside the contents of a request, are not sent. OUTPUT gets {{"key", "response"}}
or {{"key", "error"}} lines. If it ends with .csv or .tsv, it is a table with the columns of INPUT, then answer and
error. Until OUTPUT is complete, answers are kept in OUTPUT.journal; --resume continues from it.
--json writes one object with the counts, including for a run that ends early: "stopped" says why it did, and
"reset_after", if known, in how many seconds it can continue.

{REMARKS}
{CODES}"""
_PASSED: Final = (
    "concurrency", "rpm", "tpm", "rpd", "order", "timeout", "item_timeout", "accept", "max_failures",
    "engine", "finish", "deadline", "budget", "prices",
)  # fmt: skip


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "batch", _run, "ask a model everything in a file", _EXAMPLES)
    parser.add_argument("input", metavar="INPUT", help="a JSONL, CSV, TSV or text file; - is standard input")
    parser.add_argument("output", metavar="OUTPUT", help="the JSONL, CSV or TSV file to write; - is standard output")
    parser.add_argument("--model", required=True, metavar="M", help=MODEL)
    parser.add_argument("--resume", action="store_true", help="continue from OUTPUT.journal, if there is one")
    add_engine(parser)
    add_pace(parser)
    _add_failures(parser)
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--format", choices=("jsonl", "csv", "tsv", "text"), help="the format of INPUT (default: by its suffix)"
    )
    rows.add_argument(
        "--delimiter",
        metavar="C",
        help="what separates the columns of a table, such as ';' (default: a comma; a tab in TSV)",
    )
    rows.add_argument("--prompt-column", metavar="C", help="the column or field with the prompt (default: prompt)")
    rows.add_argument("--key-column", metavar="C", help="the column or field with the row's key (default: key)")
    rows.add_argument("--template", type=text, metavar="T", help='build the prompt from columns: "Translate {text}"')
    rows.add_argument(
        "--order", choices=("input", "completed"), default="input", help="the order of OUTPUT (default: that of INPUT)"
    )
    add_framing(parser)


def _add_failures(parser: Parser) -> None:
    failures = parser.add_argument_group("failures")
    failures.add_argument(
        "--accept",
        type=_reasons,
        metavar="REASONS",
        help="only replies with these finish reasons are answers, such as STOP,MAX_TOKENS; the others are asked again, "
        "now and with --resume (default: all that are not empty)",
    )
    failures.add_argument(
        "--max-failures",
        type=_most,
        metavar="N",
        help="end the run once more than N rows have failed, or more than a share of them, such as 5%%",
    )


def _reasons(given: str) -> list[str]:
    return [reason.strip().upper() for reason in given.split(",") if reason.strip()]


def _most(given: str) -> float:
    try:
        share = float(given.removesuffix("%")) / 100 if given.endswith("%") else float(given)
    except ValueError:
        share = math.nan
    if share >= 0 and share.is_integer() and not given.endswith("%"):
        return int(share)
    if 0 < share < 1:
        return share
    raise argparse.ArgumentTypeError(f"{given!r} is neither a whole number from 0 nor a share such as 5%")


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.cli.signals import interruptible

    with interruptible():
        return _batch(options, console)


def _batch(options: argparse.Namespace, console: Console) -> int:
    from gemtune.batch.files import FileRows
    from gemtune.batch.layout import Layout

    if options.template is not None and options.prompt_column is not None:
        raise InvalidInput("give --template or --prompt-column, not both")
    layout = Layout(prompt=options.prompt_column, key=options.key_column, template=options.template)
    rows = FileRows(options.input, layout, options.format, options.delimiter)
    target = Target(options.output, resume=options.resume)
    rows.check()
    if options.plan:
        held = target.kept if options.resume else None
        return show_plan(options, console, rows, {**_passed(options), "journal": held})
    target.check(options.input)
    check_table(rows, options.output, options.order)
    console.deed = target.journal is not None
    console.check()
    bar = Bar(console, quiet_output=target.journal is not None)
    if bar.drawn and rows.again:  # only somebody who watches wants to know how much is left, and it reads the file
        rows.count()
    # OUTPUT is written from the journal once the run is over: handing over what is in it would only take time.
    batch = {**_passed(options), "journal": target.journal, "resume": "rest"}
    return Session(options, console, rows, target, bar, batch).run()


def _passed(options: argparse.Namespace) -> dict[str, object]:
    """Return the arguments of ``client.batch``."""
    batch = {name: getattr(options, name) for name in _PASSED}
    if options.prices is not None:
        from gemtune.batch import TokenPrices

        batch["prices"] = TokenPrices.of(options.prices)  # a file is read before there is a loop
    return batch | framing_of(options)
