"""What a person sees of an evaluation: text, and HTML in a notebook."""

from __future__ import annotations

from abc import abstractmethod

from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.values import EvaluationProgress
from gemtune.markup import Displayed
from gemtune.notebook.places import DisplayPlace, Shown, this_place


class ShownEvaluation(Displayed):
    """An evaluation, as far as people look at it: ``str(evaluation)``, and the cell of a notebook."""

    __slots__ = ()

    @abstractmethod
    def picture(self) -> EvaluationPicture:
        """Return what a person sees of the evaluation: what text, notebook and terminal draw. Nothing is asked."""

    def __str__(self) -> str:
        return self._as_text()

    def _as_text(self) -> str:
        from gemtune.evaluation.text import evaluation_text  # only whoever looks loads what draws

        return evaluation_text(self.picture())

    def _as_html(self) -> str:
        from gemtune.evaluation.html import evaluation_html

        return evaluation_html(self.picture())


class LiveProgress:
    """Shows how far an evaluation is: one line in the cell of a notebook, lines of text elsewhere.

    Example:
        >>> evaluation = await client.evaluate([base, job], "held_out.csv", on_progress=LiveProgress())
    """

    def __init__(self) -> None:
        self._place: DisplayPlace | None = None

    def __call__(self, progress: EvaluationProgress) -> None:
        if self._place is None:  # the cell that runs now, not that in which it was made
            self._place = this_place()
        self._place.show(view_of_progress(progress))


def view_of_progress(progress: EvaluationProgress, note: str = "") -> Shown:
    """Return what a running evaluation looks like now, for ``show_live``: one line.

    Args:
        progress: How far it is.
        note: A sentence below it.
    """
    from gemtune.evaluation.html import progress_html
    from gemtune.evaluation.text import progress_text

    text = progress_text(progress)
    share = progress.done / progress.total if progress.total else 0.0
    mark = (progress.ended, int(share * 10), progress.held_back if progress.parked else "")
    lines: dict[str, tuple[object, str]] = {"": (mark, text)}
    if note:
        lines["note"] = (note, note)
    return Shown(progress_html(progress, note), f"{text}\n{note}" if note else text, lines)
