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

from importlib.util import find_spec

from gemtune.errors import NotSupported

# Not this folder: imports are absolute, and Ray's own package has the name at the top.
if find_spec("ray") is None or find_spec("pyarrow") is None:
    raise NotSupported("gemtune.batch.ray needs Ray Data: pip install 'gemtune[ray]'")

from gemtune.batch.ray.asker import Asker
from gemtune.batch.ray.asking import ask
from gemtune.batch.ray.block import COLUMNS
from gemtune.batch.ray.quota import Quota, QuotaStatistics

__all__ = ["COLUMNS", "Asker", "Quota", "QuotaStatistics", "ask"]
