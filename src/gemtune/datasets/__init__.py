"""Training data: from what users have to checked examples, and a report of what was read.

``load`` opens training data of any kind, and ``check`` says everything that is wrong with it before anybody pays for
it. ``read(data)`` is what ``client.tune`` does with its training data on the Gemini API. Nothing in here waits for
anything but a file, and nothing knows the service.
"""

from __future__ import annotations

from gemtune.datasets.accepted import TrainingDataLike
from gemtune.datasets.dataset import DataSet as DataSet
from gemtune.datasets.dataset import load as load
from gemtune.datasets.headings import Choice
from gemtune.datasets.load import load as _load
from gemtune.datasets.parting.split import Split as Split
from gemtune.datasets.parting.split import split as split
from gemtune.datasets.parting.thin import Deduplicated as Deduplicated
from gemtune.datasets.parting.thin import dedupe as dedupe
from gemtune.datasets.parting.thin import sample as sample
from gemtune.datasets.problems import Issue as Issue
from gemtune.datasets.report import DataReport as DataReport
from gemtune.datasets.report import TrainingSet as TrainingSet
from gemtune.datasets.review.check import check as check
from gemtune.datasets.review.checkreport import CheckReport as CheckReport
from gemtune.datasets.review.counted import estimate_with as estimate_with
from gemtune.datasets.review.estimate import Estimate as Estimate
from gemtune.datasets.review.estimate import PriceList as PriceList
from gemtune.datasets.review.estimate import estimate as estimate
from gemtune.datasets.review.figures import DataFigures as DataFigures
from gemtune.datasets.review.figures import Distribution as Distribution
from gemtune.datasets.review.figures import stats as stats
from gemtune.datasets.review.fix import Fixed as Fixed
from gemtune.datasets.review.fix import fix as fix
from gemtune.datasets.review.tokens import Interval as Interval
from gemtune.datasets.writing.convert import Conversion as Conversion
from gemtune.datasets.writing.convert import convert as convert

__all__ = (
    "CheckReport", "Conversion", "DataFigures", "DataReport", "DataSet", "Deduplicated", "Distribution", "Estimate",
    "Fixed", "Interval", "Issue", "PriceList", "Split", "TrainingSet", "check", "convert", "dedupe", "estimate",
    "estimate_with", "fix", "load", "read", "sample", "split", "stats",
)  # fmt: skip


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
    return _load(data, Choice.of(input, output, heading=heading, delimiter=delimiter))
