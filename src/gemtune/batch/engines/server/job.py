"""A part of a run on its way: what the tasks that lead it to its end share."""

from __future__ import annotations

import anyio
import attrs

from gemtune.batch.engines.server.filling import Spool
from gemtune.batch.engines.server.results import Results
from gemtune.batch.journal.parts import SentPart


@attrs.define(eq=False)
class PartJob:
    """A part on its way.

    Args:
        part: What is sent.
        spool: Its requests.
        results: What came back, once ``ready``.
        ready: Set once the results are here and checked.
        over: Set once every item has an outcome.
        refused: Why the service never has room for it, one item as it is; empty otherwise.
        halved: Whether its items are in other parts now.
    """

    part: SentPart
    spool: Spool
    results: Results
    ready: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    over: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    refused: str = attrs.field(default="", init=False)
    halved: bool = attrs.field(default=False, init=False)

    def finished(self) -> None:
        """Count an outcome."""
        self.part.left -= 1
        if self.part.left <= 0:
            self.over.set()

    def close(self) -> None:
        """Let go of the files."""
        self.spool.close()
        self.results.close()


class PartJobs(dict[int, PartJob]):
    """The parts on their way, by number.

    A thread that halves a part may go on when nobody waits for it any more, and adds to these after they were closed:
    whoever adds in a thread looks at ``over`` afterwards, and closes them again.
    """

    over = False

    def close(self) -> None:
        """Let go of the files of all."""
        self.over = True
        for job in [*self.values()]:
            job.close()
