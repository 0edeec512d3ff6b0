"""``gemtune completion``: what a shell needs to complete commands, options and files (with shtab, extra ``cli``)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, USAGE
from gemtune.cli.options import Commands, add_parser

_EXAMPLES: Final = """\
  source <(gemtune completion bash)         for this shell only
  gemtune completion bash > gemtune         into ~/.local/share/bash-completion/completions
  gemtune completion zsh > _gemtune         into a folder of your fpath
  gemtune completion fish > gemtune.fish    into ~/.config/fish/completions
"""
_FILES: Final = frozenset({"data", "input", "output", "validation", "file", "report", "space", "prices"})
"""What holds a file, by its name among the options."""
_METAVARS: Final = frozenset({"DATA", "INPUT", "OUTPUT", "FILE", "X|FILE", "PATH"})


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_parser(commands, "completion", "print a script that lets your shell complete gemtune", _EXAMPLES)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="your shell")
    parser.set_defaults(run=_run, json=False, no_color=True)


def _run(options: argparse.Namespace, console: Console) -> int:
    try:
        import shtab
    except ImportError:
        console.error("completion needs shtab: pip install 'gemtune[cli]'")
        return USAGE
    from gemtune.cli.program import make_parser

    parser = make_parser()
    for action in _actions(parser):
        # An option of a column may be called input as well: those that hold a file show it in capitals.
        if action.dest in _FILES and action.metavar in _METAVARS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    console.write(shtab.complete(parser, options.shell) + "\n")
    return DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return the arguments of a parser and of all its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
