"""``gemtune data stats`` and ``estimate``: how much training data there is, and what tuning on it takes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gemtune.cli.console import Console
from gemtune.cli.data.given import add_data, file_options, finished, wanted
from gemtune.cli.options import MODEL, Commands, add_command, common_options
from gemtune.cli.running import open_client, run_async
from gemtune.errors import InvalidInput

if TYPE_CHECKING:
    from gemtune.datasets import Estimate

_STATS = """\
  gemtune data stats rows.csv
"""
_ESTIMATE = """\
  gemtune data estimate rows.csv --epochs 3 --price 5.00
  gemtune data estimate rows.jsonl --epochs 3 --batch-size 4 --json
  gemtune data estimate rows.jsonl --epochs 3 --count 50 --model models/gemini-1.0-pro-001
"""
_REMARKS = """
No price is built in: give that of a million tokens with --price, or a file with --prices:
  {"per_million": {"gemini-2.5-flash": 5.00}, "currency": "USD", "date": "2026-11-28", "source": "..."}
Tokens are guessed from characters. With --count, the service counts those of a random sample; that needs a credential.
"""
EXAMPLES = _STATS + _ESTIMATE


def add(commands: Commands) -> None:
    """Add the commands."""
    told = "show how many examples training data has, and how long they are"
    parser = add_command(commands, "stats", _stats, told, _STATS, common=file_options())
    add_data(parser)
    told = "estimate what tuning takes: tokens, steps, and the cost by your price"
    parser = add_command(commands, "estimate", _estimate, told, _ESTIMATE + _REMARKS, common=common_options())
    add_data(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="write nothing to standard error but errors")
    parser.add_argument("--model", metavar="MODEL", help=f"the model that will be tuned: {MODEL}")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes through the data")
    parser.add_argument("--batch-size", type=int, metavar="N", help="examples per step")
    prices = parser.add_mutually_exclusive_group()
    prices.add_argument("--price", type=float, metavar="X", help="the price of a million tokens")
    prices.add_argument("--prices", metavar="FILE", help="a JSON file with prices by model")
    parser.add_argument("--count", type=int, metavar="N", help="let the service count the tokens of so many examples")


def _stats(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import stats

    figures = stats(options.data, **wanted(options, console))
    console.print(str(figures))
    console.record(figures.to_dict())
    return finished(figures.examples, options, console)


def _estimate(options: argparse.Namespace, console: Console) -> int:
    from gemtune.datasets import PriceList, estimate

    prices = options.price if options.prices is None else PriceList.of(options.prices)
    given: dict[str, Any] = {"epochs": options.epochs, "batch_size": options.batch_size, "prices": prices}
    given |= wanted(options, console)
    if options.count is not None:
        if options.model is None:
            raise InvalidInput("--count asks a model: name it", field="--model")
        return run_async(_counted, options, console, given, limit=options.timeout)
    return _shown(estimate(options.data, model=options.model, **given), options, console)


async def _counted(options: argparse.Namespace, console: Console, given: dict[str, Any]) -> int:
    from gemtune.datasets import estimate_with

    async with open_client(options) as client:
        found = await estimate_with(client, options.data, model=options.model, examples=options.count, **given)
    return _shown(found, options, console)


def _shown(found: Estimate, options: argparse.Namespace, console: Console) -> int:
    console.print(str(found))
    console.record(found.to_dict())
    return finished(found.examples, options, console)
