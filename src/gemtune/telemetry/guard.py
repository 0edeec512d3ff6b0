"""Nothing that goes wrong in telemetry may change what becomes of a call, a job or a batch."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("gemtune")


def harmless(function: Callable[P, R]) -> Callable[P, R | None]:
    """Let a method of an observer return None, and say so in the log, where it would raise.

    OpenTelemetry's own classes do not raise, but the processors and exporters that a program adds to them may.
    """

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - see above
            _log.warning("telemetry stumbled in %s", function.__qualname__, exc_info=True)
            return None

    return guarded
