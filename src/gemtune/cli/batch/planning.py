"""``gemtune batch --plan``, and the options that say who asks, until when, and for how much."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gemtune.cli.batch.asking import money
from gemtune.cli.console import Console
from gemtune.cli.exits import DONE
from gemtune.cli.jobs.vertex import askable
from gemtune.cli.options import Parser, seconds
from gemtune.cli.running import open_client, run_async

if TYPE_CHECKING:
    from gemtune.batch.files import FileRows

EXAMPLES = """\
  gemtune batch questions.txt out.jsonl --model models/gemini-3.7-flash --engine auto --deadline 24h --plan
  gemtune batch questions.txt out.jsonl --model models/gemini-3.7-flash --engine server --finish local --resume
"""
REMARKS = """\
--engine server has batches of the service answer, for half the price and within a day or so; --engine auto chooses.
--plan prints which engine, how long, how many tokens and what they cost, and sends nothing unless --count is given.
No price is built in. --prices is a file with the prices of a million input and of a million output tokens:
  {"per_million": {"gemini-3.7-flash": [0.30, 2.50]}, "currency": "USD", "date": "2026-11-28", "source": "..."}
"""


def add_engine(parser: Parser) -> None:
    """Add the options."""
    group = parser.add_argument_group("engine, time and money")
    group.add_argument(
        "--engine",
        choices=("local", "server", "auto"),
        default="local",
        help="who asks: this process, batches of the service, or what the plan says (default: local)",
    )
    group.add_argument(
        "--finish",
        choices=("keep", "local"),
        default="keep",
        help="what becomes of rows that the service's batches did not answer: failures, or asked from here",
    )
    group.add_argument(
        "--deadline", type=seconds, metavar="T", help="when everything has to be there, such as 90m or 24h from now"
    )
    group.add_argument(
        "--budget", type=money, metavar="X", help="what may be spent; needs --prices, and ends a local run there"
    )
    group.add_argument("--prices", metavar="FILE", help="a JSON file with prices by model")
    group.add_argument("--plan", action="store_true", help="print what it would take, and do nothing")
    group.add_argument(
        "--count", type=_number_of, default=0, metavar="N", help="for --plan, let the service count so many prompts"
    )
    group.add_argument(
        "--answer-tokens", type=money, metavar="N", help="for --plan, how many tokens an answer has on average"
    )


def show_plan(options: argparse.Namespace, console: Console, rows: FileRows, batch: Mapping[str, Any]) -> int:
    """Print the plan of a batch, and return the exit code.

    Args:
        options: Of the command line.
        console: Where to print.
        rows: The INPUT.
        batch: Arguments of ``client.batch``.
    """

    async def plan() -> int:
        async with open_client(options) as client:
            model = await askable(client, options.model)
            found = await client.batch(model, rows, **batch).plan(
                count=options.count, output_tokens=options.answer_tokens
            )
        if console.json:
            console.json_line(json.dumps(found.to_dict()))
        else:
            console.print(str(found))
        return DONE

    return run_async(plan)


def _number_of(given: str) -> int:
    if given.isdecimal():
        return int(given)
    raise argparse.ArgumentTypeError(f"{given!r} is not a whole number, 0 or more")
