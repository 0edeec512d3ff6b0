"""The asyncio SDK for tuning Gemini models and putting the tuned models to work.

Floors, imports going down only: errors, types, events, config (values); protocol (pure functions); http (the only
sockets); client, jobs, resources (what users hold); the pillars above, and evaluation and sweep, which stand on them;
cli, show and testing at the edges; the emulator next door. Every name is loaded on its first use (PEP 562), so that
importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from gemtune._version import __version__ as __version__

if TYPE_CHECKING:
    from gemtune import datasets as datasets
    from gemtune import errors as errors
    from gemtune import events as events
    from gemtune import metrics as metrics
    from gemtune import types as types
    from gemtune.batch import BatchResult as BatchResult
    from gemtune.batch import Limiter as Limiter
    from gemtune.client import Client as Client
    from gemtune.config import BatchPolicy as BatchPolicy
    from gemtune.config import RetryPolicy as RetryPolicy
    from gemtune.config import Timeouts as Timeouts
    from gemtune.config import WatchPolicy as WatchPolicy
    from gemtune.datasets.accepted import TrainingDataLike as TrainingDataLike
    from gemtune.errors import GemtuneError as GemtuneError
    from gemtune.jobs import TuningJob as TuningJob
    from gemtune.jobs import TuningProgress as TuningProgress
    from gemtune.jobs.batch import BatchJob as BatchJob
    from gemtune.resources.given import JobLike as JobLike
    from gemtune.resources.given import ModelLike as ModelLike
    from gemtune.resources.given import Prompts as Prompts
    from gemtune.types import Content as Content
    from gemtune.types import GenerationConfig as GenerationConfig
    from gemtune.types import Hyperparameters as Hyperparameters
    from gemtune.types import Part as Part
    from gemtune.types import SafetySetting as SafetySetting
    from gemtune.types import TunedModel as TunedModel
    from gemtune.types import TuningExample as TuningExample
    from gemtune.types import TuningSnapshot as TuningSnapshot
    from gemtune.watch import Subscription as Subscription
    from gemtune.watch import WaitResult as WaitResult
    from gemtune.watch import Watcher as Watcher
    from gemtune.watch import WatcherStatistics as WatcherStatistics

_HOMES: Final = {
    name: module
    for module, names in {
        "batch": "BatchResult Limiter",
        "jobs.batch": "BatchJob",
        "client": "Client",
        "config": "BatchPolicy RetryPolicy Timeouts WatchPolicy",
        "datasets.accepted": "TrainingDataLike",
        "errors": "GemtuneError",
        "jobs": "TuningJob TuningProgress",
        "resources.given": "JobLike ModelLike Prompts",
        "types": """
            Content GenerationConfig Hyperparameters Part SafetySetting TunedModel TuningExample TuningSnapshot
        """,
        "watch": "Subscription WaitResult Watcher WatcherStatistics",
    }.items()
    for name in names.split()
}
"""Every public name that is not a module, and the module that defines it."""
_MODULES: Final = ("datasets", "errors", "events", "metrics", "types")

__all__ = sorted(("__version__", *_HOMES, *_MODULES))  # noqa: PLE0605 - checkers read the imports above


if not TYPE_CHECKING:  # or a checker would believe every misspelled name

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return importlib.import_module(f"gemtune.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'gemtune' has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"gemtune.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
