"""``--study``: an Optuna study that chooses the points, made anew for every run.

It need not be stored: what it was told stands in the sweep's journal, from which a later run tells it again.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from gemtune.errors import SettingsError
from gemtune.remedy import Remedy

SAMPLERS: Final = ("tpe", "random")
PRUNERS: Final = ("none", "median", "halving", "hyperband")
_LOSSES: Final = frozenset({"loss", "eval_loss"})


def make_study(options: argparse.Namespace, *, vertex: bool) -> Any:
    """Return the study that the options want; None if they want none.

    Args:
        options: Of the command line.
        vertex: Whether the models are tuned on Vertex AI, which measures the loss on validation data.

    Raises:
        SettingsError: Optuna is not installed.
    """
    if options.study is None:
        return None
    try:
        import optuna
    except ImportError:
        what = "--study needs Optuna"
        raise SettingsError(what, Remedy("run pip install 'gemtune[optuna]', or leave it out")) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it reports each trial, and we report each point
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    pruners: dict[str, Any] = {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "halving": optuna.pruners.SuccessiveHalvingPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
    }
    return optuna.create_study(
        direction="minimize" if _ranked_by_loss(options, vertex=vertex) else "maximize",
        sampler=samplers[options.study](seed=options.seed),
        pruner=pruners[options.pruner or "none"](),
    )


def _ranked_by_loss(options: argparse.Namespace, *, vertex: bool) -> bool:
    """Return whether the objective is a loss, by the rule by which a sweep chooses one."""
    if options.objective is not None:
        return options.objective in _LOSSES
    return vertex and not (options.metric or options.judge)
