"""The program itself: the table of commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Final

from gemtune._version import __version__
from gemtune.cli import completion, dashboard, emulator, generate, settings, tune
from gemtune.cli.batch import command as batch
from gemtune.cli.batches import command as batches
from gemtune.cli.console import Console, NoteHandler
from gemtune.cli.data import command as data
from gemtune.cli.demo import command as demo
from gemtune.cli.evaluate import command as evaluate
from gemtune.cli.exits import CODES, USAGE, exit_code
from gemtune.cli.jobs import command as jobs
from gemtune.cli.options import Commands, Parser
from gemtune.cli.remedies import worded
from gemtune.cli.sweep import command as sweep
from gemtune.errors import GemtuneError
from gemtune.telemetry.logs import wanted_level

COMMANDS: Final[tuple[Callable[[Commands], None], ...]] = (
    demo.add,
    tune.add,
    sweep.add,
    jobs.add,
    generate.add,
    evaluate.add,
    batch.add,
    batches.add,
    data.add,
    dashboard.add,
    settings.add,
    emulator.add,
    completion.add,
)

_EPILOG = f"""\
start here:
  gemtune demo                    Google's tuning tutorial against the bundled emulator, no account needed
  gemtune tune rows.csv --base models/gemini-1.0-pro-001 --wait
  gemtune generate "LXIII" --model tunedModels/my-model
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --epochs 2,4,8 --metric exact_match

{CODES}Set GEMTUNE_DEBUG=1 to see tracebacks, and GEMTUNE_LOG=debug to see each request.
"""


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="gemtune",
        description="Tune Gemini models, watch the tuning jobs, and use the tuned models.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gemtune {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    for add in COMMANDS:
        add(commands)
    return parser


def run(argv: list[str]) -> int:
    """Run a command line, without the program's name, and return the exit code."""
    parser = make_parser()
    if argv[:1] == ["emulator"]:  # its options are its own
        return _guarded(Console(deed=not {"-h", "--help"}.intersection(argv)), lambda _: emulator.serve(argv[1:]))
    try:
        options, left = parser.parse_known_args(argv)
        if left:
            getattr(options, "parser", parser).refuse(left)
        if options.command is None:
            parser.print_help(sys.stderr)
            return USAGE
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else USAGE
    except (GemtuneError, BrokenPipeError) as error:  # help that could not be written
        return _report(Console(), error)
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    console = Console(json=options.json, color=not options.no_color, quiet=getattr(options, "quiet", False))
    return _guarded(console, lambda console: options.run(options, console), options)


def _guarded(console: Console, command: Callable[[Console], int], options: argparse.Namespace | None = None) -> int:
    """Run a command, and turn whatever it raises into one line and an exit code."""
    handler = NoteHandler(console)
    logger = logging.getLogger("gemtune")
    logger.addHandler(handler)
    wanted = wanted_level(os.environ)
    if wanted is not None:
        handler.setLevel(wanted)
        logger.setLevel(wanted)
    try:
        return command(console)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: one line, never a traceback
        return _report(console, error, options)
    finally:
        logger.removeHandler(handler)


def _report(console: Console, error: BaseException, options: argparse.Namespace | None = None) -> int:
    if os.environ.get("GEMTUNE_DEBUG", "") not in {"", "0"}:
        traceback.print_exception(error, file=console.err)
    match error:
        case BrokenPipeError():
            pass  # as for a program that SIGPIPE ends; its reader has seen enough
        case KeyboardInterrupt():
            console.note("interrupted")
        case GemtuneError():
            console.error(worded(error, options))
        case OSError():
            console.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        case _:
            console.error(
                f"{type(error).__name__}: {error} (this should not happen; run it again with GEMTUNE_DEBUG=1 and "
                "report it)"
            )
    return exit_code(error)
