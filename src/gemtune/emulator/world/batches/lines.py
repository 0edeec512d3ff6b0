"""How each line of a batch fares: what the plan draws for a part of the lines, and a fate of single ones."""

from __future__ import annotations

import hashlib
from array import array

import attrs

from gemtune.emulator.world.batches.plan import BatchCourse
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.typed import check


@attrs.frozen(kw_only=True)
class BatchFate:
    """What a test wants to happen to the lines of the next batch of the Gemini API; they are counted from 1.

    What becomes of the batch as a whole says a ``JobFate``.

    Args:
        failed_lines: they get an error instead of an answer.
        missing_lines: the results say nothing of them, although they are counted as successful.
        repeated_lines: their result comes twice.
        crossed_lines: their result has the key of the line after them, and that one theirs.
        shuffled: whether the results come in another order than the requests; None for the setting.
        output_seconds: how long after its end the results of the batch appear; None for the setting.
    """

    failed_lines: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    missing_lines: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    repeated_lines: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    crossed_lines: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    shuffled: bool | None = None
    output_seconds: float | None = None

    def __attrs_post_init__(self) -> None:
        check(self, *attrs.fields_dict(BatchFate))
        lines = (*self.failed_lines, *self.missing_lines, *self.repeated_lines, *self.crossed_lines)
        if any(line < 1 for line in lines):
            raise ValueError(f"lines are counted from 1, not from {min(lines)}")
        if self.output_seconds is not None and self.output_seconds < 0:
            raise ValueError(f"output_seconds must be at least 0, not {self.output_seconds}")


@attrs.frozen
class LineFates:
    """What becomes of the lines of one batch; they are counted from 0 in here."""

    plan: BatchCourse
    fate: BatchFate
    repeated: float
    crossed: float

    @classmethod
    def of(cls, plan: BatchCourse, fate: BatchFate, settings: Settings) -> LineFates:
        """Return what the settings say now, besides the plan."""
        return cls(plan, fate, settings.batch_repeated, settings.batch_crossed)

    @property
    def all_well(self) -> bool:
        """Whether no line gets an error that was asked for."""
        return not self.fate.failed_lines and not self.plan.failed

    def fails(self, line: int) -> bool:
        """Return whether a line gets an error instead of an answer."""
        return line + 1 in self.fate.failed_lines or (self.plan.failed > 0 and self.plan.fails(line))

    def copies(self, line: int) -> int:
        """Return how often the results have a line: once, and by its fate twice or not at all."""
        if line + 1 in self.fate.missing_lines or (self.plan.missing > 0 and self.plan.is_missing(line)):
            return 0
        return 2 if line + 1 in self.fate.repeated_lines or self._meets("repeated", line, self.repeated) else 1

    def key_of(self, line: int) -> int:
        """Return the line whose key the result of a line has: its own, or that of its neighbour."""
        crossed, last = self.fate.crossed_lines, self.plan.requests - 1
        if line + 1 in crossed and line < last:
            return line + 1
        if line in crossed:
            return line - 1
        pair = line // 2 * 2
        return line ^ 1 if pair < last and self._meets("crossed", pair, self.crossed) else line

    def order(self) -> array[int]:
        """Return the lines in the order in which they are finished."""
        shuffled = self.plan.shuffled if self.fate.shuffled is None else self.fate.shuffled
        return attrs.evolve(self.plan, shuffled=shuffled).order()

    def response_id(self, line: int) -> str:
        """Return the id of an answer, 22 characters as those of the service."""
        return hashlib.blake2b(f"{self.plan.seed}/{self.plan.name}/{line}".encode(), digest_size=11).hexdigest()

    def _meets(self, what: str, line: int, part: float) -> bool:
        if not part:
            return False
        text = f"{self.plan.seed}/{self.plan.name}/{what}/{line}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64 < part
