"""Many hyperparameters, one best model: ``client.sweep``.

It stands on the three pillars: ``client.tune`` creates the points' jobs, one watcher follows all of them, and
``gemtune.evaluation`` compares what comes out. It knows the client through its public methods only.
"""

from __future__ import annotations

from gemtune.sweep.chooser import PointCurve as PointCurve
from gemtune.sweep.chooser import StopRule as StopRule
from gemtune.sweep.point import PointPicture as PointPicture
from gemtune.sweep.point import PointState as PointState
from gemtune.sweep.point import SweepPicture as SweepPicture
from gemtune.sweep.point import SweepPoint as SweepPoint

__all__ = ("PointCurve", "PointPicture", "PointState", "StopRule", "SweepPicture", "SweepPoint")
