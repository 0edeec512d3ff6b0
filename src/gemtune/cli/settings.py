"""``gemtune settings``: what the SDK is set to, and where each setting comes from."""

from __future__ import annotations

import argparse

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE
from gemtune.cli.options import Commands, add_command
from gemtune.cli.running import open_client

_EXAMPLES = """\
  gemtune settings
  GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:8080 gemtune settings
"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "settings", _run, "show the settings and where each comes from", _EXAMPLES)


def _run(options: argparse.Namespace, console: Console) -> int:
    for entry in open_client(options).settings:
        console.print(str(entry))
        console.record({"name": entry.name, "value": entry.shown, "source": entry.source})
    return DONE
