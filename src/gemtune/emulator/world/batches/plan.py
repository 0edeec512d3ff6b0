"""A batch as a pure function of time, on whichever service.

::

    created ────── started ──── requests, one after the other ──── ended
     PENDING        RUNNING                                         SUCCEEDED (some of its requests may have failed)

Nothing runs in the background: how many requests are answered follows from what time it is. Which of them fail, which
are never heard of again and in which order they come is drawn from a hash of the seed, the batch's name and the
request's number. A ``JobFate`` says of a batch what it says of a tuning job, with requests for steps: ``fail_at_step``
fails the whole batch, with ``stall_at_step`` it runs and does not get beyond that request, and with ``stuck_ingestion``
it is never begun. A batch that takes too long EXPIRES, and a cancelled one is CANCELLING for a moment.
"""

from __future__ import annotations

import hashlib
import random
from array import array

import attrs

from gemtune.emulator.world.clock import LATEST, nanoseconds
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check

_MOST_REQUESTS = 1 << 24
_INTERNAL = "Internal error occurred. Please try again."


@attrs.frozen(kw_only=True)
class BatchCourse:
    """What is settled about a batch when it is created; times in nanoseconds.

    Args:
        name: of the batch.
        requests: how many it has.
        created: when.
        queue: from then until it is begun.
        run: from then until its last request is answered.
        cancelling: how long it is CANCELLING.
        most_queue: how long after its creation it expires if it was not begun.
        most_run: how long after its beginning it expires.
        seed: of what is drawn.
        failed: part of its requests that fail.
        missing: part of its requests without a line in the results.
        shuffled: whether its lines come in another order than its requests.
        fate: what a test wants to happen to it.
        error: (google.rpc code, message) if its input cannot be used.
    """

    name: str
    requests: int
    created: int
    queue: int
    run: int
    cancelling: int
    most_queue: int
    most_run: int
    seed: int
    failed: float = 0.0
    missing: float = 0.0
    shuffled: bool = True
    fate: JobFate = attrs.field(factory=JobFate)
    error: tuple[int, str] | None = None

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(BatchCourse))
        times = (self.queue, self.run, self.cancelling, self.most_queue, self.most_run, self.requests)
        if min(times) < 0 or not 0 <= self.created <= LATEST or self.requests > _MOST_REQUESTS:
            raise ValueError(f"a batch of {self.requests} requests with the times {times} is impossible")

    @classmethod
    def of(cls, settings: Settings, *, cancelling: float, hours: tuple[float, float], **facts: object) -> BatchCourse:
        """Return the plan that the settings say now.

        Args:
            settings: the knobs.
            cancelling: seconds.
            hours: for how many it may wait, and for how many run.
            facts: the other fields.
        """
        most_queue, most_run = (nanoseconds(3600 * each) for each in hours)
        return cls(
            queue=nanoseconds(settings.batch_queue_seconds), run=nanoseconds(settings.batch_seconds),
            cancelling=nanoseconds(cancelling), most_queue=most_queue, most_run=most_run, seed=settings.seed,
            failed=settings.batch_failed, missing=settings.batch_missing, shuffled=settings.batch_shuffled,
            **facts,  # type: ignore[arg-type]
        )  # fmt: skip

    def fails(self, number: int) -> bool:
        """Return whether a request (from 0) fails."""
        return self._die("failed", number) < self.failed

    def is_missing(self, number: int) -> bool:
        """Return whether nothing is ever heard of a request."""
        return self._die("missing", number) < self.missing

    def _die(self, what: str, number: int) -> float:
        text = f"{self.seed}/{self.name}/{what}/{number}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64

    def order(self) -> array[int]:
        """Return the requests in the order in which they are answered."""
        order = array("L", range(self.requests))
        if self.shuffled:
            random.Random(f"{self.seed}/{self.name}").shuffle(order)  # noqa: S311 - an emulator's
        return order


@attrs.frozen(kw_only=True)
class BatchLife:
    """When what happens to a batch: instants in nanoseconds, None for never.

    Args:
        plan: of the batch.
        started: when it is begun.
        ended: when it is over.
        end_state: its state then, without a prefix.
        cancelled: when a cancellation was asked for.
        error: (google.rpc code, message) of the whole batch, if it has one.
    """

    plan: BatchCourse
    started: int | None
    ended: int | None
    end_state: str = "SUCCEEDED"
    cancelled: int | None = None
    error: tuple[int, str] | None = None

    def state(self, now: int) -> str:
        """Return the state without its prefix."""
        if _past(self.ended, now):
            return self.end_state
        if _past(self.cancelled, now):
            return "CANCELLING"
        return "RUNNING" if _past(self.started, now) else "PENDING"

    def finished(self, now: int) -> int:
        """Return how many requests are answered by now, those that failed included."""
        until = min(each for each in (now, self.ended, self.cancelled) if each is not None)
        if self.started is None or until < self.started or self.plan.error is not None:
            return 0
        plan, past = self.plan, until - self.started
        done = plan.requests if past >= plan.run else plan.requests * past // plan.run
        limits = (plan.fate.stall_at_step, plan.fate.fail_at_step)
        return min(done, *(each for each in limits if each is not None), plan.requests)

    def updated(self, now: int) -> int:
        """Return the time of the latest change of its state."""
        instants = (self.plan.created, self.started, self.cancelled, self.ended)
        return max(each for each in instants if each is not None and each <= now)


def _past(instant: int | None, now: int) -> bool:
    return instant is not None and instant <= now


def batch_life(plan: BatchCourse, cancelled: int | None) -> BatchLife:
    """Return the life of a batch.

    Args:
        plan: of the batch.
        cancelled: when a cancellation was asked for, if it was.
    """
    begins, fate = plan.created + plan.queue, plan.fate
    if fate.stuck_ingestion or plan.queue > plan.most_queue:
        life = BatchLife(plan=plan, started=None, ended=plan.created + plan.most_queue, end_state="EXPIRED")
    elif plan.error is not None:
        life = BatchLife(plan=plan, started=begins, ended=begins, end_state="FAILED", error=plan.error)
    elif fate.fail_at_step is not None and fate.fail_at_step < plan.requests:
        message = fate.message if fate.message != JobFate().message else _INTERNAL
        ended = begins + plan.run * fate.fail_at_step // plan.requests
        life = BatchLife(plan=plan, started=begins, ended=ended, end_state="FAILED", error=(fate.code, message))
    elif plan.run > plan.most_run or (fate.stall_at_step is not None and fate.stall_at_step < plan.requests):
        life = BatchLife(plan=plan, started=begins, ended=begins + plan.most_run, end_state="EXPIRED")
    else:
        life = BatchLife(plan=plan, started=begins, ended=begins + plan.run)
    if cancelled is None or _past(life.ended, cancelled):
        return life
    started = life.started if _past(life.started, cancelled) else None
    ended = cancelled + plan.cancelling
    return BatchLife(plan=plan, started=started, ended=ended, end_state="CANCELLED", cancelled=cancelled)
