"""The limiter: who may send now. ``control`` decides; this is the thin shell that waits.

One line, first come first served. Whoever stands at its head waits until the time at which it may go, where that is
known; everybody else waits for a word. Every change (a permit returned, a limit set, a time reached) admits from the
head as many as may go, so that a wake-up costs the same however long the line is.
"""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import anyio
import attrs

from gemtune import checks, errors
from gemtune.config import BatchPolicy
from gemtune.errors import CallError, Failure
from gemtune.limiter.concurrency import AdaptiveLimit
from gemtune.limiter.control import Control, Sent
from gemtune.limiter.rate import DAY, Window
from gemtune.limiter.reasons import reason_of
from gemtune.limiter.ruling import Ruling
from gemtune.loops import current_time
from gemtune.remedy import Argument, Remedy

CONNECTIONS = 1000
"""The connections of one client: no more requests can be in flight."""
# The first burst of ``auto``, and the most that is refused in vain by a service that takes fewer.
_START = 50
# Timers may fire a moment early; without it the head of the line would then look again and again.
_SHORTEST_SLEEP = 0.001


@attrs.frozen(kw_only=True)
class LimiterStatistics:
    """How a limiter is doing.

    Args:
        limit: Requests that may be in flight now.
        in_flight: Requests that are.
        waiting: Requests that wait for a permit.
        parked: Those of them that wait for an outage or a gate to end.
        binding: Which limit the next one waits for: ``concurrency``, ``rpm``, ``tpm``, ``learned rpm``,
            ``learned tpm``, ``lease``, ``leased rpm``, ``leased tpm``, ``gate``, ``outage``, or ``""`` for none.
        reason: The same in words.
        accepted: Requests that were answered.
        rejected: Requests refused as too many (429, 503).
        troubled: Requests that got no readable answer.
        cuts: How often the concurrency was cut.
        outages: Outages so far.
        probes: Requests sent to see whether one was over.
        gate: Seconds until the gate opens, 0 while it is open.
        learned_rpm: The requests per minute that the service allows, as far as it said so.
        learned_tpm: The same for input tokens.
        estimate_ratio: Input tokens per byte, as learned.
    """

    limit: int
    in_flight: int
    waiting: int
    parked: int
    binding: str
    reason: str
    accepted: int
    rejected: int
    troubled: int
    cuts: int
    outages: int
    probes: int
    gate: float
    learned_rpm: float | None
    learned_tpm: float | None
    estimate_ratio: float


@attrs.define(eq=False)
class _Waiter:
    tokens: int
    again: bool = False
    event: anyio.Event = attrs.field(factory=anyio.Event)
    sent: Sent | None = None
    until: float = math.inf


@attrs.define(eq=False)
class _Line:
    """Who waits for a permit, first come first served, whatever the size of their requests."""

    control: Control
    waiters: OrderedDict[_Waiter, None] = attrs.field(factory=OrderedDict, init=False)

    @property
    def is_of_the_last(self) -> bool:
        """Whether all that wait have failed before: there seems to be nothing new any more."""
        return all(waiter.again for waiter in self.waiters)

    async def enter(self, tokens: int, again: bool) -> Sent:
        """Wait at its end; whoever gives up, however late, holds up nobody."""
        waiter = _Waiter(tokens, again)
        self.waiters[waiter] = None
        try:
            if len(self.waiters) == 1:
                self.admit()
            return await self._turn(waiter)
        except BaseException:
            if waiter.sent is None:
                del self.waiters[waiter]
            else:
                # Let go and cancelled at the same moment: nothing was sent.
                self.control.release(waiter.sent)
                self.control.refund(waiter.sent)
            self.admit()
            raise

    def admit(self) -> None:
        """Let go from the head of the line who may; leave the next one with the time at which to look again."""
        if not self.waiters:
            return
        now = current_time()
        while self.waiters:
            waiter = next(iter(self.waiters))
            at = self.control.ready_at(now, waiter.tokens)
            if at > now:
                if at < waiter.until:
                    waiter.until = max(at, now + _SHORTEST_SLEEP)
                    waiter.event.set()
                return
            waiter.sent = self.control.send(now, waiter.tokens)
            self.waiters.popitem(last=False)
            waiter.event.set()

    async def _turn(self, waiter: _Waiter) -> Sent:
        while waiter.sent is None:
            # The event has two meanings: you may go, or there is another time at which to look again.
            if waiter.event.is_set():
                waiter.event = anyio.Event()
            if waiter.until == math.inf:
                await waiter.event.wait()
                continue
            with anyio.CancelScope(deadline=waiter.until):
                await waiter.event.wait()
            if not waiter.event.is_set():
                waiter.until = math.inf
                self.admit()
        return waiter.sent


@attrs.define(eq=False)
class Permit:
    """The right to have one request in flight. End it once, in the way the request ended.

    ``success`` and ``failed`` end it with a lesson; ``unsent`` and ``cancelled`` without, and are harmless on a permit
    that has ended.
    """

    _limiter: Limiter = attrs.field(repr=False)
    _sent: Sent
    _ended: bool = attrs.field(default=False, init=False)

    @property
    def sent_at(self) -> float:
        """When it was granted, on the clock of ``anyio.current_time``."""
        return self._sent.sent_at

    @property
    def probe(self) -> bool:
        """Whether this request is sent to see whether an outage is over."""
        return self._sent.probe

    def success(self, usage_tokens: int | None) -> None:
        """Return it after a reply.

        Args:
            usage_tokens: The input tokens that the service counted (``promptTokenCount``), if it said so.
        """
        self._end()
        self._limiter._succeeded(self._sent, usage_tokens)

    def failed(self, error: CallError, failures: int = 0) -> Ruling:
        """Return it after a failed attempt, and learn what becomes of the item.

        Args:
            error: The failure of this one attempt.
            failures: How many failures of this item have counted before (``Ruling.counted``).
        """
        self._end()
        return self._limiter._failed(self._sent, error, failures)

    def unaccepted(self, failures: int = 0) -> Ruling:
        """Learn whether to ask again, after a reply that its asker does not take.

        Args:
            failures: As for ``failed``.
        """
        policy, dice = self._limiter._policy, self._limiter._dice
        action: Literal["retry", "fail"] = "retry" if failures < policy.repeats else "fail"
        return Ruling(action=action, counted=True, delay=dice() * policy.wait_after(failures))

    def unsent(self) -> None:
        """Return it unused, with the tokens and the request it had reserved."""
        if not self._ended:
            self._ended = True
            self._limiter._returned(self._sent, refund=True)

    def cancelled(self) -> None:
        """Return it after the request had left and nobody waits for the reply any more."""
        if not self._ended:
            self._ended = True
            self._limiter._returned(self._sent, refund=False)

    def _end(self) -> None:
        if self._ended:
            raise errors.MisuseError("this permit was already returned: a permit ends once")
        self._ended = True


def _per_minute(name: str, most: float | None) -> float | None:
    return None if most is None else checks.number(name, most, error=errors.SettingsError)


def _set_ceiling(limiter: Limiter, field: attrs.Attribute[float | None], value: float | None) -> float | None:
    limiter._control.meters.set_ceiling(field.name, _per_minute(field.name, value))
    limiter._line.admit()
    return value


@attrs.define(eq=False, kw_only=True)
class Limiter:
    """Decides how many requests are in flight, and how many may leave per minute.

    One limiter can serve several batches and the single calls of a client at the same time, and be retuned while they
    run: ``limit``, ``rpm``, ``tpm``. It stands for one quota: share it where the quota is shared.

    Args:
        concurrency: The most requests in flight, or ``auto`` to find out how many the service takes.
        ceiling: The most that ``auto`` may reach, up to 1,000 (the connections of one client).
        rpm: The most requests in any 60 s.
        tpm: The most input tokens in any 60 s, first estimated and then corrected by what the service counted.
        rpd: The most requests in any 24 h of this limiter's life.
        policy: How patiently a busy service is treated.
        dice: Returns random numbers in [0, 1).

    Raises:
        SettingsError: A value is not positive, or more than a client can carry.
    """

    _concurrency: int | Literal["auto"] = "auto"
    _ceiling: int = 256
    rpm: float | None = attrs.field(default=None, on_setattr=_set_ceiling)
    tpm: float | None = attrs.field(default=None, on_setattr=_set_ceiling)
    _rpd: int | None = None
    _policy: BatchPolicy = attrs.field(factory=BatchPolicy, repr=False)
    _dice: Callable[[], float] = attrs.field(default=random.random, repr=False)
    _control: Control = attrs.field(init=False, repr=False)
    _day: Window | None = attrs.field(default=None, init=False, repr=False)
    _line: _Line = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        checks.instance("policy", self._policy, BatchPolicy, "a BatchPolicy", error=errors.SettingsError)
        limit, ceiling = self._bounds(self._concurrency)
        self._control = Control(AdaptiveLimit(limit, ceiling), self._policy, self._dice)
        self._line = _Line(self._control)
        for name, most in (("rpm", self.rpm), ("tpm", self.tpm)):
            self._control.meters.set_ceiling(name, _per_minute(name, most))
        if self._rpd is not None:
            self._day = Window(checks.whole("rpd", self._rpd, error=errors.SettingsError), DAY)

    @property
    def concurrency(self) -> int | Literal["auto"]:
        """What was set as the most requests in flight."""
        return self._concurrency

    @property
    def rpd(self) -> int | None:
        """The most requests in any 24 h."""
        return self._rpd

    @property
    def limit(self) -> int:
        """How many requests may be in flight now. Set it to another ``concurrency``."""
        return self._control.allowed

    @limit.setter
    def limit(self, concurrency: int | Literal["auto"]) -> None:
        limit, ceiling = self._bounds(concurrency)
        self._concurrency = concurrency
        self._control.adaptive.retune(limit, ceiling)
        self._control.settle()
        self._line.admit()

    def estimate(self, nbytes: int) -> int:
        """Return the input tokens that a request of so many bytes will probably count."""
        return self._control.estimate.tokens(nbytes)

    def statistics(self) -> LimiterStatistics:
        """Return how it is doing, and why it is not faster."""
        control, now, waiting = self._control, current_time(), len(self._line.waiters)
        head = next(iter(self._line.waiters), None)
        binding = control.binding(now, head.tokens) if head is not None else ""
        return LimiterStatistics(
            limit=control.allowed,
            in_flight=control.in_flight,
            waiting=waiting,
            parked=waiting if binding in {"outage", "gate"} else 0,
            binding=binding,
            reason=reason_of(binding, control, auto=self._concurrency == "auto", now=now),
            accepted=control.counts.accepted,
            rejected=control.counts.rejected,
            troubled=control.counts.troubled,
            cuts=control.adaptive.cuts,
            outages=control.outage.count,
            probes=control.outage.probes,
            gate=max(0.0, control.gate.opens_at - now),
            learned_rpm=control.meters.learned("learned rpm"),
            learned_tpm=control.meters.learned("learned tpm"),
            estimate_ratio=control.estimate.ratio,
        )

    async def acquire(self, tokens: int = 0, *, again: bool = False) -> Permit:
        """Wait until one more request may leave: first come, first served, large ones included.

        Args:
            tokens: Its input tokens, as estimated.
            again: Whether the same item has failed before.

        Raises:
            QuotaExhausted: The ``rpd`` requests of this day are used up (``scope`` is ``day``); nothing was sent.
        """
        now = current_time()
        if self._day is not None:
            _take_one_of_the_day(self._day, now)
        # Where nobody waits, nearly always, there is no event and no switch of tasks.
        if not self._line.waiters and self._control.ready_at(now, tokens) <= now:
            return Permit(self, self._control.send(now, tokens))
        try:
            return Permit(self, await self._line.enter(tokens, again))
        except BaseException:
            if self._day is not None:
                self._day.correct(now, -1)
            raise

    def _succeeded(self, sent: Sent, usage_tokens: int | None) -> None:
        self._control.succeeded(sent, current_time(), usage_tokens)
        self._line.admit()

    def _failed(self, sent: Sent, error: CallError, failures: int) -> Ruling:
        last = self._control.outage.opened and self._line.is_of_the_last
        ruling = self._control.failed(sent, current_time(), time.time(), error, failures, last=last)
        self._line.admit()
        return ruling

    def _returned(self, sent: Sent, *, refund: bool) -> None:
        self._control.release(sent)
        if refund:
            self._control.refund(sent)
            if self._day is not None:
                self._day.correct(sent.sent_at, -1)
        self._line.admit()

    def _bounds(self, concurrency: int | Literal["auto"]) -> tuple[float, int]:
        auto = isinstance(concurrency, str) and concurrency == "auto"
        name, given = ("ceiling", self._ceiling) if auto else ("concurrency", concurrency)
        note = "the connections of one client"
        most = checks.whole(name, given, most=CONNECTIONS, note=note, error=errors.SettingsError)
        return float(min(_START, most) if auto else most), most


def _take_one_of_the_day(day: Window, now: float) -> None:
    opens_at = day.ready_at(now, 1)
    if opens_at > now:
        error = errors.QuotaExhausted(
            f"the {day.quota:g} requests a day that you allow are used up",
            Remedy("raise ", Argument("rpd")),
            retry_after=opens_at - now,
            failure=Failure.FATAL,
        )
        error.scope = "day"
        raise error
    day.take(now, 1)
