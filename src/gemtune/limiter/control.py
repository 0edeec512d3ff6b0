"""Everything a limiter decides: may one more request leave, and what does its end teach?

``Control`` holds one ledger for each thing that can hold a request back (the adaptive limit, the meters, the gate, the
outage, spending) and asks each of them in turn; which of them an error is about is ``ruling``'s to say.

Pure: the time is an argument and the dice are given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

import attrs

from gemtune.config import BatchPolicy
from gemtune.errors import BadRequest, CallError, DeadlineExceeded, Failure
from gemtune.limiter.concurrency import AdaptiveLimit
from gemtune.limiter.pauses import Gate, Outage, Spending
from gemtune.limiter.rate import MINUTE, Meters, TokenEstimate
from gemtune.limiter.ruling import Ruling, Signal, crowd_of, minute_quota, seconds_to_reset, signal_of, words_of

# A quota per minute without a hint: half a window is the least that makes sense.
_MINUTE_WITHOUT_HINT: Final = 30.0
# So many items refused with the same words, one after the other, are not at fault themselves: before anything was
# answered it takes few, later more, because neighbouring rows may name the same thing.
_SAME_REFUSALS: Final = 3
_SAME_REFUSALS_LATER: Final = 50
# These are answers of a kind: INTERNAL and DEADLINE_EXCEEDED may be about one prompt, however often it is sent.
_ANSWERS: Final = frozenset({500, 504})
# The last rows of an input, all of them bad, look like an outage: so much of the patience they are taken for one.
_LAST_PATIENCE: Final = 0.1
# Of a million items that fail so often in a row, chance explains one.
_HARDLY: Final = 1e-6
_LEAST_REPEATS: Final = 2


@attrs.define(eq=False)
class Sent:
    """One request that may leave.

    Args:
        tokens: The input tokens reserved for it.
        number: Which one it is, as ``Refusals`` counts.
        sent_at: When it was let go.
        probe: Whether it asks if an outage is over.
        ratio: The ratio with which its tokens were estimated.
    """

    tokens: int
    number: int
    sent_at: float
    probe: bool
    ratio: float


@attrs.define(eq=False)
class Counts:
    """How many requests ended in which way."""

    accepted: int = 0
    rejected: int = 0
    troubled: int = 0


@attrs.define(eq=False)
class SameRefusals:
    """Refusals with the same words in a row: so many, and they are not the items' fault.

    What says that the request itself is wrong is that only while nothing was ever answered, and everything that was
    under way when the row began has come back: refusals are quick, and answers to others may be on their way.
    """

    words: str = ""
    count: int = 0
    _since: int = 0
    _earlier: int = 0

    def ruling(self, error: CallError, signal: Signal, sent: int, in_flight: int, answered: bool) -> Ruling:
        """Count one; return what becomes of the item, and of the run if they are too many.

        Args:
            error: What the service said.
            signal: What it means if it is met once.
            sent: How many requests were ever sent.
            in_flight: How many are under way.
            answered: Whether it has ever answered a request of this limiter.
        """
        words = words_of(error)
        if words != self.words or not self.count:
            self.words, self.count, self._since, self._earlier = words, 0, sent, in_flight
        self.count += 1
        if signal is Signal.ITEM:
            of_the_service = isinstance(error, BadRequest) and not answered
            same = of_the_service and self.count >= _SAME_REFUSALS_LATER and self._earlier <= 0
        else:
            same = self.count >= (_SAME_REFUSALS_LATER if answered else _SAME_REFUSALS)
        if not same:
            return Ruling(action="fail", reason=error.message)
        return Ruling(action="stop", guessed=True, reason=f"{self.count} items in a row were refused alike")

    def returned(self, number: int) -> None:
        """Note that a request is back."""
        if number <= self._since:
            self._earlier -= 1


@attrs.define(eq=False)
class Heard:
    """When the service last said what: a reply, a lesson about a rate, a quota per day.

    Args:
        only_bad: Whether since the last reply nothing was left but items that fail.
        crowd: What the latest push-back said that is used up, in words; empty for a quota and for nothing.
    """

    success_at: float = -math.inf
    only_bad: bool = False
    taught_at: float = -math.inf
    daily_at: float = math.inf
    crowd: str = ""


@attrs.define(eq=False)
class Control:
    """The decisions of one limiter.

    Args:
        adaptive: The adaptive limit.
        policy: How patiently a busy service is treated.
        dice: Returns random numbers in [0, 1).
    """

    adaptive: AdaptiveLimit
    policy: BatchPolicy
    dice: Callable[[], float] = attrs.field(repr=False)
    meters: Meters = attrs.field(factory=Meters, init=False)
    gate: Gate = attrs.field(factory=Gate, init=False)
    outage: Outage = attrs.field(init=False)
    spending: Spending = attrs.field(factory=Spending, init=False)
    estimate: TokenEstimate = attrs.field(factory=TokenEstimate, init=False)
    counts: Counts = attrs.field(factory=Counts, init=False)
    in_flight: int = attrs.field(default=0, init=False)
    allowed: int = attrs.field(init=False)
    _refusals: SameRefusals = attrs.field(factory=SameRefusals, init=False, repr=False)
    heard: Heard = attrs.field(factory=Heard, init=False, repr=False)
    _limit_before: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.outage = Outage(self.policy.first_probe, self.policy.longest_probe)
        self.allowed = int(self.adaptive.limit)

    def ready_at(self, now: float, tokens: int) -> float:
        """Return when one more request may leave: ``now`` or earlier, later, or infinity for "when one returns"."""
        if self.in_flight >= self.allowed:
            return math.inf
        at = max(self.gate.told, self.gate.breath)
        if self.outage.since is not None:
            at = max(at, self.outage.probe_at)
        return max(at, self.meters.latest(now, tokens)) if self.meters.by_name else at

    def binding(self, now: float, tokens: int) -> str:
        """Return the name of the limit that one more request would wait for longest, or ``""``."""
        if self.outage.opened:
            return "outage"
        if self.in_flight >= self.allowed:
            return "concurrency"
        if self.gate.opens_at > now:
            return "gate"
        times = {name: self.meters.ready_at(name, now, tokens) for name in self.meters.by_name}
        return max(times, key=lambda name: times[name]) if max(times.values(), default=now) > now else ""

    def send(self, now: float, tokens: int) -> Sent:
        """Let one request leave."""
        self.in_flight += 1
        probe = self.outage.since is not None
        if probe:
            self.outage.probe_sent()
        self.meters.take(now, tokens)
        return Sent(tokens, self.adaptive.refusals.number(), now, probe, self.estimate.ratio)

    def release(self, sent: Sent) -> None:
        """Count a request as no longer in flight, however it ended."""
        self.in_flight -= 1
        self._refusals.returned(sent.number)
        if sent.probe:
            self.outage.probe_over()

    def refund(self, sent: Sent) -> None:
        """Give back what a request had taken: it never left."""
        self.meters.refund(sent.sent_at, sent.tokens)

    def succeeded(self, sent: Sent, now: float, usage_tokens: int | None) -> None:
        """Learn from a reply."""
        in_flight = self.in_flight
        self.release(sent)
        self.counts.accepted += 1
        self._refusals.count = 0
        self.heard.success_at, self.heard.only_bad = now, False
        # The service takes requests again: the pause after a push-back is over.
        self.gate.breath = -math.inf
        self.spending.answered(sent.sent_at)
        self.meters.accepted(now)
        if usage_tokens is not None and sent.tokens:
            self.estimate.learn(sent.tokens, sent.ratio, usage_tokens)
            self.meters.counted(sent.sent_at, usage_tokens - sent.tokens)
        changed = self.adaptive.success(sent.number, now, in_flight)
        if self._alive(sent, now) or changed:
            self.settle()

    def failed(
        self, sent: Sent, now: float, wall: float, error: CallError, failures: int, *, last: bool = False
    ) -> Ruling:
        """Learn from a failure, and say what becomes of the item.

        Args:
            sent: The request that failed.
            now: The time.
            wall: Seconds since 1970.
            error: The failure of this attempt.
            failures: How many failures of this item have counted before.
            last: Whether nothing waits but what has failed before.
        """
        in_flight = self.in_flight
        self.release(sent)
        if error.failure is Failure.NOT_SENT:
            self.refund(sent)
            if isinstance(error, DeadlineExceeded):
                # Our own time ran out before anything was sent: nothing to learn about the service.
                return Ruling(action="fail", reason=error.message)
        signal = signal_of(error, self.policy.max_hint)
        if signal is Signal.RATE and getattr(error, "scope", "") == "day" and sent.sent_at > self.heard.daily_at:
            signal = Signal.DOOMED
        if signal in {Signal.RATE, Signal.SPENT, Signal.CROWDED}:
            self.heard.crowd = crowd_of(error)
        if signal is Signal.RATE:
            ruling = self._throttled(sent, now, error)
        elif signal is Signal.SPENT:
            ruling = self._overspent(sent, now, error)
        elif signal is Signal.CROWDED:
            ruling = self._crowded(sent, now, error, in_flight)
        elif signal is Signal.TROUBLE:
            ruling = self._troubled(sent, now, error, failures, last)
        else:
            self._alive(sent, now)
            answered = self.counts.accepted > 0
            ruling = (
                Ruling(action="stop", reset_after=seconds_to_reset(error, wall), reason=error.message)
                if signal is Signal.DOOMED
                else self._refusals.ruling(error, signal, self.adaptive.refusals.sent, self.in_flight, answered)
            )
        self.settle()
        return ruling

    def settle(self) -> None:
        """Derive the concurrency allowed after anything has changed."""
        self.allowed = max(1, int(min(self.adaptive.limit, self.outage.ramp)))

    def _alive(self, sent: Sent, now: float) -> bool:
        """Note that the service answers; returns whether the concurrency allowed may have changed."""
        ended = sent.probe and self.outage.opened
        if ended:
            self.outage.end(now)
            self.outage.start_slowly(self.adaptive.limit, self.in_flight)
        return self.outage.alive(self.adaptive.limit) or ended

    def _throttled(self, sent: Sent, now: float, error: CallError) -> Ruling:
        """A quota per minute: one gate for all, and a lesson from the first of an episode."""
        self.counts.rejected += 1
        self._alive(sent, now)
        hint = _MINUTE_WITHOUT_HINT if error.retry_after is None else error.retry_after
        if sent.sent_at <= self.heard.taught_at:
            # Sent before the lesson was learned: it says when, but nothing new about how fast.
            self.gate.close(now + hint)
        else:
            self.gate.close(now + hint + self.dice() * min(2.0, 0.05 * hint))
            self.heard.taught_at = now
            quota = minute_quota(error)
            told = quota.value if quota is not None else None
            name = "learned tpm" if quota is not None and quota.of_tokens else "learned rpm"
            if told or name == "learned rpm":
                rate = told / MINUTE if told else self.meters.accepted_rate(now, self.in_flight)
                self.meters.learn(name, rate, self.gate.told, told=bool(told), now=now)
        if getattr(error, "scope", "") == "day":
            self.heard.daily_at = min(self.heard.daily_at, now)
        return Ruling(action="retry", reason="a quota per minute is used up")

    def _overspent(self, sent: Sent, now: float, error: CallError) -> Ruling:
        """Too much was spent in the last minutes: one gate for all, as long as that can be the reason."""
        self.counts.rejected += 1
        self._alive(sent, now)
        opens_at = self.spending.refused(sent.sent_at, now, error.retry_after)
        if opens_at is None:
            return Ruling(action="stop", reset_after=error.retry_after, reason=error.message)
        self.gate.close(opens_at)
        return Ruling(action="retry", reason="too much was spent in the last minutes")

    def _crowded(self, sent: Sent, now: float, error: CallError, in_flight: int) -> Ruling:
        """Pushed back, nobody knows by what: this item waits as told, and all of them in a surge of refusals."""
        self.counts.rejected += 1
        adaptive, hint = self.adaptive, error.retry_after
        before = adaptive.limit
        # What is refused during an outage was one probe, or left before it: neither tells how many are too many.
        cut = not self.outage.opened and adaptive.push_back(sent.number, now, in_flight)
        delay = 0.0 if hint is None else hint * (1 + 0.05 * self.dice())
        if cut or self.heard.success_at <= adaptive.cut_at > -math.inf:
            # Nothing has succeeded since the cut: all that comes back is refused, so the pause continues.
            self.gate.pause(now + 0.25 + 0.25 * self.dice())
        if cut and adaptive.surging:
            # A time without a name may be that of a rate or of a cap: all wait for it, and then fewer go at once. In
            # simulations that uses 0.99 of a quota that does not name itself; a rate guessed from it used 0.92, and of
            # a cap with hints of 30 s no more than 0.4.
            self.gate.close(now + delay)
        if error.status == 429:
            self._alive(sent, now)
        else:
            # Crowded while others are answered; down when far more are refused than are still on their way.
            self._count_failure(sent, now, error, max(8, 2 * self.in_flight), before)
        return Ruling(action="retry", delay=delay, reason="the service is crowded")

    def _troubled(self, sent: Sent, now: float, error: CallError, failures: int, last: bool) -> Ruling:
        """No readable answer: alone it is bad luck, many in a row are an outage."""
        self.counts.troubled += 1
        answers = error.status in _ANSWERS
        if self.outage.opened or not (failures or (answers and self.heard.only_bad)):
            # An item that failed before while others were answered says nothing about the service by failing again.
            limit = self.adaptive.limit
            self.adaptive.trouble(sent.number, now)
            self._count_failure(sent, now, error, max(5, min(16, self.allowed // 5)), limit)
        beside_others = blamed = self.heard.success_at > sent.sent_at
        if not self.outage.opened:
            blamed = blamed or failures > 0 or (answers and self.heard.only_bad)
        elif not blamed and self.outage.since is not None:
            lasted = now - self.outage.since
            blamed = lasted > self.policy.patience
            if answers and last and lasted > _LAST_PATIENCE * self.policy.patience:
                # Nothing is left but items that fail, and each of them gets its answer: it is they, not the service.
                self.outage.end(now)
                blamed = self.heard.only_bad = True
        if error.failure is not Failure.AMBIGUOUS or not blamed:
            return Ruling(action="retry", reason="the service does not answer")
        share = self.adaptive.refusals.share if beside_others else 1.0
        action: Literal["retry", "fail"] = "fail" if _is_its_own(failures, self.policy.repeats, share) else "retry"
        delay = self.dice() * self.policy.wait_after(failures)
        return Ruling(action=action, counted=True, delay=delay, reason=error.message)

    def _count_failure(self, sent: Sent, now: float, error: CallError, most: int, limit: float) -> None:
        if not self.outage.streak:
            self._limit_before = limit
        if self.outage.failed(now, self.dice(), self.outage.streak + 1 >= most):
            # What was cut on the way into the outage was not crowded.
            self.adaptive.retune(min(self._limit_before, self.adaptive.ceiling), self.adaptive.ceiling)
        elif sent.probe and self.outage.opened:
            self.outage.probe_failed(now, self.dice(), error.retry_after)


def _is_its_own(failures: int, repeats: int, share: float) -> bool:
    """Return whether an item that fails once more has had its repeats, or chance would hardly strike it so often.

    Args:
        failures: How many of its failures have counted before.
        repeats: How often it is tried again at most.
        share: Which share of the requests fails by chance.
    """
    return failures >= repeats or (failures >= _LEAST_REPEATS and share ** (failures + 1) < _HARDLY)
