"""What a person sees of a batch: its picture, and how it looks in a notebook."""

from __future__ import annotations

from abc import abstractmethod

from gemtune.batch.progress import BatchStatistics
from gemtune.markup import Displayed
from gemtune.show.html import batch_html
from gemtune.show.picture import BatchPicture, short
from gemtune.show.words import batch_text


class ShownBatch(Displayed):
    """A batch, as far as people look at it; nothing waits."""

    __slots__ = ()

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

    @property
    def progress(self) -> BatchStatistics:
        """How far the batch is: the same as ``statistics()``, for a line on the screen."""
        return self.statistics()

    def picture(self) -> BatchPicture:
        """Return what a person sees of the batch now: what terminal, notebook and dashboard draw. Nothing is asked."""
        return picture_of_batch(self.statistics(), short(self.model), ended=self.over)

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
        rate=seen.rate,
        eta=None if ended else seen.eta,
        elapsed=seen.elapsed,
        tokens=seen.prompt_tokens + seen.output_tokens,
        held_back="" if ended else seen.limit,
        ended=ended,
    )
