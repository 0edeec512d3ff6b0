"""Telemetry: what others can see of a program that uses gemtune, in OpenTelemetry, TensorBoard and trackers of runs.

``switch`` decides whether a client is observed, and ``observer`` observes it: its calls (``calls``), its jobs
(``jobs``) and its batches (``batches``). All names stand in ``names``. The parts below know nothing of this: ``http``
has a protocol for whoever observes calls (``http/observer.py``), and the client hands an observer down. Nothing in
here waits, and nothing imports OpenTelemetry before a client is observed.
"""

from __future__ import annotations

from gemtune.telemetry.options import Telemetry as Telemetry

__all__ = ("Telemetry",)
