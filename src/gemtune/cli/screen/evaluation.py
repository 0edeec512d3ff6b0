"""An evaluation in a terminal: the same lines as everywhere, with the headings and the news in colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from gemtune.cli.screen.paint import DIM, cut, plain
from gemtune.evaluation.picture import EvaluationPicture
from gemtune.evaluation.text import Role, evaluation_parts
from gemtune.show.palette import TONES
from gemtune.show.picture import Tone

_STYLES: Final[Mapping[Role, str]] = {
    "title": "bold",
    "heads": DIM,
    "": "",
    "good": TONES[Tone.GOOD].terminal,
    "bad": TONES[Tone.BAD].terminal,
}


def evaluated(picture: EvaluationPicture, width: int, most: int | None = None) -> list[Text]:
    """Return an evaluation as lines.

    Args:
        picture: The evaluation.
        width: The most columns.
        most: The most rows that are shown of those that became better, and of those that became worse; None for a
            few.
    """
    lines: list[Text] = []
    for part in evaluation_parts(picture, width, most):
        lines += [*([Text()] if lines else []), *(cut(plain(said, _STYLES[role]), width) for role, said in part)]
    return lines
