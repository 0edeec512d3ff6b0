"""Many hyperparameters, one best model: ``client.sweep``.

It stands on the three pillars: ``client.tune`` creates the points' jobs, one watcher follows all of them, and
``gemtune.evaluation`` compares what comes out. It knows the client through its public methods only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gemtune.sweep.chooser import PointCurve as PointCurve
    from gemtune.sweep.chooser import StopRule as StopRule
    from gemtune.sweep.plan import SweepPlan as SweepPlan
    from gemtune.sweep.point import PointPicture as PointPicture
    from gemtune.sweep.point import PointState as PointState
    from gemtune.sweep.point import SweepPicture as SweepPicture
    from gemtune.sweep.point import SweepPoint as SweepPoint
    from gemtune.sweep.sweep import Sweep as Sweep
    from gemtune.sweep.sweep import SweepStatistics as SweepStatistics

_HOMES: Final = {
    "PointCurve": "chooser",
    "PointPicture": "point",
    "PointState": "point",
    "StopRule": "chooser",
    "Sweep": "sweep",
    "SweepPicture": "point",
    "SweepPlan": "plan",
    "SweepPoint": "point",
    "SweepStatistics": "sweep",
}
"""Where each name is defined; it is loaded on its first use, as every client looks in here."""

__all__ = sorted(_HOMES)  # noqa: PLE0605 - checkers read the imports above


if not TYPE_CHECKING:  # or a checker would believe every misspelled name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gemtune.sweep' has no attribute {name!r}")
        return getattr(importlib.import_module(f"gemtune.sweep.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
