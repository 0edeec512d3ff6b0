"""One quota for many processes: a book in which each of them holds a *lease*, renewed twice a second.

A lease is two things. *Permits* may be used again and again until it ends, which is how many requests are in flight.
*Lots* of requests and of tokens are used up, which is how fast they go. A process reports what it did since the last
time and gets the next lease in the same exchange, so that the traffic grows with the processes and not with their
requests.

::

    permits   a permit counts as held until its holder has reported that it uses it no more: after a smaller lease one
              more report, as requests may have left while that report was on its way
    lots      counted when they are handed out, and good for LOT seconds. The window is longer by these and by another
              second on the way, so that what is handed out in 62 s cannot come in within 60 s. What was not used comes
              back with the report
    the dead  who has not reported for LEASE seconds holds nothing any more, and has stopped sending by its own clock a
              second before; a new life under the same name ends the old one at once
    learning  what was answered and refused is played to the same ``Control`` that a limiter has, in the order of the
              reports: it finds out how many may be in flight in all, learns rates, and closes the gate for everybody

Chubby and etcd lend with the same two clocks: the holder's, counted from before it asked, ends first.

Pure: the time is an argument and the dice are given.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal

import attrs

from gemtune.config import BatchPolicy
from gemtune.errors import CallError
from gemtune.limiter.concurrency import AdaptiveLimit
from gemtune.limiter.control import Control, Sent
from gemtune.limiter.rate import MINUTE, TOKEN_METERS, Ceiling, LearnedRate
from gemtune.limiter.shares import RateClaim, lot_for, permits_of_each

RENEW: Final = 0.5
"""Seconds between two reports of one holder."""
LOT: Final = 1.0
"""Seconds for which a lot is good."""
LEASE: Final = 6.0
"""Seconds without a report after which a holder holds nothing; it may send for a second less."""
# A busy machine takes a while to get a request out, and the service counts when it comes in.
_ON_ITS_WAY: Final = 1.0
_START: Final = 50
_CEILING: Final = 256


@attrs.frozen(kw_only=True)
class LeaseReport:
    """What one holder did since its last report, and what it wants.

    Args:
        life: Which life of the holder this is; another one ends the former.
        wanted: Requests that it could have in flight, those that it has included.
        in_flight: Requests that it has in flight.
        tokens: Input tokens that it could use now.
        largest: Input tokens of the request that is next.
        sent: Requests that have left.
        used_requests: Requests taken of the lot.
        used_tokens: Input tokens taken of the lot, corrected by what the service counted.
        outcomes: What came back, in this order: so many answers, a refusal, or (negative) so many more like it.
        others: Requests that ended in another way.
    """

    life: str
    wanted: int
    in_flight: int = 0
    tokens: float = 0.0
    largest: float = 0.0
    sent: int = 0
    used_requests: float = 0.0
    used_tokens: float = 0.0
    outcomes: Sequence[int | CallError] = ()
    others: int = 0


@attrs.frozen(kw_only=True)
class Lease:
    """What one holder may do until its next report.

    Args:
        permits: Requests that may be in flight.
        requests: Requests that may leave within ``LOT`` seconds; infinite if no rate limits them.
        tokens: The same for input tokens.
        enough: Tokens with which a request may leave that needs more.
        closed_for: Seconds for which nobody may send.
        seconds: For how long the permits are good.
    """

    permits: int
    requests: float = math.inf
    tokens: float = math.inf
    enough: float = math.inf
    closed_for: float = 0.0
    seconds: float = LEASE - 1.0


@attrs.define(eq=False)
class _Holder:
    life: str
    seen_at: float
    wanted: int = 0
    permits: int = 0
    counted: int = 0
    had: float = 0.0
    tokens: float = 0.0
    largest: float = 0.0
    lot_at: float = 0.0
    lots: dict[bool, float] = attrs.field(factory=lambda: {False: 0.0, True: 0.0})
    since: dict[bool, float] = attrs.field(factory=lambda: {False: -math.inf, True: -math.inf})
    sent: deque[Sent] = attrs.field(factory=deque)


@attrs.define(eq=False)
class LeaseBook:
    """Who holds which part of one quota.

    Args:
        control: What decides how much there is in all; its own meters count the lots.
    """

    control: Control
    holders: dict[str, _Holder] = attrs.field(factory=dict, init=False)

    def set_ceiling(self, name: str, per_minute: float) -> None:
        """Set the most requests (``rpm``) or input tokens (``tpm``) in any 60 s, for all holders together."""
        self.control.meters.by_name[name] = Ceiling(per_minute, MINUTE + LOT + _ON_ITS_WAY)

    def renew(self, name: str, report: LeaseReport, now: float, wall: float) -> Lease:
        """Take in what a holder did, and return what it may do next.

        Args:
            name: The holder.
            report: What it did, and wants.
            now: The time.
            wall: Seconds since 1970.
        """
        self._bury(now)
        holder = self._holder(name, report.life, now)
        holder.had += (now - holder.seen_at) * holder.permits
        self._settle_lots(holder, report)
        self._learn(holder, report, now, wall)
        holder.seen_at, holder.wanted = now, report.wanted
        holder.tokens, holder.largest = report.tokens, report.largest
        permits = self._lend(name, holder, report.in_flight)
        closed_for = max(0.0, self.control.gate.told - now)
        holder.lot_at = now
        requests = self._lot(name, now, of_tokens=False)
        tokens, enough = self._lot(name, now, of_tokens=True), self._enough(now, of_tokens=True)
        return Lease(permits=permits, requests=requests, tokens=tokens, enough=enough, closed_for=closed_for)

    def leave(self, name: str, report: LeaseReport, now: float, wall: float) -> None:
        """Take in the last report of a holder that wants nothing any more."""
        self.renew(name, report, now, wall)
        self._end(name)

    @classmethod
    def over(cls, concurrency: int | Literal["auto"], policy: BatchPolicy, dice: Callable[[], float]) -> LeaseBook:
        """Return a book for a limit on requests in flight, or one that finds it out.

        Args:
            concurrency: The limit, or ``auto``.
            policy: How patiently a busy service is treated.
            dice: Returns random numbers in [0, 1).
        """
        most = _CEILING if concurrency == "auto" else concurrency
        limit = float(min(_START, most) if concurrency == "auto" else most)
        return cls(Control(AdaptiveLimit(limit, most, bursts=False, lagging=True), policy, dice))

    @property
    def held(self) -> int:
        """Permits that count as held."""
        return sum(holder.counted for holder in self.holders.values())

    def _holder(self, name: str, life: str, now: float) -> _Holder:
        known = self.holders.get(name)
        if known is not None and known.life != life:
            self._end(name)
            known = None
        if known is None:
            # As much as the one who has had least: a newcomer has its turn, and not all turns that it has missed.
            had = min((other.had for other in self.holders.values()), default=0.0)
            known = self.holders[name] = _Holder(life, now, had=had)
        return known

    def _bury(self, now: float) -> None:
        for name in [name for name, holder in self.holders.items() if now > holder.seen_at + LEASE]:
            self._end(name)

    def _end(self, name: str) -> None:
        # Its lots stay counted: nobody knows whether they were used, and in a minute they are forgotten.
        for sent in self.holders.pop(name).sent:
            self.control.release(sent)

    def _learn(self, holder: _Holder, report: LeaseReport, now: float, wall: float) -> None:
        """Play what came back to the control, as if it had been met here."""
        control, last, left = self.control, None, report.sent
        if report.sent:
            control.meters.begin(holder.seen_at)
        # Never more of them at a time than were in flight, or a limit would look as if it had been reached.
        level = max(1, len(holder.sent), report.in_flight)
        for outcome in report.outcomes:
            if isinstance(outcome, CallError):
                last = outcome
            for _ in range(1 if isinstance(outcome, CallError) else abs(outcome)):
                left -= self._send(holder, min(left, level - len(holder.sent)))
                if not holder.sent:
                    break
                sent = holder.sent.popleft()
                if last is None or (isinstance(outcome, int) and outcome > 0):
                    control.succeeded(sent, now, None)
                else:
                    control.failed(sent, now, wall, last, 0)
        self._send(holder, left)
        for _ in range(min(report.others, len(holder.sent))):
            control.release(holder.sent.popleft())
        # An outage is for each holder to sit out: here nothing would be sent that could find out whether it is over.
        control.outage.end(now)

    def _send(self, holder: _Holder, count: int) -> int:
        for _ in range(count):
            # Sent at the time of the report before: what was learned since then, it could not know.
            self.control.in_flight += 1
            number = self.control.adaptive.refusals.number()
            holder.sent.append(Sent(0, number, holder.seen_at, False, self.control.estimate.ratio))
        return max(0, count)

    def _lend(self, name: str, holder: _Holder, in_flight: int) -> int:
        wanted = {other: known.wanted for other, known in self.holders.items()}
        had = {other: known.had for other, known in self.holders.items()}
        part = permits_of_each(self.control.allowed, wanted, had)[name]
        others = self.held - holder.counted
        before, holder.permits = holder.permits, max(0, min(part, self.control.allowed - others))
        holder.counted = max(holder.permits, before, in_flight)
        return holder.permits

    def _settle_lots(self, holder: _Holder, report: LeaseReport) -> None:
        used = {False: report.used_requests, True: report.used_tokens}
        for name, meter in self.control.meters.by_name.items():
            kind = name in TOKEN_METERS
            meter.correct(holder.lot_at, used[kind] - holder.lots[kind])
        holder.lots = {False: 0.0, True: 0.0}

    def _meters(self, of_tokens: bool) -> list[Ceiling | LearnedRate]:
        by_name = self.control.meters.by_name.items()
        return [
            meter
            for name, meter in by_name
            if (name in TOKEN_METERS) is of_tokens and isinstance(meter, Ceiling | LearnedRate)
        ]

    def _enough(self, now: float, *, of_tokens: bool) -> float:
        return min((meter.most_at_once(now) for meter in self._meters(of_tokens)), default=math.inf)

    def _lot(self, name: str, now: float, *, of_tokens: bool) -> float:
        meters = self._meters(of_tokens)
        if not meters:
            return math.inf
        room, enough = min(meter.room(now) for meter in meters), self._enough(now, of_tokens=of_tokens)
        claims = {}
        for other, known in self.holders.items():
            wanted = known.tokens if of_tokens else float(known.wanted)
            least = min(enough, known.largest if of_tokens else 1.0)
            claims[other] = RateClaim(max(wanted, least) if known.wanted else 0.0, least, known.since[of_tokens])
        lot = lot_for(name, room, claims) if claims[name].wanted > 0 and self.control.gate.told <= now else 0.0
        holder = self.holders[name]
        lot = float(math.floor(lot + 1e-9))
        if lot > 0:
            holder.since[of_tokens] = now
            for meter in meters:
                meter.take(now, lot)
        holder.lots[of_tokens] = lot
        return lot
