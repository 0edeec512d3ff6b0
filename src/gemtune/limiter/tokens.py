"""How many input tokens a request will count, learned from what the service counted."""

from __future__ import annotations

import math

import attrs

# Latin text: about four bytes a token.
_FIRST_RATIO = 0.25
_WEIGHT = 0.05
# A single odd reply (cached content, a picture) must not turn the estimate over.
_LEAST, _MOST = 0.01, 4.0


@attrs.define(eq=False)
class TokenEstimate:
    """Input tokens per byte of a request: an exponential average, corrected by each reply's ``usageMetadata``."""

    ratio: float = _FIRST_RATIO
    samples: int = 0

    def tokens(self, nbytes: int) -> int:
        """Return the tokens that a request of so many bytes will probably count, at least 1."""
        return max(1, math.ceil(nbytes * self.ratio))

    def learn(self, estimated: int, ratio: float, counted: int) -> None:
        """Correct the ratio.

        Args:
            estimated: What ``tokens`` returned for the request.
            ratio: The ratio it was estimated with.
            counted: What the service counted.
        """
        if estimated <= 0 or counted <= 0:
            return
        seen = min(_MOST, max(_LEAST, ratio * counted / estimated))
        self.samples += 1
        weight = max(_WEIGHT, 1 / (self.samples + 1))
        self.ratio += weight * (seen - self.ratio)
