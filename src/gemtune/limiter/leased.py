"""A limiter that lives on leases: it decides as every other does, within its part of a quota that many share.

Everything but the quota stays here: the order of the line, what becomes of an item, what an outage is, and the first
cut after a push-back, which cannot wait for the next report. ``leases`` is the other end.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import attrs

from gemtune.errors import CallError
from gemtune.limiter.control import Sent
from gemtune.limiter.leases import LOT, RENEW, Lease, LeaseReport
from gemtune.limiter.limiter import Limiter
from gemtune.limiter.ruling import Ruling, Signal, signal_of
from gemtune.loops import current_time

_REFUSALS: Final = frozenset({Signal.RATE, Signal.SPENT, Signal.CROWDED})
# Renewals of many holders should not come at the same moment.
_SPREAD: Final = 0.2
_FIRST_TOKENS: Final = 100.0


@attrs.define(eq=False)
class _Lot:
    """A meter whose amounts are lent: nothing comes in but with a lease."""

    level: float = 0.0
    until: float = -math.inf
    enough: float = math.inf
    used: float = 0.0

    def ready_at(self, now: float, amount: float) -> float:
        """Return now or never: never means until the next lease, which lets the line look again."""
        return now if now < self.until and self.level >= min(amount, self.enough) else math.inf

    def take(self, now: float, amount: float) -> None:  # noqa: ARG002 - a meter's signature
        """Take it from the lot, into debt if the lot is known to be enough."""
        self.level -= amount
        self.used += amount

    def correct(self, taken_at: float, amount: float) -> None:
        """Take more, or give back."""
        self.take(taken_at, amount)

    def closes(self) -> float:
        """Give back what is left, unless there is no end to it; return what was used."""
        used, self.used = self.used, 0.0
        self.level = math.inf if self.level == math.inf else 0.0
        return used


@attrs.define(eq=False, kw_only=True)
class LeasedLimiter(Limiter):
    """A limiter within a part of a shared quota. Run ``keep`` beside whoever uses it; without, nothing is sent.

    Args:
        wanted: Returns how many requests could be in flight now, and in all.
    """

    wanted: Callable[[], int] = attrs.field(default=lambda: 1)
    life: str = attrs.field(factory=lambda: uuid.uuid4().hex, init=False)
    _permits: _Lot = attrs.field(factory=_Lot, init=False)
    _requests: _Lot = attrs.field(factory=_Lot, init=False)
    _tokens: _Lot = attrs.field(factory=_Lot, init=False)
    _outcomes: list[int | CallError] = attrs.field(factory=list, init=False)
    _others: int = attrs.field(default=0, init=False)
    _reported: int = attrs.field(default=0, init=False)
    _mean: float = attrs.field(default=_FIRST_TOKENS, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        meters = {"lease": self._permits, "leased rpm": self._requests, "leased tpm": self._tokens}
        self._control.meters.by_name.update(meters)

    async def keep(self, renew: Callable[[LeaseReport], Awaitable[Lease]]) -> None:
        """Renew the lease until cancelled.

        Args:
            renew: Hands a report to the book of leases, and returns the next lease.
        """
        while True:
            asked_at = current_time()  # before the question: this clock must not run out after the book's
            self._apply(await renew(self.report()), asked_at)
            await anyio.sleep(RENEW * (1 + _SPREAD * (self._dice() - 0.5)))

    def give_back(self) -> LeaseReport:
        """End the lease, as nothing is to be sent for now; return the last report, with which the book ends it."""
        # It would be good for seconds yet, and whatever came next would use what others have by then.
        self._permits.until = -math.inf
        return self.report()

    def report(self) -> LeaseReport:
        """Return what happened since the last report; what is left of the lots is given back with it."""
        control, head = self._control, next(iter(self._line.waiters), None)
        sent = control.adaptive.refusals.sent - self._reported
        used = self._tokens.closes()
        if sent and used > 0:
            self._mean = used / sent
        wanted = max(control.in_flight, self.wanted())
        report = LeaseReport(
            life=self.life,
            wanted=wanted,
            in_flight=control.in_flight,
            tokens=math.ceil(self._mean * (wanted - control.in_flight)),
            largest=float(head.tokens) if head is not None else 1.0,
            sent=sent,
            used_requests=self._requests.closes(),
            used_tokens=used,
            outcomes=tuple(self._outcomes),
            others=self._others,
        )
        self._reported += sent
        self._outcomes, self._others = [], 0
        return report

    def _apply(self, lease: Lease, asked_at: float) -> None:
        control, now = self._control, current_time()
        self._permits.level, self._permits.until = math.inf if lease.permits else 0.0, asked_at + lease.seconds
        for lot, amount, enough in (
            (self._requests, lease.requests, math.inf),
            (self._tokens, lease.tokens, lease.enough),
        ):
            # Corrections of former lots that came in since the report count.
            lot.level, lot.enough = (0.0 if lot.level == math.inf else lot.level) + amount, enough
            lot.until = math.inf if amount == math.inf else asked_at + LOT
        if lease.closed_for > 0:
            control.gate.close(now + lease.closed_for)
        share, adaptive = float(max(1, lease.permits)), control.adaptive
        if share < adaptive.limit or adaptive.limit >= adaptive.ceiling:
            if share != adaptive.limit:
                adaptive.retune(share, int(share))
        else:
            # It has been cut here for a reason, and grows back by itself.
            adaptive.ceiling = int(share)
        control.settle()
        self._line.admit()

    def _succeeded(self, sent: Sent, usage_tokens: int | None) -> None:
        if self._outcomes and isinstance(self._outcomes[-1], int) and self._outcomes[-1] > 0:
            self._outcomes[-1] += 1
        else:
            self._outcomes.append(1)
        super()._succeeded(sent, usage_tokens)

    def _failed(self, sent: Sent, error: CallError, failures: int) -> Ruling:
        if signal_of(error, self._policy.max_hint) in _REFUSALS:
            self._refused(error)
        else:
            self._others += 1
        return super()._failed(sent, error, failures)

    def _refused(self, error: CallError) -> None:
        last = self._outcomes[-1] if self._outcomes else 0
        before = self._outcomes[-2] if isinstance(last, int) and last < 0 else last
        if not (isinstance(before, CallError) and _alike(before, error)):
            self._outcomes.append(error)
        elif isinstance(last, int):
            self._outcomes[-1] = last - 1
        else:
            self._outcomes.append(-1)

    def _returned(self, sent: Sent, *, refund: bool) -> None:
        self._others += 1
        super()._returned(sent, refund=refund)


def _alike(one: CallError, other: CallError) -> bool:
    """Whether two refusals teach the same: a thousand of them are reported as one and a number."""
    return (type(one), one.status, one.message, one.retry_after) == (
        type(other),
        other.status,
        other.message,
        other.retry_after,
    )
