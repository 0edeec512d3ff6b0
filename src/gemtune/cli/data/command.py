"""The commands of ``gemtune data``."""

from __future__ import annotations

from gemtune.cli.data import checking
from gemtune.cli.options import Commands, Parser, add_parser

_EXAMPLES = """\
  gemtune data check rows.csv
"""


def add(commands: Commands) -> None:
    """Add the group and its commands."""
    group = add_parser(commands, "data", "check, convert and measure training data before you tune", _EXAMPLES)
    actions = group.add_subparsers(metavar="ACTION", dest="action", parser_class=Parser, required=True)
    for add_action in (checking.add,):
        add_action(actions)
