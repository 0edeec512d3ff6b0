"""``gemtune emulator``: a local Gemini API, Vertex AI and Cloud Storage on a socket."""

from __future__ import annotations

from collections.abc import Sequence

from gemtune.cli.options import Commands, Parser


def add(commands: Commands) -> None:
    """Add the command to the overview; its options are those of ``gemtune.emulator.serve``."""
    commands.add_parser("emulator", help="run a local Gemini API, Vertex AI and Cloud Storage", add_help=False)


def serve(argv: Sequence[str]) -> int:
    """Serve until interrupted and return the exit code."""
    from gemtune.emulator.serve import main

    try:
        return main(argv, Parser)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 2
