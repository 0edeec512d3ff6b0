"""Training data: from what users have to checked examples, and a report of what was read.

``read(data)`` is what ``client.tune`` does with its training data; use it to look before you tune. Nothing in here
waits for anything but a file, and nothing knows the service.
"""

from __future__ import annotations

from gemtune.datasets.accepted import TrainingDataLike
from gemtune.datasets.headings import Choice
from gemtune.datasets.load import load
from gemtune.datasets.report import DataReport as DataReport
from gemtune.datasets.report import TrainingSet as TrainingSet

__all__ = ("DataReport", "TrainingSet", "read")


def read(
    data: TrainingDataLike,
    *,
    input: str | int | None = None,
    output: str | int | None = None,
    heading: bool | None = None,
    delimiter: str | None = None,
) -> TrainingSet:
    """Read and check training data without tuning: ``read("train.csv").report`` says what ``client.tune`` would use.

    Args:
        data: Training data in any form that ``client.tune`` takes; the result is one of them.
        input: The column with the input, if its name is none of the usual ones; the same for ``output``.
        heading: Whether the first line of a table names its columns; None finds out.
        delimiter: What separates the columns of a file; None finds out.

    Raises:
        InvalidInput: It cannot be read, a row is wrong, or it is not clear which column is which.
    """
    return load(data, Choice.of(input, output, heading=heading, delimiter=delimiter))
