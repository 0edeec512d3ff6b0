"""What handles and watchers have in common for people who look at them: frames, plots, and a place in a notebook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from gemtune.markup import Displayed
from gemtune.notebook.places import Shown
from gemtune.rows.frames import SNAPSHOT_COLUMNS, FrameEngine, make_frame
from gemtune.show.picture import JobPicture

PlotEngine: TypeAlias = Literal["matplotlib", "altair"]
"""A library that draws."""


class ShownJobs(Displayed):
    """One job or many of which there are pictures; nothing waits."""

    __slots__ = ()

    @abstractmethod
    def _pictures(self) -> Sequence[JobPicture]: ...

    def _view(self, note: str = "") -> Shown:
        return view_of(self._pictures(), note)

    def _as_text(self) -> str:
        return self._view().text

    def _as_html(self) -> str:
        return self._view().html


class PicturedJobs(ShownJobs):
    """One tuning job or many, with their snapshots as a frame and their curves as a plot; nothing waits."""

    __slots__ = ()

    _COLUMNS: ClassVar[tuple[str, ...]] = SNAPSHOT_COLUMNS
    """The columns that a frame has in any case."""

    @abstractmethod
    def _rows(self) -> Iterator[Mapping[str, object]]: ...

    def to_frame(self, *, engine: FrameEngine | None = None) -> Any:
        """Return the snapshots seen so far as a data frame with a row for each step; nothing is asked.

        Its columns are ``step``, ``epoch``, ``mean_loss``, ``compute_time`` and, as far as the service measures them,
        ``eval_loss``, ``accuracy`` and the other metrics. That of a watcher begins with ``job``, the name, and
        ``title``, what people call it.

        Args:
            engine: ``pandas`` or ``polars``; by default whichever is installed, and pandas if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.

        Example:
            >>> job.to_frame().plot(x="step", y="mean_loss")
        """
        rows = list(self._rows())
        columns = dict.fromkeys([*self._COLUMNS, *(name for row in rows for name in row)])
        return make_frame(rows, list(columns), engine)

    def plot(self, *, ax: Any = None, engine: PlotEngine | None = None) -> Any:
        """Draw the loss curves seen so far, over each other, and return the axes or the chart; nothing is asked.

        Args:
            ax: The axes of matplotlib to draw into; by default new ones.
            engine: ``matplotlib`` or ``altair``; by default whichever is installed, and matplotlib if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.

        Example:
            >>> watcher.plot().set_title("three learning rates")
        """
        from gemtune.notebook.plot import plot_jobs

        return plot_jobs(self._pictures(), engine, ax)


def view_of(pictures: Sequence[JobPicture], note: str = "", *, many: bool = False) -> Shown:
    """Return what jobs look like now.

    Args:
        pictures: The jobs.
        note: A sentence below them.
        many: Whether one job is shown as one of many.
    """
    from gemtune.show.html import job_html, jobs_html  # only whoever looks at jobs loads what draws them
    from gemtune.show.progress import tenths
    from gemtune.show.words import job_line, job_text, jobs_text

    lines: dict[str, tuple[object, str]] = {
        picture.name: ((picture.word, tenths(picture), picture.trouble), job_line(picture)) for picture in pictures
    }
    if note:
        lines[""] = (note, note)
    if len(pictures) == 1 and not many:
        text = job_text(pictures[0])
        html = job_html(pictures[0], note)
    else:
        text, html = jobs_text(pictures), jobs_html(pictures, note)
    return Shown(html, f"{text}\n{note}" if note else text, lines)
