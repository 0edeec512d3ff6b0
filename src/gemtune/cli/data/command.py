"""The commands of ``gemtune data``."""

from __future__ import annotations

from typing import Final

from gemtune.cli.data import checking, converting, figures, parts
from gemtune.cli.options import Commands, Parser, add_parser

_ACTIONS: Final = (checking, converting, parts, figures)


def add(commands: Commands) -> None:
    """Add the group and its commands."""
    examples = "".join(each.EXAMPLES for each in _ACTIONS)
    group = add_parser(commands, "data", "check, convert and measure training data before you tune", examples)
    actions = group.add_subparsers(metavar="ACTION", dest="action", parser_class=Parser, required=True)
    for each in _ACTIONS:
        each.add(actions)
