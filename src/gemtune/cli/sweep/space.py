"""What a sweep tries, from options or from a file."""

from __future__ import annotations

import argparse
from typing import Any, Final

from gemtune.cli.options import Parser
from gemtune.cli.sweep.study import PRUNERS, SAMPLERS
from gemtune.errors import InvalidInput

_OPTIONS: Final = {
    "epochs": ("epoch_count", "N,...", "passes through the data"),
    "rate": ("learning_rate_multiplier", "X,...", "factors of the recommended learning rate"),
    "learning_rate": ("learning_rate", "X,...", "learning rates; not on Vertex AI"),
    "batch_size": ("batch_size", "N,...", "examples per step; not on Vertex AI"),
    "adapter": ("adapter_size", "N,...", "sizes of the adapter; on Vertex AI only"),
}


def add_space(parser: Parser) -> None:
    """Add the options."""
    group = parser.add_argument_group("what is tried (values, or a range such as 1..8 or 0.1..10:log)")
    group.add_argument("--space", metavar="FILE", help="a YAML or JSON file with values, ranges, or a list of points")
    for name, (_, metavar, told) in _OPTIONS.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, help=told)
    group.add_argument("--study", choices=SAMPLERS, help="let Optuna choose the points, by this sampler")
    group.add_argument(
        "--pruner", choices=PRUNERS, help="with --study, what stops points that are not worth it (default: none)"
    )
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the split, and of whatever is drawn (default: 0)"
    )


def _given(options: argparse.Namespace) -> list[str]:
    return [option for option in _OPTIONS if getattr(options, option) is not None]


def flags_given(options: argparse.Namespace) -> str:
    """Return the options that say what is tried, as they were typed."""
    return " and ".join(f"--{option.replace('_', '-')}" for option in _given(options))


def space_of(options: argparse.Namespace) -> Any:
    """Return the space, as ``client.sweep`` takes it.

    Raises:
        InvalidInput: There is none, there are two, or it cannot be read.
    """
    from gemtune.sweep.space import SweepSpace, read_space, values_of_flag

    given = _given(options)
    if options.space is not None and given:
        raise InvalidInput(f"the file says what is tried, and so does {flags_given(options)}: leave one of them out")
    if options.pruner is not None and options.study is None:
        raise InvalidInput("--pruner belongs to a study: name a sampler with --study, or give points up with --stop")
    if options.study is not None and options.max_jobs is None:
        raise InvalidInput("a study has no end: say how many points it may try with --max-jobs")
    if options.space is not None:
        return read_space(options.space)
    if not given:
        raise InvalidInput("say what is tried: --epochs 2,4,8, --rate 0.5,1,2, or a file with --space")
    space = {}
    for option in given:
        name = _OPTIONS[option][0]
        try:
            space[name] = values_of_flag(getattr(options, option))
            SweepSpace.of({name: space[name]})
        except InvalidInput as error:  # it speaks of the hyperparameter, and here that is an option
            flag = f"--{option.replace('_', '-')}"
            what = error.message.removeprefix("space: ").replace(name, flag)
            raise InvalidInput(what if what.startswith(flag) else f"{flag}: {what}") from None
    return space
