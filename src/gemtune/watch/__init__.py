"""The watcher: one object that watches from one to ten thousand tuning jobs.

The public face is ``watcher`` with its ``lifetime``, ``subscription`` and ``results``. Behind it, two halves meet on
the ``board`` and know nothing of each other. What is *looked at*: the ``engine`` starts requests, the ``roster`` says
which job is next, a ``sweep`` reads the list, ``service`` says how fast and whether the service is well. What is
*read*: a ``record`` for each job, a ``reader`` for each consumer, its ``position`` in each story, and the
``resume_token`` that says where it stopped. What a look means is decided in ``gemtune.story``, which request it takes
in ``gemtune.looks``. Only engine, sweep, lifetime and subscription may wait.
"""

from __future__ import annotations

from gemtune.watch.results import WaitResult, WatcherStatistics
from gemtune.watch.subscription import Subscription
from gemtune.watch.watcher import Watcher

__all__ = ["Subscription", "WaitResult", "Watcher", "WatcherStatistics"]
