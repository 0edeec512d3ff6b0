"""What a journal holds of an input, for a plan: it is read as a run would read it, and nothing in it is changed.

No lock is taken, so that a run may be planned while another writes the journal; what that has written by now counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import attrs

from gemtune.batch.inputs import Item, config_digests
from gemtune.batch.intake import was_answered
from gemtune.batch.journal.file import is_answer, is_torn_header
from gemtune.batch.journal.lines import Header, Record
from gemtune.batch.journal.reading import AT_ONCE, check_header, read_lines, reading, unless_cancelled
from gemtune.batch.keys import Key, Keys, Span
from gemtune.batch.options import BatchSpec
from gemtune.errors import InvalidInput


@attrs.define(eq=False)
class HeldRows:
    """Says which rows a journal holds, so that nothing is to be asked for them.

    Args:
        keys: What the journal knows of them.
    """

    keys: Keys

    @classmethod
    def of(cls, spec: BatchSpec, journal: str | os.PathLike[str]) -> HeldRows:
        """Return those of a batch's journal; blocks.

        Raises:
            JournalError: It cannot be read, is damaged, or belongs to another batch.
        """
        held = cls(Keys(journal))
        held.keys.hold(_outcomes(spec, journal))
        return held

    def __call__(self, item: Item) -> bool:
        """Return whether the journal holds the next row's outcome.

        Raises:
            JournalMismatch: The journal holds the row with another content.
        """
        known = self.keys.meet(item.index, item.key)
        if known is None or known.place is not None or item.error is not None:
            return False
        try:
            item.digest = item.content_digest()
        except InvalidInput:  # it cannot be asked, and the run says so
            return False
        answered = was_answered(item, known)
        if answered:
            self.keys.confirm(item.index, item.key)
        return answered


def _outcomes(spec: BatchSpec, journal: str | os.PathLike[str]) -> Iterator[tuple[int, Key | None, int, Span]]:
    with reading(journal) as file:
        first = file.readline()
        if is_torn_header(first):
            return
        check_header(Header(spec.model, config_digests(spec.shared)), first, journal)
        for number, (offset, length, found) in enumerate(read_lines(file, len(first), journal)):
            if number % AT_ONCE == 0:
                unless_cancelled()
            if isinstance(found, Record) and (not spec.retry_failed or is_answer(found, spec.accept, journal, offset)):
                yield found.index, found.own_key, found.digest, Span(offset, length)
