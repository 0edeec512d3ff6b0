"""How a model is asked: options that ``gemtune batch`` and ``gemtune evaluate`` share."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING

import attrs

from gemtune.cli.options import Parser, seconds, text
from gemtune.errors import InvalidInput

if TYPE_CHECKING:
    from gemtune.types import GenerationConfig

_RPD = (
    "at most N requests a day, after which the run ends; it counts this run only, so another run, including one with "
    "--resume, sends as many again"
)


def add_pace(parser: Parser) -> None:
    """Add how fast is asked."""
    pace = parser.add_argument_group("pace")
    pace.add_argument(
        "--concurrency",
        type=_concurrency,
        default="auto",
        metavar="N",
        help="requests in flight at a time: auto, or a number",
    )
    pace.add_argument("--rpm", type=number, metavar="N", help="at most N requests a minute")
    pace.add_argument("--tpm", type=number, metavar="N", help="at most N input tokens a minute")
    pace.add_argument("--rpd", type=whole, metavar="N", help=_RPD)
    pace.add_argument("--item-timeout", type=seconds, metavar="T", help="give up on a single prompt after T")


def add_framing(parser: Parser) -> None:
    """Add what goes with every prompt."""
    model = parser.add_argument_group("model")
    model.add_argument("--system", type=text, metavar="TEXT", help="a system instruction for every prompt")
    model.add_argument("--temperature", type=number, metavar="X", help="randomness, from 0 to 2")
    model.add_argument("--max-output-tokens", type=whole, metavar="N", help="the longest answer, in tokens")
    model.add_argument(
        "--generation-config", type=_object, metavar="JSON", help='other settings: \'{"topP": 0.9, "seed": 7}\''
    )


def framing_of(options: argparse.Namespace) -> dict[str, object]:
    """Return what goes with every prompt, as arguments of ``client.batch``.

    Raises:
        InvalidInput: A setting is wrong.
    """
    return {"system_instruction": options.system, "generation_config": _generation_config(options)}


def _generation_config(options: argparse.Namespace) -> GenerationConfig | None:
    from gemtune.batch.inputs import request_from_json
    from gemtune.types import GenerationConfig

    given = {"contents": "-", "generation_config": options.generation_config or {}}
    try:
        config = request_from_json(given).generation_config or GenerationConfig()
    except InvalidInput as error:
        what = error.message.partition("$.generationConfig.")[2] or error.message
        raise InvalidInput(f"--generation-config: {what}") from None
    for name in ("temperature", "max_output_tokens"):
        value = getattr(options, name)
        if value is not None:
            config = attrs.evolve(config, **{name: value})
    return None if config == GenerationConfig() else config


def number(given: str) -> float:
    """Return a number that an option was given."""
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise argparse.ArgumentTypeError(f"{given!r} is not a number")


def money(given: str) -> float:
    """Return a positive number that an option was given."""
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if 0 < value < math.inf:
        return value
    raise argparse.ArgumentTypeError(f"{given!r} is not a positive number")


def whole(given: str) -> int:
    """Return a whole number from 1 that an option was given."""
    if given.isdecimal() and int(given):
        return int(given)
    raise argparse.ArgumentTypeError(f"{given!r} is not a whole number from 1")


def _concurrency(given: str) -> int | str:
    if given == "auto":
        return given
    if given.isdecimal():
        return int(given)
    raise argparse.ArgumentTypeError(f"{given!r} is neither auto nor a whole number from 1")


def _object(given: str) -> dict[str, object]:
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    raise argparse.ArgumentTypeError(f"{given!r:.60} is not a JSON object")
