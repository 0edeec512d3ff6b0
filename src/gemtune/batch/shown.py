"""What a person sees of a batch: its picture, and how it looks in a notebook."""

from __future__ import annotations

from abc import abstractmethod

from gemtune.batch.options import BatchSpec
from gemtune.batch.progress import BatchStatistics
from gemtune.batch.result import BatchResults
from gemtune.markup import Displayed
from gemtune.notebook.live import EVERY, show_live
from gemtune.notebook.places import Shown
from gemtune.show.html import batch_html
from gemtune.show.picture import BatchPicture, short
from gemtune.show.words import batch_text


class ShownBatch(Displayed):
    """A batch, as far as people look at it; nothing waits."""

    __slots__ = ()

    spec: BatchSpec
    collected: BatchResults

    @property
    @abstractmethod
    def model(self) -> str:
        """The model's name."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nothing is asked any more."""

    @abstractmethod
    def statistics(self) -> BatchStatistics:
        """Return how far the batch is."""

    @abstractmethod
    async def collect(self) -> BatchResults:
        """Run to the end, and return the results."""

    @property
    def progress(self) -> BatchStatistics:
        """How far the batch is: the same as ``statistics()``, for a line on the screen."""
        return self.statistics()

    def picture(self) -> BatchPicture:
        """Return what a person sees of the batch now: what terminal, notebook and dashboard draw. Nothing is asked."""
        return picture_of_batch(self.statistics(), short(self.model), ended=self.over)

    async def show(self, *, every: float = EVERY) -> BatchResults:
        """Run to the end, show the progress live in the cell of a notebook, and return the results as ``collect`` does.

        Outside of a notebook it writes lines of text. If you interrupt it, ``batch.collected`` holds what was answered.

        Args:
            every: Seconds between two pictures, at least 0.2.

        Raises:
            MisuseError: Results were taken already, or the batch is over.
            BatchStopped: Nothing more could succeed.

        Example:
            >>> results = await client.batch(model, prompts).show()
        """
        return await show_live(self._view, self.collect, left=self._left_note, every=every)

    def _left_note(self) -> str:
        done = len(self.collected)
        again = "run the cell again to continue from the journal" if self.spec.journal else "a journal would keep them"
        return f"left after {done:,} results, which batch.collected holds if you kept the batch; {again}"

    def _view(self, note: str = "") -> Shown:
        picture = self.picture()
        text = batch_text(picture)
        mark = (picture.ended, int((picture.share or 0) * 10), picture.held_back if picture.parked else "")
        lines: dict[str, tuple[object, str]] = {"": (mark, text)}
        if note:
            lines["note"] = (note, note)
        return Shown(batch_html(picture, note), f"{text}\n{note}" if note else text, lines)

    def _as_text(self) -> str:
        return batch_text(self.picture())

    def _as_html(self) -> str:
        return batch_html(self.picture())


def picture_of_batch(seen: BatchStatistics, title: str, *, ended: bool) -> BatchPicture:
    """Return what a person sees of a batch.

    Args:
        seen: How far it is.
        title: What it is called.
        ended: Whether nothing is asked any more.
    """
    return BatchPicture(
        title=title,
        done=seen.done + seen.skipped,
        failed=seen.failed,
        total=seen.total,
        in_flight=seen.in_flight,
        parked=seen.parked,
        jobs=seen.jobs,
        jobs_waiting=seen.jobs_waiting,
        rate=seen.rate,
        eta=None if ended else seen.eta,
        elapsed=seen.elapsed,
        tokens=seen.prompt_tokens + seen.output_tokens,
        held_back="" if ended else seen.limit,
        ended=ended,
    )
