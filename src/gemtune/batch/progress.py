"""How far a batch is, and how fast it goes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import attrs

from gemtune.batch.result import BatchResult
from gemtune.loops import current_time
from gemtune.types import UsageMetadata

_SECOND: Final = 1.0
_WINDOW: Final = 30


@attrs.frozen(kw_only=True)
class BatchStatistics:
    """How far a batch is.

    Args:
        done: Items answered by this run.
        without_answer: Those of them whose reply was blocked, or is JSON that was cut short. Always 0 with ``accept``.
        finish_reasons: How often the replies ended for which reason; a blocked prompt counts by its block reason.
        failed: Items that failed in this run.
        skipped: Items that the journal already held.
        in_flight: Requests under way.
        parked: Items that wait for the end of an outage or a push-back to be tried again.
        waiting: Results that wait for the consumer, the journal, or their turn.
        requests: Requests made by this run, repeats included.
        prompt_tokens: In the prompts of this run's replies.
        output_tokens: In their candidates and thoughts.
        total: Items in the input, if its length is known.
        elapsed: Seconds since the run began.
        rate: Items a second, over the last half minute.
        eta: Seconds until the end at that rate, if the total is known.
        limit: What holds the run back at present; "" once nothing does, at its end.
        jobs: Batches of this run that the service works on; always 0 with the local engine.
        jobs_waiting: Those that wait to be created, because the service has no room for another one.
        unmatched: Lines of their results that belong to none of their items, or came twice. They are not used.
    """

    done: int
    without_answer: int
    finish_reasons: Mapping[str, int]
    failed: int
    skipped: int
    in_flight: int
    parked: int
    waiting: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    total: int | None
    elapsed: float
    rate: float
    eta: float | None
    limit: str
    jobs: int = 0
    jobs_waiting: int = 0
    unmatched: int = 0


@attrs.define(eq=False)
class RunTally:
    """What a run counts; time is an argument.

    Args:
        began: When the run began.
        over: When it ended; None as long as it has not.
    """

    began: float
    over: float | None = attrs.field(default=None, init=False)
    done: int = 0
    failed: int = 0
    skipped: int = 0
    requests: int = 0
    in_flight: int = 0
    parked: int = 0
    jobs: int = 0
    jobs_waiting: int = 0
    unmatched: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    without_answer: int = 0
    finish_reasons: Counter[str] = attrs.field(factory=Counter)
    _marks: deque[tuple[float, int]] = attrs.field(factory=lambda: deque(maxlen=_WINDOW + 1), repr=False)

    def __attrs_post_init__(self) -> None:
        self._marks.append((self.began, 0))

    @property
    def finished(self) -> int:
        """Items with an outcome in this run."""
        return self.done + self.failed

    def now(self) -> float:
        """Return the time up to which it counts: the present, or the end of the run."""
        return current_time() if self.over is None else self.over

    def count(self, result: BatchResult, now: float) -> None:
        """Count an outcome."""
        if result.ok:
            self.done += 1
        else:
            self.failed += 1
        self.paid(result.usage)
        if now >= self._marks[-1][0] + _SECOND:
            self._marks.append((now, self.finished))

    def ended(self, reason: str, without_answer: bool) -> None:
        """Count how an accepted reply ended."""
        self.finish_reasons[reason or "none"] += 1
        self.without_answer += without_answer

    def paid(self, usage: UsageMetadata | None) -> None:
        """Count the tokens of a reply, whatever became of it."""
        if usage is not None:
            self.prompt_tokens += usage.prompt_token_count
            self.output_tokens += usage.candidates_token_count + usage.thoughts_token_count

    def rate(self, now: float) -> float:
        """Return the items a second over the last half minute."""
        since, finished = self._marks[0]
        return (self.finished - finished) / (now - since) if now > since else 0.0

    def statistics(self, now: float, *, waiting: int, total: int | None, limit: str) -> BatchStatistics:
        """Return the counts as their user sees them, with what others know."""
        rate = self.rate(now)
        left = None if total is None else max(0, total - self.skipped - self.finished)
        return BatchStatistics(
            done=self.done,
            without_answer=self.without_answer,
            finish_reasons=dict(self.finish_reasons),
            failed=self.failed,
            skipped=self.skipped,
            in_flight=self.in_flight,
            parked=self.parked,
            waiting=waiting,
            requests=self.requests,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
            total=total,
            elapsed=now - self.began,
            rate=rate,
            eta=None if left is None or rate <= 0 else left / rate,
            limit=limit,
            jobs=self.jobs,
            jobs_waiting=self.jobs_waiting,
            unmatched=self.unmatched,
        )
