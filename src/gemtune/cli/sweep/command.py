"""``gemtune sweep``: which hyperparameters, and is it better than the base model?"""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any, Final

from gemtune.cli.batch.asking import money, whole
from gemtune.cli.console import Console
from gemtune.cli.evaluate.command import check_journal
from gemtune.cli.evaluate.metrics import add_metrics, metrics_of
from gemtune.cli.exits import CODES
from gemtune.cli.options import MODEL, Commands, Parser, add_columns, add_command, columns_of, common_options, text
from gemtune.cli.sweep.space import add_space
from gemtune.errors import InvalidInput

_EXAMPLES: Final = f"""\
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --epochs 2,4,8 --rate 0.5,1,2
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --space space.yaml --stop forecast --resume
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --epochs 1..8 --rate 0.1..10:log --study tpe --max-jobs 6
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --epochs 2,4 --token-budget 500000 --plan
  gemtune sweep rows.jsonl --vertex --project my-project --bucket my-bucket --base gemini-2.5-flash --adapter 4,8
  gemtune sweep rows.csv --base models/gemini-1.0-pro-001 --epochs 2,4 --validation more.jsonl --metric labels --json

DATA is what gemtune tune takes. A tenth of it is put aside for validation, unless --validation says otherwise. Every
combination of the values is a point, with a tuning job of its own; --space is a YAML or JSON file with the same:
  epoch_count: [2, 4, 8]
  learning_rate_multiplier: [0.5, 1, 2]
With --study, Optuna chooses the points, of values or of ranges: LOW..HIGH, and :log for a logarithmic one.

Points are ranked by --objective. --metric asks the models that were trained the validation rows, and at the end the
base model as well, to say whether the best is better than it.

Ctrl-C, a time-out or a kill end the command and none of its jobs. What was begun stands in --journal; --resume takes it
up again and creates no job twice. Jobs are cancelled by --stop or the study alone, and each is reported.
--budget and --token-budget are never exceeded: a point that does not fit is left out. --prices is a file with the price
of a million training tokens:
  {{"per_million": {{"gemini-2.5-flash": 5.00}}, "currency": "USD", "date": "2026-11-28", "source": "..."}}

The leaderboard goes to standard output, progress to standard error. --json writes an object for each event as it comes,
and at the end one of the whole sweep, whose "kind" is "sweep". -q prints the name of the best model only.

{CODES}"""

_RULES: Final = ("forecast", "median", "diverging", "overfitting", "halving")
_TITLE: Final = 30
"""Characters of a sweep's title: a job's name has 40, and ends with the point's number."""


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("stop following the jobs after this long (30, 30s, 5m, 2h); they continue")
    told = "tune with many hyperparameters, and find the best model"
    parser = add_command(commands, "sweep", _run, told, _EXAMPLES, common=common)
    parser.add_argument("data", metavar="DATA", help="a file of training examples")
    add_columns(parser)
    parser.add_argument("--base", required=True, metavar="MODEL", help=f"the model to tune: {MODEL}")
    parser.add_argument(
        "--validation",
        type=_validation,
        default=0.1,
        metavar="X|FILE",
        help="the share of DATA that is put aside for validation, or a file for it (default: 0.1)",
    )
    parser.add_argument("--title", type=text, metavar="TEXT", help="what the sweep is called (default: DATA)")
    parser.add_argument("--journal", metavar="FOLDER", help="what it has begun stands there (default: DATA.sweep)")
    parser.add_argument("--resume", action="store_true", help="continue from the journal, if it is there")
    parser.add_argument("--plan", action="store_true", help="print what it would take, and do nothing")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the best model's name only, and no progress")
    add_space(parser)
    _add_ranking(parser)
    _add_limits(parser)
    _add_vertex(parser)
    parser.set_defaults(
        wording={"journal": "--journal", "learning_rate_multiplier": "--rate", "adapter_size": "--adapter"}
    )


def _add_ranking(parser: Parser) -> None:
    group = parser.add_argument_group("ranking")
    add_metrics(group, "default: none on Vertex AI, and exact_match on the Gemini API, which measures no eval_loss")
    group.add_argument(
        "--objective",
        metavar="O",
        help="what points are ranked by: eval_loss, loss, or a metric (default: the first --metric, or else eval_loss)",
    )
    group.add_argument(
        "--stop",
        type=_rule,
        action="append",
        metavar="RULE",
        help=f"cancel the jobs of points that a rule gives up: {', '.join(_RULES)}; can be repeated, and forecast is "
        "the one to begin with",
    )


def _add_limits(parser: Parser) -> None:
    group = parser.add_argument_group("how many, and for how much")
    group.add_argument("--max-jobs", type=whole, metavar="N", help="the most points; a study needs it")
    group.add_argument(
        "--concurrency",
        type=whole,
        metavar="N",
        help="points at a time (default: as many as the quota allows; with a study 4)",
    )
    group.add_argument(
        "--budget", type=money, metavar="X", help="the most money to spend on training and evaluations; needs --prices"
    )
    group.add_argument(
        "--token-budget", type=whole, metavar="N", help="the most training tokens; those of evaluations are not in it"
    )
    group.add_argument(
        "--prices",
        metavar="FILE",
        help='a JSON file with prices by model; its "asking" says what evaluations cost, which are not counted without',
    )


def _add_vertex(parser: Parser) -> None:
    from gemtune.cli.tune import label

    group = parser.add_argument_group("on Vertex AI only")
    group.add_argument("--checkpoints", choices=("all", "last"), help="which checkpoints to keep")
    group.add_argument(
        "--label", type=label, action="append", metavar="KEY=VALUE", help="a label for each job; can be repeated"
    )
    group.add_argument("--service-account", metavar="EMAIL", help="the account that reads the data")
    group.add_argument("--kms-key", metavar="NAME", help="the key that encrypts the models")


def _rule(given: str) -> str:
    if given in _RULES:
        return given
    near = difflib.get_close_matches(given, _RULES, 1)
    meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(_RULES)}"
    raise argparse.ArgumentTypeError(f"there is no rule {given!r}; {meant}")


def _validation(given: str) -> float | str:
    try:
        share = float(given)
    except ValueError:
        return given
    if 0 < share < 1:
        return share
    raise argparse.ArgumentTypeError(f"{given!r} is neither a share between 0 and 1 nor a file")


def journal_of(options: argparse.Namespace) -> Path:
    """Return the folder of the journal.

    Raises:
        InvalidInput: Standard input has no place beside which it could be.
    """
    if options.journal is not None:
        return Path(options.journal)
    if options.data == "-":
        raise InvalidInput("standard input has no folder: name one with --journal, for what the sweep has begun")
    return Path(f"{options.data}.sweep")


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.cli.sweep.session import SweepSession, show_plan
    from gemtune.cli.sweep.space import flags_given, space_of

    if options.space is None:  # what is wrong in the space is said of what was typed
        options.wording = {**options.wording, "space": flags_given(options)}
    given: dict[str, Any] = {
        **columns_of(options),
        "space": space_of(options),
        "validation": options.validation,
        "metrics": metrics_of(options) if options.metric or options.judge else (),
        "stop": options.stop,
        "prices": _prices(options),
        "title": options.title or Path(options.data).name[:_TITLE] or None,
        "labels": dict(options.label) if options.label else None,
        **{
            name: getattr(options, name)
            for name in ("max_jobs", "concurrency", "objective", "budget", "token_budget", "seed", "checkpoints",
                         "service_account", "kms_key")
        },
    }  # fmt: skip
    if options.plan:
        return show_plan(options, console, given)
    journal = journal_of(options)
    check_journal(journal, resume=options.resume)
    console.deed = True
    console.check()
    return SweepSession(options, console, {**given, "journal": journal}).run()


def _prices(options: argparse.Namespace) -> object:
    if options.budget is not None and options.prices is None:
        raise InvalidInput("no price is built in: give that of a million training tokens with --prices")
    if options.prices is None:
        return None
    from gemtune.datasets import PriceList

    return PriceList.of(options.prices)
