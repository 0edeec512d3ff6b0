"""Does a refusal follow the load? Counts that tell a quota from chance.

A refusal says one of two things: "so many are too many", where sending less helps, or nothing at all: of an overloaded
model some 1 % of the requests fail whatever one client does, and sending less only makes a run longer. One refusal
looks like the other. What tells them apart is the *share*: under a quota or a cap it is nil below the limit and leaps
above it (each request too many is refused again and again); by chance it is the same at every load.

So a limit that has held is not cut by a refusal but by a *surge*: more refusals than the share known so far explains.
Their number is then compared with a Poisson distribution, the first ``n`` requests with ``r`` refusals with its tail
P(X >= r) for the mean ``share * n``.

=====================  =======================================================================================
known share            1 refusal in 20 before anything is known, then what was counted in the last 500 requests;
                       after a second, third, fourth surge in a row at first 1 in 10, in 5, in 2.5
surge                  tail < 1 in 10,000: 4 refusals in a row, or 5 in 100 where the share was nil; the load is cut
after a small growth   tail < 1 in 10, as its loss costs no more than the step
share of 1 % or more   *trial*: go below what the share could mean, wait for what would be 8 refusals; with at most 2
                       it was the load, and the lower one is kept; with 3 it is chance: back, and no trial for a while
=====================  =======================================================================================

Precedents: PCC (Dong et al., NSDI 2015) compares neighbouring rates by trials instead of believing each loss, and so
bears 5 % of random loss where TCP collapses; BBR v2 cuts only beyond 2 % of loss in a round. The tail of a Poisson
distribution is what an A/A test of rare events would use. TCP's own answer, each loss cuts, left 17 % of the throughput
of a batch where 1 % was refused by chance, and a rate learned from each loss 2 %; by these rules it is 97 %, of 5 % it
is 90 %, and of a fifth still 75 % (``benchmarks/storm.py --weather``).

Pure: requests are numbered as they are sent, and no time is needed.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

# One in twenty: a service about which nothing is known may refuse that much by chance.
_PRIOR_SENT: Final = 20.0
_PRIOR_REFUSED: Final = (1.0, 1.0, 2.0, 4.0, 8.0)
# Two rounds of the usual ceiling: longer, and a cap is seen late once the weather has cleared.
_MEMORY: Final = 500.0
# Of fewer refusals the share is not worth asking about; of the memory these are 1.6 %.
_COUNTABLE: Final = 8.0
# A round in which so many are refused as happens in one of twenty is watched for longer before it counts as calm.
_UNUSUAL: Final = 0.05


@attrs.define(eq=False)
class Refusals:
    """How many requests were refused at the present load, and at the loads that were found good.

    Args:
        sent: Requests that have left, which are their numbers.
        refused: Refusals in the present window: since the load changed, or ``calm`` was called.
    """

    sent: int = 0
    refused: int = 0
    _newest: int = 0
    _moved_at: int = 0
    _window_at: int = 0
    _known_sent: float = 0.0
    _known_refused: float = 0.0
    _doubts: int = 0

    @property
    def share(self) -> float:
        """The share that is refused at a load that was found good."""
        prior = _PRIOR_REFUSED[min(self._doubts, len(_PRIOR_REFUSED) - 1)]
        return (self._known_refused + prior) / (self._known_sent + _PRIOR_SENT)

    @property
    def share_here(self) -> float:
        """The share that was refused in the present window."""
        return min(1.0, self.refused / max(1, self.sent - self._window_at))

    @property
    def least_share(self) -> float:
        """The share that is refused at least, as far as what was counted can tell; 0 if that is next to nothing."""
        counted = self._known_refused
        return (counted - math.sqrt(counted)) / self._known_sent if counted >= _COUNTABLE else 0.0

    @property
    def unusual(self) -> bool:
        """Whether so many were refused in the present window as chance refuses in one of twenty."""
        return self.refused > 0 and poisson_tail(self.refused, self.share * (self.sent - self._window_at)) < _UNUSUAL

    def number(self) -> int:
        """Return the number of a request that leaves now."""
        self.sent += 1
        return self.sent

    def is_late(self, number: int) -> bool:
        """Return whether a request was sent at another load, so that its end says nothing about the present one."""
        return number <= self._moved_at

    def refuse(self, number: int, answered: int) -> float:
        """Count a refusal at the present load; return how probable so many are by chance alone.

        Args:
            number: The number of the request.
            answered: How many were answered in the present window.
        """
        self.refused += 1
        self._newest = max(self._newest, number)
        # Quick refusals come back before the answers to what was sent with them, so that those count that were sent
        # until the newest one. Slow ones come back among the answers to what was sent in an earlier window.
        sent = max(self._newest - self._window_at, answered + self.refused)
        return poisson_tail(self.refused, self.share * sent)

    def calm(self, answered: int) -> None:
        """Take in that the window has passed without a surge: what was refused in it is known as chance."""
        self._known_sent += answered + self.refused
        self._known_refused += self.refused
        if self._known_sent > _MEMORY:
            self._known_refused *= _MEMORY / self._known_sent
            self._known_sent = _MEMORY
        self._window_at, self.refused, self._doubts = self.sent, 0, 0

    def moved(self) -> None:
        """Begin to count anew, as the load has changed."""
        self._moved_at = self._window_at = self.sent
        self.refused = 0

    def forget(self) -> None:
        """Forget the known share, as it held at a load that does not hold any more.

        The more often in a row, the more is borne by chance at first: where a tenth or a third is refused at any load,
        cutting would never end.
        """
        self._known_sent = self._known_refused = 0.0
        self._doubts += 1


def poisson_tail(count: int, mean: float) -> float:
    """Return the probability of at least so many events where ``mean`` are expected."""
    if count <= mean:
        return 1.0  # near enough: nobody asks about what is expected
    term = below = math.exp(-mean)
    for number in range(1, count):
        term *= mean / number
        below += term
    return max(0.0, 1.0 - below)
