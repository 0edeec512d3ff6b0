"""Creations that wait for a place: by default a project tunes one model at a time.

The service lets most jobs queue by itself, and says so as the reason of a state. What it refuses for its quota instead
can wait here: it is sent again from time to time, never more often than every ``_SHORTEST`` seconds, until it is taken
or the caller's time is over. Each is one more attempt of the same creation, with the same label. Whoever stops waiting
leaves nothing behind.
"""

from __future__ import annotations

import logging
import random
from typing import Final

import anyio
import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import QuotaExhausted
from gemtune.http.caller import Tally
from gemtune.remedy import Argument, Remedy
from gemtune.resources.vertex.creation import VertexCreation
from gemtune.types.vertex import VertexTuningJob

_log = logging.getLogger("gemtune")

_SHORTEST: Final = 15.0
_LONGEST: Final = 300.0
_PATIENCE: Final = 72 * 3600.0
"""Seconds to wait if the caller names no time."""


@attrs.frozen(eq=False)
class CreationQueue:
    """Carries out creations, and waits with those that are refused for a quota.

    Args:
        tally: Counts those that wait.
    """

    tally: Tally

    async def through(
        self, creation: VertexCreation, *, timeout: float | None, retry: RetryPolicy | None, patient: bool
    ) -> VertexTuningJob:
        """Carry out a creation.

        Args:
            creation: The creation.
            timeout: Seconds for all of it, waiting included.
            retry: Another retry policy for each attempt to create it.
            patient: Whether to wait if the quota is used up.

        Raises:
            QuotaExhausted: The quota is used up, and there is no time, or no wish, to wait.
            CallError: The job was not created.
        """
        deadline = anyio.current_time() + (_PATIENCE if timeout is None else timeout)
        pause = _SHORTEST
        while True:
            left = None if timeout is None else max(deadline - anyio.current_time(), 0.001)
            try:
                return await creation.run(timeout=left, retry=retry)
            except QuotaExhausted as error:
                if not patient:
                    error.remedies = (*error.remedies, Remedy("wait for a place: ", Argument("queue", True)))
                    raise
                # Somewhat more by chance, so that those who wait do not all come back at once.
                wait = max(pause, error.retry_after or 0.0) * (1.0 + 0.2 * random.random())  # noqa: S311
                if anyio.current_time() + wait >= deadline:
                    raise
                _log.info("the tuning job has to wait: %s; it is sent again in %.0f s", error.message, wait)
            self.tally.queued += 1
            try:
                await anyio.sleep(wait)
            finally:
                self.tally.queued -= 1
            pause = min(pause * 2, _LONGEST)
