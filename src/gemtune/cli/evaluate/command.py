"""``gemtune evaluate``: which of some models answers held-out rows best."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from gemtune.cli.batch.asking import add_framing, add_pace, framing_of, whole
from gemtune.cli.console import Console
from gemtune.cli.data.given import target
from gemtune.cli.evaluate.metrics import add_metrics, metrics_of
from gemtune.cli.exits import CODES
from gemtune.cli.options import MODEL, Commands, add_columns, add_command, columns_of, common_options
from gemtune.errors import InvalidInput

_EXAMPLES: Final = f"""\
  gemtune evaluate rows.csv --model models/gemini-1.0-pro-001 --model tunedModels/my-model
  gemtune evaluate rows.csv --model before=my-model --model after=another-model --metric labels --changed 3
  gemtune evaluate rows.csv --model my-model --output scored.csv
  gemtune evaluate rows.csv --model my-model --model another-model --journal asked --resume --json
  gemtune evaluate rows.csv --model my-model --model another-model --judge models/gemini-3.7-flash

DATA is what gemtune tune takes, with rows that no model was trained on: gemtune data split puts some aside. Each model
is asked every row. Scores have 95 % confidence intervals, and each model is compared with the first one, or with
--baseline, by a paired test.

Without --journal, an evaluation that is interrupted begins again. With it every answer is kept, and --resume asks only
what is missing: rows, and models that were added.

The table goes to standard output, progress to standard error. --json writes one object for each model, then one for
each comparison ("kind" says which it is), then one for each row of --changed. All rows with their answers are in
--output: the whole evaluation if it ends with .json, or else a line for each row (.jsonl, .csv, .tsv).
--prices is a file with the prices of a million input and of a million output tokens:
  {{"per_million": {{"gemini-3.7-flash": [0.30, 2.50]}}, "currency": "USD", "date": "2026-11-28", "source": "..."}}

{CODES}"""
_ENDINGS: Final = (".json", ".jsonl", ".csv", ".tsv")


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("give up after this long (30, 30s, 5m, 2h); with --journal, --resume continues")
    parser = add_command(commands, "evaluate", _run, "compare models on held-out examples", _EXAMPLES, common=common)
    parser.add_argument("data", metavar="DATA", help="a CSV, TSV, JSONL or JSON file of held-out examples")
    add_columns(parser)
    parser.add_argument("--key-column", metavar="NAME", help="the column with the row's key (default: key or id)")
    parser.add_argument(
        "--model",
        type=_model,
        action="append",
        required=True,
        metavar="M",
        help=f"a model, or LABEL=M to give it a name in the table; repeat it for each model: {MODEL}",
    )
    parser.add_argument(
        "--baseline", metavar="LABEL", help="the model with which the others are compared (default: the first)"
    )
    add_metrics(parser)
    parser.add_argument("--limit", type=whole, metavar="N", help="only the first N rows")
    parser.add_argument(
        "--changed", type=whole, metavar="N", help="show N rows side by side that a model does better, and N worse"
    )
    parser.add_argument("--journal", metavar="FOLDER", help="a folder that keeps every answer")
    parser.add_argument("--resume", action="store_true", help="continue from --journal, if it is there")
    parser.add_argument("--prices", metavar="FILE", help="a JSON file with prices by model, to say what it cost")
    parser.add_argument("--output", metavar="FILE", help="a file for all rows and answers: .json, .jsonl, .csv or .tsv")
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress: only the table")
    add_pace(parser)
    add_framing(parser)
    parser.set_defaults(wording={"journal": "--journal"})


def _model(given: str) -> tuple[str, str]:
    """Return a label, which may be empty, and a name."""
    label, equals, name = given.partition("=")
    if not equals or "/" in label:
        return "", given
    if not label or not name:
        raise argparse.ArgumentTypeError(f"{given!r} is neither a model nor LABEL=MODEL")
    return label, name


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.cli.evaluate.session import EvaluateSession

    _check(options)
    output = target(options.output, options)
    given = {
        **columns_of(options),
        **framing_of(options),
        "key": options.key_column,
        "metrics": metrics_of(options),
        "journal": options.journal,
        "limit": options.limit,
        **{name: getattr(options, name) for name in ("concurrency", "rpm", "tpm", "rpd", "item_timeout", "timeout")},
    }
    if options.prices is not None:
        from gemtune.batch import TokenPrices

        given["prices"] = TokenPrices.of(options.prices)  # a file is read before there is a loop
    console.check()
    return EvaluateSession(options, console, given, output).run()


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read or asked."""
    names = [label for label, _ in options.model if label]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"two models are called {twice[0]!r}: give each a name of its own")
    if options.resume and options.journal is None:
        raise InvalidInput("--resume continues from a folder: name it with --journal")
    if options.journal is not None:
        check_journal(Path(options.journal), resume=options.resume)
    if options.changed is not None and len(options.model) < 2:
        raise InvalidInput("rows change between two models: name another with --model")
    if options.judge is not None and len(options.model) < 2:
        raise InvalidInput("--judge compares the answers of models: name another with --model")
    if options.output is not None and Path(options.output).suffix.lower() not in _ENDINGS:
        ends = f"{', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}"
        raise InvalidInput(f"{options.output} must end with {ends}, which says what it is to hold")


def check_journal(journal: Path, *, resume: bool) -> None:
    """Refuse a journal that cannot be one, or that would be continued by mistake.

    Args:
        journal: The folder.
        resume: Whether it may be continued.

    Raises:
        InvalidInput: It cannot be used.
    """
    if journal.exists() and not journal.is_dir():
        raise InvalidInput(f"{journal} is a file, and a journal is a folder: name another with --journal")
    if not journal.parent.is_dir():
        raise InvalidInput(f"there is no folder {journal.parent}: make it, or name another with --journal")
    if journal.is_dir() and any(journal.iterdir()) and not resume:
        raise InvalidInput(
            f"{journal} holds what an earlier run has done: --resume continues from there; to begin again, remove it "
            "or name another with --journal"
        )
