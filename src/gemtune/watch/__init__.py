"""The operation watcher: one object that watches from one to ten thousand tuning jobs."""

from __future__ import annotations

from gemtune.watch.results import WaitResult, WatcherStatistics
from gemtune.watch.subscription import Subscription
from gemtune.watch.watcher import Watcher

__all__ = ["Subscription", "WaitResult", "Watcher", "WatcherStatistics"]
