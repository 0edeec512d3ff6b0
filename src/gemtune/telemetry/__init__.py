"""Telemetry: what others can see of a program that uses gemtune, in OpenTelemetry, TensorBoard and trackers of runs.

``switch`` decides whether a client is observed, and ``observer`` observes it: its calls (``calls``), its jobs
(``jobs``) and its batches (``batches``). All names stand in ``names``. The floors below know nothing of this: ``http``
has a protocol for whoever observes calls (``http/observer.py``), and the client hands an observer down. ``tracking``
writes curves for the tools in which runs are compared. Nothing in here imports OpenTelemetry before a client is
observed, and every name is loaded on its first use, because every client looks in here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gemtune.telemetry.options import Telemetry as Telemetry
    from gemtune.telemetry.tracking.board import TensorBoard as TensorBoard
    from gemtune.telemetry.tracking.forward import OnEvent as OnEvent
    from gemtune.telemetry.tracking.forward import forward as forward
    from gemtune.telemetry.tracking.measures import measured as measured

_HOMES: Final = {
    "OnEvent": "tracking.forward",
    "Telemetry": "options",
    "TensorBoard": "tracking.board",
    "forward": "tracking.forward",
    "measured": "tracking.measures",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - checkers read the imports above


if not TYPE_CHECKING:  # or a checker would believe every misspelled name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'gemtune.telemetry' has no attribute {name!r}")
        return getattr(importlib.import_module(f"gemtune.telemetry.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
