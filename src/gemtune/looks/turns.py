"""Whose turn it is to look: the requests of all who wait for single jobs of one client.

One job that is awaited alone is looked at every other second. Hundreds that are awaited one by one, each with its own
``await job``, share what the policy allows, as the jobs of a watcher do.
"""

from __future__ import annotations

import anyio
import attrs

from gemtune.config import WatchPolicy
from gemtune.limiter.rate import Bucket
from gemtune.story.schedule import affordable


@attrs.define(eq=False)
class Turns:
    """Gives turns, at most ``max_rps`` a second.

    Args:
        policy: The client's.
    """

    policy: WatchPolicy
    # For how many jobs somebody waits.
    waiting: int = attrs.field(default=0, init=False)
    _bucket: Bucket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._bucket = Bucket(float(self.policy.burst))

    @property
    def share(self) -> float:
        """Seconds between two looks at each of the jobs that somebody waits for."""
        return affordable(max(self.waiting, 1), self.policy.max_rps)

    async def wait(self) -> None:
        """Wait for a turn; who came first goes first."""
        bucket, rate, burst = self._bucket, self.policy.max_rps, float(self.policy.burst)
        bucket.fill(anyio.current_time(), rate, burst)
        pause = bucket.wait(1.0, rate, burst)
        bucket.level -= 1.0
        try:
            await anyio.sleep(pause)
        except BaseException:
            bucket.level += 1.0  # a wait that was cancelled has cost nothing
            raise
