"""A batch over many machines: Ray Data runs the actors, and all of them together keep one quota.

::

    ask ──> Dataset.map_batches ──> Asker, one per actor ──> client.batch on each block
                                       │ report, twice a second      │ journal of the block
                                       ▼                             ▼
                                    Quota, one actor              a folder that all machines share

``ask`` is one line; ``Asker`` is the class behind it, for your own ``map_batches``. What divides the quota is pure and
lives in ``limiter/leases.py``; ``block.py`` is what a block means, and knows no Ray. This package stands on top of
``batch``, and nothing imports it that you did not ask for.
"""

from __future__ import annotations

from gemtune.errors import NotSupported

# Imports are absolute: this folder does not stand in the way of Ray's own package, which has the name at the top.
try:
    import pyarrow as _arrow  # noqa: F401, ICN001
    import ray.data as _ray  # noqa: F401
except ImportError as _missing:
    raise NotSupported("gemtune.batch.ray needs Ray Data: pip install 'gemtune[ray]'") from _missing

from gemtune.batch.ray.asker import Asker
from gemtune.batch.ray.asking import ask
from gemtune.batch.ray.block import COLUMNS
from gemtune.batch.ray.quota import Quota, QuotaStatistics

__all__ = ["COLUMNS", "Asker", "Quota", "QuotaStatistics", "ask"]
