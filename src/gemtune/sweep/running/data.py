"""The data of a sweep: read once, checked once, split once, and on Vertex AI uploaded once for all points."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import attrs

from gemtune import checks, datasets
from gemtune.datasets.conversations import Method
from gemtune.datasets.dataset import DataSet
from gemtune.datasets.load import is_file
from gemtune.datasets.review.estimate import Plan
from gemtune.datasets.review.figures import RunningFigures
from gemtune.datasets.review.tokens import Interval, weigh
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.resources.storage import Storage, chosen_bucket
from gemtune.sweep.running.asking import QuestionWeight

READING: Final = ("input", "output", "heading", "delimiter")
"""What can be said about the columns of the data."""


@attrs.frozen(kw_only=True)
class SweepData:
    """What is tuned with and what is validated with.

    Args:
        train: The training data as ``client.tune`` takes it.
        validation: The rows to validate with; None if there are none, or they are in the cloud.
        measured: The same as ``client.tune`` takes it, where the service measures the loss on it.
        digests: What tells the data from other data, by name.
        once: The tokens of one pass through the training data; None if they cannot be known.
        examples: How many training examples there are.
        rows: How many rows there are to validate with.
        questions: What these weigh if a model is asked all of them.
        notes: What a plan says about them.
    """

    train: object
    validation: DataSet | None = None
    measured: object | None = None
    digests: Mapping[str, str]
    once: Interval | None = None
    examples: int | None = None
    rows: int = 0
    questions: QuestionWeight = attrs.field(factory=QuestionWeight)
    notes: tuple[str, ...] = ()


async def read_sweep_data(
    data: object, validation: object, *, seed: int, method: Method, reading: Mapping[str, Any], vertex: bool
) -> SweepData:
    """Read, check and split data.

    Args:
        data: The training data, in any form that ``client.tune`` takes.
        validation: The share of it to validate with, data of its own, or None.
        seed: Of the split.
        method: What it is for.
        reading: What the caller says about its columns.
        vertex: Whether it is for Vertex AI.

    Raises:
        InvalidInput: It cannot be read, a row is wrong, or it cannot be split.
    """
    share = checks.is_number(validation)
    if _in_cloud(data):
        return _of_cloud(data, validation, share=share)
    train = await _opened(data, method, reading, "data")
    own = None
    if not (share or validation is None or _in_cloud(validation)):
        own = await _opened(validation, method, reading, "validation")
    cloud = validation if _in_cloud(validation) else None
    wanted = float(validation) if share else 0.0  # type: ignore[arg-type]

    def work() -> SweepData:
        return _read(train, own, cloud, wanted, seed, vertex=vertex)

    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def _in_cloud(data: object) -> bool:
    return isinstance(data, str) and (data.startswith(("gs://", "projects/")))


def _of_cloud(data: object, validation: object, *, share: bool) -> SweepData:
    if share and validation:
        what = "validation: data in Cloud Storage is not read here, and so cannot be split"
        other = Remedy("give validation data of its own, or no validation: ", Argument("validation", None))
        raise InvalidInput(what, other, field="validation")
    measured = validation if _in_cloud(validation) else None
    if validation and measured is None:
        what = "validation: where the training data lie in Cloud Storage, give the URI of the validation data"
        raise InvalidInput(what, field="validation")
    digests = {"data": str(data), "validation": str(measured or "")}
    notes = ("the data lie in Cloud Storage and are not read here: their tokens are not known",)
    return SweepData(train=data, measured=measured, digests=digests, notes=notes)


async def _opened(data: object, method: Method, reading: Mapping[str, Any], argument: str) -> DataSet:
    def work() -> DataSet:
        said = {} if isinstance(data, DataSet) else {"method": method, **reading}
        return datasets.load(data, **said)

    try:
        # Iterators are the caller's code, and run where the caller runs.
        return await anyio.to_thread.run_sync(work) if is_file(data) else work()
    except InvalidInput as error:
        raise checks.about(error, "training_data", argument) from None


def _read(
    data: DataSet, own: DataSet | None, cloud: object | None, share: float, seed: int, *, vertex: bool
) -> SweepData:
    _check_all(data, "data")  # a row that is wrong ends the sweep here, as it would end a tuning
    if own is not None:
        _check_all(own, "validation")
    train, validation = data, own
    notes: tuple[str, ...] = ()
    if share:
        # Not the plain seed: of rows that are left of a split with it, as of one for a last test, it would take none.
        parts = datasets.split(data, validation=share, seed=f"sweep {seed}")
        train, validation = parts.train, parts.validation
        beside = str(parts).partition("; ")[2]  # the plan counts the rows of both parts itself
        notes = (f"in the split, {beside}",) if beside else ()
        if 0 in parts.rows:
            left, held = (f"{rows:,} row{'' if rows == 1 else 's'}" for rows in parts.rows)
            what = f"validation: {share:g} of the data leaves {left} to train on and {held} to validate with"
            more = Remedy("give more data, another share, or validation data of its own")
            raise InvalidInput(what, more, field="validation")
    figures, digest = _figures(train)
    rows, validated = (RunningFigures(), "") if validation is None else _figures(validation)
    once = Plan(model=None, epochs=1, batch_size=None, prices=None).estimate(figures, data.method).billed_tokens
    return SweepData(
        train=train if vertex else datasets.read(train),
        validation=validation,
        measured=(cloud if validation is None else validation) if vertex else None,
        digests={"data": digest, "validation": validated or str(cloud or "")},
        once=once,
        examples=figures.examples,
        rows=rows.examples,
        questions=QuestionWeight() if validation is None else QuestionWeight.of(validation),
        notes=notes,
    )


def _check_all(data: DataSet, argument: str) -> None:
    """Refuse data that has no rows, or a wrong one, which a split would leave out."""
    try:
        if not sum(1 for _ in data):
            what = f"{argument} is empty: give at least one (input, output) pair, better 100 or more"
            raise InvalidInput(what, field=argument)
    except InvalidInput as error:
        raise checks.about(error, "training_data", argument) from None


def _figures(data: DataSet) -> tuple[RunningFigures, str]:
    figures, digest = RunningFigures(), hashlib.sha256()
    for example in data:
        figures.add(weigh(example))
        digest.update(json.dumps(example, ensure_ascii=False, sort_keys=True, default=str).encode("utf-8", "replace"))
        digest.update(b"\n")
    return figures, digest.hexdigest()[:32]


@attrs.define(eq=False)
class PlacedData:
    """The data where the service reads it: brought there once, before the first creation that needs it.

    Args:
        data: The data.
        storage: Uploads it; None on the Gemini API, which takes it inline.
        method: What it is for.
        bucket: The bucket, if a call says one.
    """

    data: SweepData
    storage: Callable[[], Storage] | None
    method: Method
    bucket: str | None = None
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False)
    _found: tuple[object, object | None] | None = attrs.field(default=None, init=False)

    def check(self) -> None:
        """Refuse data that has to be uploaded if no bucket is known.

        Raises:
            InvalidInput: There is none.
        """
        if self.storage is not None and not _in_cloud(self.data.train):
            chosen_bucket(self.bucket, self.storage().bucket, "the training data")

    async def ready(self) -> tuple[object, object | None]:
        """Return training and validation data as every creation gives them.

        Raises:
            CallError: They could not be uploaded.
        """
        async with self._lock:
            if self._found is None:
                train, measured = self.data.train, self.data.measured
                if self.storage is not None:
                    train = await self._place(self.storage(), train)
                    measured = None if measured is None else await self._place(self.storage(), measured)
                self._found = train, measured
            return self._found

    async def _place(self, storage: Storage, data: object) -> object:
        if _in_cloud(data):
            return data
        # A set that was loaded knows what it is for.
        return (await storage.upload(data, method=self.method, bucket=self.bucket)).uri


def journal_folder(given: object) -> Path | None:
    """Return the folder of a journal, as it was given.

    Raises:
        InvalidInput: It is no path.
    """
    if given is None:
        return None
    # An empty path would be the folder that one happens to be in.
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        checks.refuse("journal", "the path of a folder", given)
    return Path(given)
