"""What a person sees of a sweep: text, the cell of a notebook that lives, a frame, and all curves in one plot."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from gemtune.markup import Displayed
from gemtune.notebook.handles import PlotEngine
from gemtune.notebook.live import EVERY, show_live
from gemtune.notebook.places import Shown
from gemtune.rows.frames import FrameEngine, make_frame
from gemtune.sweep.point import SweepPicture


class ShownSweep(Displayed):
    """A sweep, as far as people look at it; only ``show`` waits."""

    __slots__ = ()

    @abstractmethod
    def picture(self) -> SweepPicture:
        """Return what a person sees of the sweep now: what text, notebook and terminal draw. Nothing is asked."""

    @abstractmethod
    async def run(self) -> object:
        """Run to the end."""

    async def show(self, *, every: float = EVERY) -> SweepPicture:
        """Run to the end, and show the leaderboard live in the cell of a notebook, or as lines of text elsewhere.

        The last picture stays. An interrupt leaves it as well, and the jobs continue.

        Args:
            every: Seconds between two pictures, at least 0.2.

        Returns:
            The last picture.

        Example:
            >>> await client.sweep(base, "rows.csv", space={"epoch_count": [2, 4, 8]}, journal="rows.sweep").show()
        """
        await show_live(self._view, self.run, left=self._left_note, every=every)
        return self.picture()

    def plot(self, *, ax: Any = None, engine: PlotEngine | None = None) -> Any:
        """Draw the curves of all points over each other, and return the axes or the chart; nothing is asked.

        The best point stands out, and those that were stopped are faint and end in a cross.

        Args:
            ax: The axes of matplotlib to draw into; by default new ones.
            engine: ``matplotlib`` or ``altair``; by default whichever is installed, and matplotlib if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.

        Example:
            >>> sweep.plot().set_title("24 sets of hyperparameters")
        """
        from gemtune.notebook.plot import plot_curves
        from gemtune.sweep.html import curves, loss_named
        from gemtune.sweep.text import evaluated_losses

        picture = self.picture()
        return plot_curves(curves(picture), loss_named(evals=evaluated_losses(picture)), engine, ax)

    def to_frame(self, *, engine: FrameEngine | None = None) -> Any:
        """Return the points as a data frame: values, state, rank, objective, scores, steps, tokens; nothing is asked.

        Args:
            engine: ``pandas`` or ``polars``; by default whichever is installed, and pandas if both are.

        Raises:
            InvalidInput: Neither is installed, or the one that was asked for is not.

        Example:
            >>> sweep.to_frame().sort_values("rank").head()
        """
        from gemtune.sweep.html import rows_of

        rows = list(rows_of(self.picture()))
        columns = dict.fromkeys(["point", *(name for row in rows for name in row)])
        return make_frame(rows, list(columns), engine)

    def __str__(self) -> str:
        return self._as_text()

    @abstractmethod
    def _left_note(self) -> str:
        """Return what continues if somebody stops waiting, and how to take it up again."""

    def _view(self, note: str = "") -> Shown:
        from gemtune.sweep.html import sweep_html
        from gemtune.sweep.text import sweep_reports, sweep_text

        picture = self.picture()
        text = sweep_text(picture)
        lines = {key: (mark, said) for key, mark, said in sweep_reports(picture)}
        if note:
            lines["note"] = (note, note)
        return Shown(sweep_html(picture, note), f"{text}\n{note}" if note else text, lines)

    def _as_text(self) -> str:
        from gemtune.sweep.text import sweep_text  # only whoever looks loads what draws

        return sweep_text(self.picture())

    def _as_html(self) -> str:
        from gemtune.sweep.html import sweep_html

        return sweep_html(self.picture())
