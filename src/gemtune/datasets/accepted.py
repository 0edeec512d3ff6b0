"""What counts as training data, for type checkers; what a value of these types holds is only seen as it is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from gemtune.datasets.report import TrainingSet
from gemtune.types import TrainingData, TuningExample, TuningExamples


class ExampleLike(Protocol):
    """An object with an input and an output, such as ``TuningExample`` and Google's own."""

    @property
    def text_input(self) -> Any: ...
    @property
    def output(self) -> Any: ...


class _OpenFile(Protocol):
    def read(self) -> str | bytes: ...


class _Frame(Protocol):
    """A data frame of pandas or polars; none of them is imported for its type."""

    @property
    def columns(self) -> Any: ...
    @property
    def shape(self) -> Any: ...


class _Table(Protocol):
    """A table of pyarrow."""

    @property
    def column_names(self) -> Any: ...
    def to_pydict(self) -> Any: ...


class _GoogleDataset(Protocol):
    """An object of Google's SDKs that holds examples."""

    @property
    def examples(self) -> Any: ...


_Row: TypeAlias = tuple[Any, ...] | list[Any] | Mapping[Any, Any] | ExampleLike | TuningExample

TrainingDataLike: TypeAlias = (
    str
    | os.PathLike[str]
    | Iterable[_Row]
    | Mapping[Any, Any]
    | _OpenFile
    | _Frame
    | _Table
    | _GoogleDataset
    | TrainingSet
    | TrainingData
    | TuningExamples
)
"""What ``client.tune`` takes as training data: a file by its path or open, rows (pairs, dicts, objects with
``text_input`` and ``output``), columns, a data frame, or what ``gemtune.datasets.read`` returned."""
