"""The batches that are kept."""

from __future__ import annotations

import attrs

from gemtune.emulator.messages.contents import StoredContent
from gemtune.emulator.world.batches.lines import BatchFate, LineFates
from gemtune.emulator.world.batches.plan import BatchCourse, BatchLife, batch_life
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Principal


@attrs.frozen
class BatchEnd:
    """What a batch has come to.

    Args:
        successful: requests that were answered.
        failed: requests that got an error.
        output: the lines of the results of a batch whose requests came with its creation; otherwise they are a file.
    """

    successful: int
    failed: int
    output: StoredContent | None = None


@attrs.define(kw_only=True, eq=False)
class StoredBatch:
    """A batch.

    Args:
        number: orders lists.
        owner: who created it.
        version: of the API in which it was created.
        model: what it asks.
        display_name: its owner's.
        input_name: the file that its requests came in; empty if they came with its creation.
        input: the lines of its requests, as long as it needs them.
        tokens: of its requests, if they were counted.
        plan: of its life.
        fate: of its lines.
        cancelled: when that was asked for.
        end: what it has come to, once that is settled.
    """

    number: int
    owner: Principal
    version: str
    model: str
    display_name: str
    input_name: str
    input: StoredContent | None
    tokens: int
    plan: BatchCourse
    fate: BatchFate
    cancelled: int | None = None
    end: BatchEnd | None = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def output_name(self) -> str:
        """The name of the file of its results."""
        return f"files/batch-{self.name.removeprefix('batches/')}"

    def life(self) -> BatchLife:
        return batch_life(self.plan, self.cancelled)

    def is_due(self, now: int) -> bool:
        """Return whether it has ended and its results have not been made yet."""
        if self.end is not None:
            return False
        ended = self.life().ended
        return ended is not None and ended <= now

    def counts(self, now: int, settings: Settings) -> tuple[int, int]:
        """Return how many requests have been answered and how many have failed by now."""
        life = self.life()
        if self.end is not None and life.ended is not None and life.ended <= now:
            return self.end.successful, self.end.failed
        finished = life.finished(now)
        fates = LineFates.of(self.plan, self.fate, settings)
        failed = 0 if fates.all_well else sum(fates.fails(line) for line in fates.order()[:finished])
        return finished - failed, failed

    def shows_output(self, now: int, settings: Settings) -> bool:
        """Return whether its results can be had."""
        life, lag = self.life(), self.fate.output_seconds
        lag = settings.batch_output_seconds if lag is None else lag
        if life.ended is None or now < life.ended + round(lag * 10**9):
            return False
        return life.end_state == "SUCCEEDED" or (life.end_state == "CANCELLED" and life.finished(now) > 0)


@attrs.define
class StoredBatches:
    """Batches by name."""

    batches: dict[str, StoredBatch] = attrs.field(factory=dict, init=False)

    def of(self, owner: Principal, now: int) -> list[StoredBatch]:
        """Return the batches of an owner that have been created, oldest first."""
        every = list(self.batches.values())
        return [each for each in every if each.owner.email == owner.email and each.plan.created <= now]

    def waiting(self, now: int) -> list[StoredBatch]:
        """Return the batches that have not ended."""
        every = [each for each in list(self.batches.values()) if each.end is None]
        return [each for each in every if (ended := each.life().ended) is None or now < ended]
