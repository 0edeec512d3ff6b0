"""Training data from whatever users have: the one entrance of ``client.tune`` and ``gemtune tune``.

What is given is taken apart here, as far as rows: a file, an open file, a frame, columns, rows, objects. Which of their
columns are which, ``headings.py`` decides for all of them alike, and ``examples.py`` checks every cell.

Nothing of pandas, polars, pyarrow, numpy or Google's own SDKs is imported: they are known by what they can do.
Things that iterate over the names of their fields or columns are the dangerous ones, since a loop over them looks like
rows and is none; they are refused or taken by name before anything is iterated over.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Never, Protocol, runtime_checkable

import attrs

from gemtune.datasets.examples import as_mapping, checked
from gemtune.datasets.headings import Choice, is_heading, judge_first, looks_like_heading, named_in_order
from gemtune.datasets.layouts import ON_VERTEX, layout_of
from gemtune.datasets.report import TrainingSet
from gemtune.datasets.sheets import Rows, are_cells, cell_rows, decoded, rows_of
from gemtune.errors import InvalidInput
from gemtune.remedy import Remedy
from gemtune.rows import tables

_ADDRESS: Final = re.compile(r"(https?|gs|s3|ftp|file|hf|abfss?):/", re.IGNORECASE)
_HOLDERS: Final = ("examples", "training_data", "trainingData", "tuning_task", "tuningTask")
"""What holds the examples in Google's own classes and request bodies."""
_HEADED: Final = ("input", "output", "heading")
"""What can be said about rows of cells."""
_SHOWN: Final = 8


@runtime_checkable
class ReadByRow(Protocol):
    """Training data that reads its rows itself, as ``gemtune.datasets.load`` returns it."""

    def numbered(self) -> Iterator[tuple[int, object]]:
        """Yield each row with its number."""
        ...


def load(data: object, choice: Choice) -> TrainingSet:
    """Return training data as checked examples, with a report of what was read; blocks while it reads a file.

    Raises:
        InvalidInput: It cannot be read, a row is wrong, or it is not clear which column is which.
    """
    return already_read(data, choice) or checked(rows_in(data, choice), choice)


def already_read(data: object, choice: Choice) -> TrainingSet | None:
    """Return data that was read before; None for all else.

    Raises:
        InvalidInput: Something is said about its columns, which are chosen by now.
    """
    if not isinstance(data, TrainingSet):
        return None
    choice.refuse_all_but((), "training data that was read before")
    return data


def is_file(data: object) -> bool:
    """Return whether reading some training data means to wait for a file."""
    return isinstance(data, str | os.PathLike) or hasattr(data, "read") or isinstance(data, ReadByRow)


def rows_in(data: object, choice: Choice) -> Rows:
    """Return the rows of training data of any kind.

    Raises:
        InvalidInput: It has none, or something is said about them that has no meaning for data of its kind.
    """
    rows = _rows(data, choice)
    choice.refuse_all_but(rows.choices, rows.source or "rows in memory")
    return rows


def _rows(data: object, choice: Choice) -> Rows:
    if isinstance(data, str | os.PathLike):
        return _file(data, choice)
    if isinstance(data, ReadByRow):
        return Rows("row", tuple(data.numbered()), choices=())
    if isinstance(data, bytes | bytearray | memoryview):
        _refuse("training_data is bytes: pass a path, an open file, or io.BytesIO(data)")
    if hasattr(data, "read"):
        return _opened(data, choice)
    if isinstance(data, AsyncIterable):
        _refuse("training_data is iterated over asynchronously: collect its rows in a list first")
    if hasattr(data, "line_num") and hasattr(data, "dialect") and not hasattr(data, "fieldnames"):
        return _cells(data, choice, certain=False)  # type: ignore[arg-type]  # a csv.reader
    frame = _frame(data, choice)
    if frame is not None:
        return frame
    columns = as_mapping(data)
    if columns is not None:
        return _mapping({str(key): value for key, value in columns.items()})
    return _iterable(_held(data), choice)


def _refuse(what: str, *remedies: Remedy) -> Never:
    raise InvalidInput(what, *remedies, field="training_data")


def _file(data: str | os.PathLike[Any], choice: Choice) -> Rows:
    name = os.fsdecode(os.fspath(data))
    _refuse_address(name)
    if "\n" in name or "\r" in name:
        _refuse(
            "training_data is one string, not rows: pass pairs, dicts or a path; text of a file as io.StringIO(text)"
        )
    path = Path(name)
    try:
        if name == "-":
            with tables.open_text(path) as standard_input:
                return _read(standard_input.read(), "", "standard input", choice)
        return _read(path.read_bytes(), path.suffix, path.name, choice, called=str(path))
    except OSError as error:
        why = error.strerror or type(error).__name__
        what = f"training_data: {path} cannot be read ({why})"
        _refuse(f"{what}: write the path in full, without ~" if name.startswith("~") else what)
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        _refuse(f"training_data: {name!a} is not a path")


def _refuse_address(name: str) -> None:
    found = _ADDRESS.match(name)
    if found is None:
        return
    if "docs.google.com" in name:
        what = "in Google Sheets choose File > Download > Comma Separated Values, and pass the file"
    elif found[1].lower() == "gs":
        what = f"download it (gcloud storage cp {name} .) and pass the file"
    elif found[1].lower() == "file":
        what = "pass the path of the local file, without file:"
    else:
        what = "download it as CSV, JSONL or JSON and pass the file"
    _refuse(
        f"training_data: {name:.200} is an address, and addresses are not read: {what}",
        *([ON_VERTEX] if found[1].lower() == "gs" else ()),
    )


def _opened(file: Any, choice: Choice) -> Rows:
    name = getattr(file, "name", None)
    name = name if isinstance(name, str) else ""
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        _refuse(f"training_data is an open file that is not {error.encoding}: open it in binary mode, or pass its path")
    except (OSError, ValueError) as error:  # closed, or open for writing only
        _refuse(f"training_data is an open file that cannot be read ({error}): pass its path")
    if hasattr(text, "__await__"):
        text.close()
        _refuse("training_data is a file that is read asynchronously: pass its path")
    if not isinstance(text, str | bytes):
        _refuse("training_data is read like a file and is none: pass pairs, dicts or the path of a file")
    if not text:
        _refuse("training_data is an open file that has nothing left to read: open it again, or pass its path")
    return _read(text, Path(name).suffix, Path(name).name or "an open file", choice, called=name)


def _read(text: str | bytes, suffix: str, source: str, choice: Choice, *, called: str = "") -> Rows:
    try:
        text = decoded(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
        rows = rows_of(text, suffix, choice)
    except tables.Unreadable as error:
        _refuse(f"training_data: {called or source}{error}", *error.remedies)
    except UnicodeEncodeError:
        _refuse(
            f"training_data: {called or source} holds a lone surrogate and is not valid Unicode: re-read it as UTF-8"
        )
    if rows.unit == "document":
        ((_, value),) = rows.numbered
        rows = _document(value)
    elif "delimiter" not in rows.choices:  # values of JSON, which may be rows of cells as well
        listed = _listed([row for _, row in rows.numbered], choice)
        numbered = tuple((rows.numbered[place - 1][0], row) for place, row in listed.numbered)
        rows = attrs.evolve(listed, unit=rows.unit, numbered=numbered)
    return attrs.evolve(rows, source=source)


def _document(value: object) -> Rows:
    """Return the rows of one JSON object: columns, or one example."""
    if not isinstance(value, Mapping):
        _refuse("training_data holds one value, not rows")
    if layout_of(value) is not None or not any(isinstance(cell, list | dict) for cell in value.values()):
        return Rows("line", ((1, value),))
    return _mapping(value)


def _frame(data: object, choice: Choice) -> Rows | None:
    """Return the rows of a data frame; None if it is none."""
    kind = type(data).__name__
    if hasattr(data, "collect_schema") and hasattr(data, "collect"):
        _refuse("training_data is a query that has not been run: call collect()")
    if hasattr(data, "to_pydict"):  # pyarrow
        return _columns(_without_twins(data.column_names, data.to_pydict), "a table")  # type: ignore[attr-defined]
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and not isinstance(data, Mapping):
        structure = getattr(getattr(data, "dtype", None), "names", None)
        if structure and hasattr(data, "tolist"):
            return Rows("row", tuple(cell_rows(data.tolist(), structure, 1)), "an array")
        if len(shape) == 1:
            _refuse(f"training_data is one column ({kind}): pass the frame, or pairs, zip(inputs, outputs)")
        if len(shape) == 2 and hasattr(data, "columns") and hasattr(data, "__getitem__"):
            frame: Any = data
            names = list(frame.columns)
            cells = _without_twins(names, lambda: {name: _cells_of(name, frame[name]) for name in names})
            if names == [0, 1]:  # no names, but numbers: rows of two cells
                pairs: list[object] = [list(row) for row in zip(*cells.values(), strict=True)]
                return attrs.evolve(_listed(pairs, choice), source="a data frame")
            return _columns(cells, "a data frame")
        if hasattr(data, "tolist"):
            return attrs.evolve(_listed(data.tolist(), choice), source="an array")
    if hasattr(data, "agg"):  # after the frames, which have it as well
        _refuse(f"training_data is the groups of a frame ({kind}): pass the frame itself")
    return None


def _without_twins(names: Sequence[object], cells: Callable[[], dict[Any, Any]]) -> dict[Any, Any]:
    twins = sorted({str(name) for name in names if list(names).count(name) > 1}) if len(names) < 1000 else []
    if twins:
        _refuse(f"the frame has more than one column called {', '.join(map(repr, twins))}: rename them")
    return cells()


def _held(data: object) -> object:
    """Return the examples that an object of Google's SDKs holds, or the object itself."""
    for _ in range(2):  # Dataset.examples.examples
        inner = getattr(data, "examples", None)
        if inner is not None and not callable(inner):
            data = inner
    if hasattr(data, "text_input") and hasattr(data, "output"):
        _refuse(
            f"training_data is one example ({type(data).__name__}): put it in a list, [example], or pass all of them, "
            "dataset.examples"
        )
    where = getattr(data, "gcs_uri", None) or getattr(data, "vertex_dataset_resource", None)
    if where is not None or (hasattr(data, "gcs_uri") and hasattr(data, "examples")):
        _refuse(
            f"training_data is a {type(data).__name__} without examples"
            + (f", it points to {where}: download that and pass the file" if where else ": give it examples")
        )
    return data


def _mapping(data: Mapping[str, Any]) -> Rows:
    """Return the rows of a dict of columns, in any of the shapes that frames write."""
    for name in _HOLDERS:
        inner = data.get(name)
        if isinstance(inner, Mapping) and name != "examples":
            return _mapping(inner)
        if name == "examples" and inner is not None and not isinstance(inner, str):
            return _mapping(inner) if isinstance(inner, Mapping) else Rows.of(inner, "examples")
    if not data:
        _refuse("training_data is empty: give at least one (input, output) pair, better 100 or more")
    if layout_of(data) is not None:
        _refuse("training_data is one example: put it in a list, [example]")
    if "schema" in data and isinstance(data.get("data"), list):  # orient="table"
        return Rows.of(data["data"], "a dict of rows")
    if isinstance(data.get("columns"), list | tuple) and isinstance(data.get("data"), list | tuple):  # orient="split"
        names = [str(name) for name in data["columns"]]
        return Rows("row", tuple(cell_rows(data["data"], names, 1)), "a dict of columns")
    values = list(data.values())
    if all(isinstance(value, Mapping) for value in values) and _is_index(data):
        return Rows.of(values, "a dict of rows")
    return _columns({name: _cells_of(name, value) for name, value in data.items()}, "a dict of columns")


def _is_index(data: Mapping[str, Mapping[Any, Any]]) -> bool:
    """Return whether a dict of dicts maps rows to cells by column, rather than columns to cells by row.

    Raises:
        InvalidInput: It could be either, or the columns do not have the same rows.
    """
    inner = [[*map(str, value)] for value in data.values()]
    if any(keys != inner[0] for keys in inner):
        if all(is_heading(keys, Choice()) for keys in inner):
            return True
        _refuse("training_data is a dict of dicts that do not have the same keys: give rows, or columns of one length")
    if is_heading([*data], Choice()):
        return False
    if is_heading(inner[0], Choice()):
        return True
    counted = [keys == [*map(str, range(len(keys)))] for keys in ([*data], inner[0])]
    if counted[0] == counted[1]:
        _refuse(
            "training_data is a dict of dicts, and it cannot be known whether they are rows or columns: give a list of "
            'rows, such as frame.to_dict("records")'
        )
    return counted[0]


def _cells_of(name: object, values: Any) -> list[object]:
    """Return the cells of one column as plain values."""
    if isinstance(values, Mapping):
        return list(values.values())
    if hasattr(values, "columns") or hasattr(values, "column_names"):
        _refuse(f"training_data holds several sets of rows, one of them {name!s:.60}: pass one of them")
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(values, method):
            values = getattr(values, method)()
            break
    if isinstance(values, str) or not isinstance(values, Iterable):
        _refuse(
            f"training_data is a mapping of columns, but {name!s:.60} is not a column of cells: for a single example "
            "put the dict in a list; for a dict of inputs to outputs pass list(data.items())"
        )
    return list(values)


def _columns(cells: Mapping[Any, list[object]], source: str) -> Rows:
    columns = {str(name): column for name, column in cells.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        _refuse(f"the columns differ in length: {lengths}")
    return Rows.of((dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)), source)


def _iterable(data: object, choice: Choice) -> Rows:
    if not isinstance(data, Iterable):
        _refuse(
            "training_data must be pairs, dicts, TuningExamples, a data frame, columns or the path of a file, not "
            f"{type(data).__name__}"
        )
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(cell, str) for cell in data):
        _refuse("training_data is one pair: put it in a list, [(input, output)]")
    rows = list(data)
    _refuse_fields(data, rows)
    return _listed(rows, choice)


def _refuse_fields(data: object, rows: list[object]) -> None:
    """Refuse an object that iterates over its own fields: their names would become inputs."""
    if isinstance(data, list | tuple) or not rows:
        return
    names = [row[0] if isinstance(row, tuple) and len(row) == 2 else row for row in rows[:_SHOWN]]
    fields = getattr(data, "__dict__", None) or getattr(type(data), "__slots__", ()) or ()
    known = {*fields} | {*getattr(type(data), "model_fields", ())}
    if names and all(isinstance(name, str) and name in known for name in names):
        kind = type(data).__name__
        _refuse(f"training_data is one {kind}, whose fields are {', '.join(map(str, names))}: pass a list of examples")


def _listed(rows: list[object], choice: Choice) -> Rows:
    """Return rows in memory; the first of rows of cells is taken as a heading if its names are known."""
    if all(map(are_cells, rows[:2])):
        return _cells(rows, choice, certain=True)  # type: ignore[arg-type]
    return Rows.of(rows)


def _cells(rows: Iterable[Sequence[object]], choice: Choice, *, certain: bool) -> Rows:
    """Return rows of cells, of which the first may be a heading.

    Args:
        rows: The rows.
        choice: What the caller says.
        certain: Whether they are examples unless the first is known to be a heading; those of a file may be either.
    """
    source = "" if certain else "a csv.reader"
    every: Iterator[Sequence[object]] = iter(rows)
    first = next(every, None)
    if first is None:
        return Rows("row", (), source, choices=_HEADED)
    names = [cell.strip() if isinstance(cell, str) else "" for cell in first]
    named = named_in_order(names, choice)
    if certain and not choice.named and not choice.heading:
        heading = choice.heading is not False and all(names) and is_heading(names, choice)
    else:
        heading = judge_first(names, named)
    if heading:
        return Rows("row", tuple(cell_rows(every, names, 2)), source, choices=_HEADED)
    notes: tuple[str, ...] = ()
    if certain and isinstance(first, list) and choice.heading is None and looks_like_heading(names):
        notes = (
            f"the first row ({names[0]!r}, {names[1]!r}) is read as an example; if it is the heading, say so (heading)",
        )
    return Rows("row", ((1, first), *cell_rows(every, None, 2)), source, notes, _HEADED)
