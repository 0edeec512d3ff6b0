"""Everything a limiter decides: may one more request leave, and what does its end teach?

Pure: the time is an argument and the dice are given. The parts are pure too: concurrency (aimd), rates (rate), outages
(outage), the meaning of errors (verdict).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import attrs

from gemtune.config import BatchPolicy
from gemtune.errors import CallError, DeadlineExceeded, Failure
from gemtune.limiter.concurrency import Aimd
from gemtune.limiter.pauses import Outage
from gemtune.limiter.rate import LearnedRate, Meter, Window
from gemtune.limiter.spending import Spending
from gemtune.limiter.tokens import TokenEstimate
from gemtune.limiter.verdict import Signal, Verdict, quota_of, seconds_to_reset, signal_of, words_of

# A quota per minute without a hint: half a window is the least that makes sense.
_MINUTE_WITHOUT_HINT = 30.0
# So many items refused with the same words, one after the other, are not at fault themselves: before anything was
# answered it takes few, later more, because neighbouring rows may name the same thing.
_SAME_REFUSALS = 3
_SAME_REFUSALS_LATER = 50


@attrs.define(eq=False)
class Grant:
    """One request that may leave.

    Args:
        tokens: The input tokens reserved for it.
        sent_at: When it was granted.
        probe: Whether it asks if an outage is over.
        ratio: The ratio with which its tokens were estimated.
    """

    tokens: int
    sent_at: float
    probe: bool
    ratio: float


@attrs.define(eq=False)
class Control:
    """The decisions of one limiter.

    Args:
        aimd: The adaptive limit.
        policy: How patiently a busy service is treated.
        dice: Returns random numbers in [0, 1).
    """

    aimd: Aimd
    policy: BatchPolicy
    dice: Callable[[], float] = attrs.field(repr=False)
    meters: dict[str, Meter] = attrs.field(factory=dict)
    in_flight: int = attrs.field(default=0, init=False)
    allowed: int = attrs.field(init=False)
    accepted: int = attrs.field(default=0, init=False)
    rejected: int = attrs.field(default=0, init=False)
    troubled: int = attrs.field(default=0, init=False)
    gate: float = attrs.field(default=-math.inf, init=False)
    pause: float = attrs.field(default=-math.inf, init=False)
    outage: Outage = attrs.field(init=False)
    spending: Spending = attrs.field(factory=Spending, init=False)
    estimate: TokenEstimate = attrs.field(factory=TokenEstimate, init=False)
    _limit_before: float = attrs.field(default=0.0, init=False)
    _taught_at: float = attrs.field(default=-math.inf, init=False)
    _daily_at: float = attrs.field(default=math.inf, init=False)
    _success_at: float = attrs.field(default=-math.inf, init=False)
    _refusal: str = attrs.field(default="", init=False, repr=False)
    _refusals: int = attrs.field(default=0, init=False, repr=False)
    _last_minute: Window = attrs.field(factory=lambda: Window(math.inf), init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with nothing in flight."""
        self.outage = Outage(self.policy.first_probe, self.policy.longest_probe)
        self.allowed = int(self.aimd.limit)

    def ready_at(self, now: float, tokens: int) -> float:
        """Return when one more request may leave: ``now`` or earlier, later, or infinity for "when one returns"."""
        if self.in_flight >= self.allowed:
            return math.inf
        at = max(self.gate, self.pause)
        if self.outage.since is not None:
            at = max(at, self.outage.probe_at)
        for name, meter in self.meters.items():
            at = max(at, meter.ready_at(now, tokens if name in _TOKENS else 1))
        return at

    def binding(self, now: float, tokens: int) -> str:
        """Return the name of the limit that one more request would wait for longest, or ``""``."""
        if self.outage.since is not None:
            return "outage"
        if self.in_flight >= self.allowed:
            return "concurrency"
        if max(self.gate, self.pause) > now:
            return "gate"
        times = {name: meter.ready_at(now, tokens if name in _TOKENS else 1) for name, meter in self.meters.items()}
        return max(times, key=lambda name: times[name]) if max(times.values(), default=now) > now else ""

    def grant(self, now: float, tokens: int) -> Grant:
        """Let one request leave."""
        self.in_flight += 1
        probe = self.outage.since is not None
        if probe:
            self.outage.probe_sent()
        for name, meter in self.meters.items():
            meter.take(now, tokens if name in _TOKENS else 1)
        return Grant(tokens, now, probe, self.estimate.ratio)

    def release(self, grant: Grant) -> None:
        """Count a request as no longer in flight, however it ended."""
        self.in_flight -= 1
        if grant.probe:
            self.outage.probe_over()

    def refund(self, grant: Grant) -> None:
        """Give back what a request had taken: it never left."""
        for name, meter in self.meters.items():
            meter.correct(grant.sent_at, -(grant.tokens if name in _TOKENS else 1))

    def succeeded(self, grant: Grant, now: float, usage_tokens: int | None) -> None:
        """Learn from a reply."""
        in_flight = self.in_flight
        self.release(grant)
        self.accepted += 1
        self._refusals = 0
        self._success_at = now
        # The service takes requests again: the pause after a push-back is over.
        self.pause = -math.inf
        self.spending.answered(grant.sent_at)
        self._last_minute.take(now, 1)
        if usage_tokens is not None and grant.tokens:
            self.estimate.learn(grant.tokens, grant.ratio, usage_tokens)
            for name, meter in self.meters.items():
                if name in _TOKENS:
                    meter.correct(grant.sent_at, usage_tokens - grant.tokens)
        changed = self.aimd.success(grant.sent_at, in_flight)
        if self._alive(grant) or changed:
            self.settle()

    def failed(self, grant: Grant, now: float, wall: float, error: CallError, failures: int) -> Verdict:
        """Learn from a failure, and say what becomes of the item.

        Args:
            grant: The request that failed.
            now: The time.
            wall: Seconds since 1970.
            error: The failure of this attempt.
            failures: How many failures of this item have counted before.
        """
        if isinstance(error, DeadlineExceeded) and error.failure is Failure.NOT_SENT:
            # Our own time ran out before anything was sent: nothing to learn about the service.
            self.release(grant)
            self.refund(grant)
            return Verdict(action="fail", reason=error.message)
        signal = signal_of(error, self.policy.max_hint)
        if signal is Signal.RATE and getattr(error, "scope", "") == "day" and grant.sent_at > self._daily_at:
            signal = Signal.DOOMED
        in_flight = self.in_flight
        self.release(grant)
        if error.failure is Failure.NOT_SENT:
            self.refund(grant)
        if signal is Signal.RATE:
            verdict = self._throttled(grant, now, error)
        elif signal is Signal.SPENT:
            verdict = self._overspent(grant, now, error)
        elif signal is Signal.CROWDED:
            verdict = self._crowded(grant, now, error, in_flight)
        elif signal is Signal.TROUBLE:
            verdict = self._troubled(grant, now, error, failures)
        else:
            self._alive(grant)
            doomed = signal is Signal.DOOMED or (signal is Signal.REFUSED and self._refused(error))
            reset_after = seconds_to_reset(error, wall) if doomed else None
            verdict = Verdict(action="stop" if doomed else "fail", reset_after=reset_after, reason=error.message)
        self.settle()
        return verdict

    def settle(self) -> None:
        """Derive the concurrency allowed after anything has changed."""
        self.allowed = max(1, int(min(self.aimd.limit, self.outage.ramp)))

    def _alive(self, grant: Grant) -> bool:
        """Note that the service answers; returns whether the concurrency allowed may have changed."""
        ended = grant.probe and self.outage.open
        if ended:
            self.outage.probe_succeeded(self.aimd.limit, self.in_flight)
        return self.outage.alive(self.aimd.limit) or ended

    def _refused(self, error: CallError) -> bool:
        """Count refusals with the same words in a row; returns whether they are too many to be the items' fault."""
        said = words_of(error)
        self._refusals = self._refusals + 1 if said == self._refusal else 1
        self._refusal = said
        return self._refusals >= (_SAME_REFUSALS_LATER if self.accepted else _SAME_REFUSALS)

    def _throttled(self, grant: Grant, now: float, error: CallError) -> Verdict:
        """A quota per minute: one gate for all, and a lesson from the first of an episode."""
        self.rejected += 1
        self._alive(grant)
        hint = _MINUTE_WITHOUT_HINT if error.retry_after is None else error.retry_after
        if grant.sent_at <= self._taught_at:
            # Sent before the lesson was learned: it says when, but nothing new about how fast.
            self.gate = max(self.gate, now + hint)
        else:
            self.gate = max(self.gate, now + hint + self.dice() * min(2.0, 0.05 * hint))
            self._learn_rate(now, error)
            self._taught_at = now
        if getattr(error, "scope", "") == "day":
            self._daily_at = min(self._daily_at, now)
        return Verdict(action="retry", reason="a quota per minute is used up")

    def _overspent(self, grant: Grant, now: float, error: CallError) -> Verdict:
        """Too much was spent in the last minutes: one gate for all, as long as that can be the reason."""
        self.rejected += 1
        self._alive(grant)
        opens_at = self.spending.refused(grant.sent_at, now, error.retry_after)
        if opens_at is None:
            return Verdict(action="stop", reset_after=error.retry_after, reason=error.message)
        self.gate = max(self.gate, opens_at)
        return Verdict(action="retry", reason="too much was spent in the last minutes")

    def _learn_rate(self, now: float, error: CallError) -> None:
        quota = quota_of(error)
        name = "learned tpm" if quota.tokens else "learned rpm"
        told = quota.per_minute is not None
        if quota.per_minute is not None:
            rate = quota.per_minute / 60
        elif not quota.tokens:
            rate = (self._last_minute.count(now) + self.in_flight) / 60
        else:
            return
        known = self.meters.get(name)
        if isinstance(known, LearnedRate):
            known.learn(rate, self.gate, told=told, closed_at=now)
        else:
            self.meters[name] = LearnedRate(rate, self.gate, told, now)

    def _crowded(self, grant: Grant, now: float, error: CallError, in_flight: int) -> Verdict:
        """Pushed back without a time: fewer at once, after a short pause for all."""
        self.rejected += 1
        self._remember_limit()
        # What is refused during an outage was one probe, or left before it: neither tells how many are too many.
        cut = not self.outage.open and self.aimd.push_back(grant.sent_at, now, in_flight)
        if cut or self._success_at <= self.aimd.cut_at:
            # Nothing has succeeded since the cut: all that comes back is refused, so the pause goes on.
            self.pause = max(self.pause, now + 0.25 + 0.25 * self.dice())
        if error.retry_after is not None:
            self.gate = max(self.gate, now + error.retry_after * (1 + 0.05 * self.dice()))
        if error.status == 429:
            self._alive(grant)
        else:
            # Crowded while others are answered; down when far more are refused than are still on their way.
            self._count_failure(grant, now, error, max(8, 2 * self.in_flight))
        return Verdict(action="retry", reason="the service is crowded")

    def _troubled(self, grant: Grant, now: float, error: CallError, failures: int) -> Verdict:
        """No readable answer: alone it is bad luck, many in a row are an outage."""
        self.troubled += 1
        self._remember_limit()
        self.aimd.trouble()
        since = self.outage.since
        self._count_failure(grant, now, error, max(5, min(16, self.allowed // 8)))
        blamed = self._success_at > grant.sent_at or (since is not None and now - since > self.policy.patience)
        if error.failure is not Failure.AMBIGUOUS or not blamed:
            return Verdict(action="retry", reason="the service does not answer")
        action: Literal["retry", "fail"] = "retry" if failures < self.policy.repeats else "fail"
        delay = self.dice() * min(self.policy.backoff, 2.0**failures)
        return Verdict(action=action, counted=True, delay=delay, reason=error.message)

    def _count_failure(self, grant: Grant, now: float, error: CallError, threshold: int) -> None:
        if self.outage.failed(now, self.dice(), threshold):
            # What was cut on the way into the outage was not crowded.
            self.aimd.retune(min(self._limit_before, self.aimd.ceiling), self.aimd.ceiling)
        elif grant.probe and self.outage.open:
            self.outage.probe_failed(now, self.dice(), error.retry_after)

    def _remember_limit(self) -> None:
        if self.outage.streak == 0:
            self._limit_before = self.aimd.limit


_TOKENS = frozenset({"tpm", "learned tpm"})
