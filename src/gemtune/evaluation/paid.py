"""What the answers in the folder of an evaluation have cost: they are there, so they were paid for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from gemtune.batch.journal.reading import UNREADABLE, not_an_outcome, read_records
from gemtune.errors import JournalMismatch
from gemtune.evaluation.asking import usage_of
from gemtune.evaluation.folder import INDEX, files_of
from gemtune.money import MILLION


@attrs.frozen(kw_only=True)
class PaidAnswers:
    """What one journal of an evaluation holds.

    Args:
        label: The label of the model, or the name of the judge's metric.
        by_judge: Whether it is a judge's.
        prompt_tokens: Of all replies in it.
        output_tokens: Of all replies in it, thoughts included.
    """

    label: str
    by_judge: bool = False
    prompt_tokens: int = 0
    output_tokens: int = 0

    def cost(self, price: tuple[float, float]) -> float:
        """Return what they have cost, by the price of a million input and of a million output tokens."""
        return (self.prompt_tokens * price[0] + self.output_tokens * price[1]) / MILLION


def paid_answers(folder: Path) -> Iterator[PaidAnswers]:
    """Yield what each journal in the folder of an evaluation holds; nothing if there is none; blocks.

    A reply that was refused and asked for again is in none of them.

    Raises:
        JournalError: One of them cannot be read.
    """
    if not folder.is_dir():
        return
    known = files_of(folder / INDEX)
    for path in sorted(folder.glob("*.journal")):
        about = known.get(path.name, {})
        found = PaidAnswers(label=str(about.get("label", "")), by_judge=about.get("holds") == "verdicts")
        with suppress(JournalMismatch):  # a kill has torn its first line, or else whoever evaluates says what is wrong
            found = _with_answers(found, path)
        yield found


def _with_answers(found: PaidAnswers, path: Path) -> PaidAnswers:
    asked = answered = 0
    for offset, record in read_records(path):
        try:
            usage = usage_of(record.to_result())
        except UNREADABLE:
            raise not_an_outcome(path, offset) from None
        if usage is not None:
            asked += usage.prompt_token_count
            answered += usage.candidates_token_count + usage.thoughts_token_count
    return attrs.evolve(found, prompt_tokens=asked, output_tokens=answered)
