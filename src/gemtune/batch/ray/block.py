"""What a block of a dataset means for a batch: rows to ask, the name of its journal, and the columns of the results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa

from gemtune.batch.result import BatchResult
from gemtune.errors import InvalidInput
from gemtune.protocol.codec import dumps, encode

COLUMNS: Final[Mapping[str, str]] = {
    name: name for name in ("text", "error", "finish_reason", "prompt_tokens", "output_tokens", "attempts")
}
"""Which columns are added under which names; ``seconds``, ``replayed`` and ``response`` (JSON) can be
added as well."""

_ERROR: Final = pa.struct([("class", pa.string()), ("message", pa.string()), ("status", pa.int32())])
_TYPES: Final[Mapping[str, pa.DataType]] = {
    "text": pa.string(),
    "error": _ERROR,
    "finish_reason": pa.string(),
    "prompt_tokens": pa.int64(),
    "output_tokens": pa.int64(),
    "attempts": pa.int64(),
    "seconds": pa.float64(),
    "replayed": pa.bool_(),
    "response": pa.string(),
}


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return which columns to add under which names.

    Raises:
        InvalidInput: There is no such column, or two have one name.
    """
    found = dict(COLUMNS if columns is None else columns)
    unknown = [name for name in found if name not in _TYPES]
    if unknown:
        raise InvalidInput(f"columns: there is no {unknown[0]!r}, only {', '.join(_TYPES)}", field="columns")
    if len(set(found.values())) < len(found):
        raise InvalidInput("columns: two results have one name", field="columns")
    return found


def folder_of(journal: object) -> Path | None:
    """Return the folder of the journals: a path, or a ``file://`` address.

    Raises:
        InvalidInput: It is neither.
    """
    if journal is None:
        return None
    text = str(journal)
    parts = urlsplit(text)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if "://" in text:
        raise InvalidInput(
            f"journal must be a folder that all machines see under one path, not {text}: a journal is appended to, "
            "which object storage cannot; mount a shared file system",
            field="journal",
        )
    return Path(text)


def as_table(batch: object) -> pa.Table:
    """Return a batch of Ray Data in any of its formats as a table."""
    if isinstance(batch, pa.Table):
        return batch
    if isinstance(batch, Mapping):
        return pa.table({name: pa.array(column) for name, column in batch.items()})
    return pa.Table.from_pandas(batch, preserve_index=False)


def rows_of(table: pa.Table, column: str, key: str | None) -> list[object]:
    """Return what to ask for each row: a prompt or a request, with its key if there is a column of keys.

    Raises:
        InvalidInput: There is no such column.
    """
    for name, role in ((column, "column"), (key, "key")):
        if name is not None and name not in table.column_names:
            raise InvalidInput(
                f"{role}: the dataset has no column {name!r}, only {', '.join(table.column_names)}", field=role
            )
    prompts = [_prompt(cell) for cell in table.column(column).to_pylist()]
    return prompts if key is None else list(zip(table.column(key).to_pylist(), prompts, strict=True))


def _prompt(cell: object) -> object:
    if cell is None:
        return InvalidInput("there is no prompt", field="contents")
    # A struct of Arrow has all fields of its type, and those that a row lacks are null.
    return _without_nulls(cell) if isinstance(cell, dict) else cell


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def digest_of(rows: Iterable[object]) -> str:
    """Return the name of a block's journal: 128 bits that stand for its rows and their order, on every machine."""
    whole = hashlib.blake2b(digest_size=16)
    for row in rows:
        key, prompt = row if isinstance(row, tuple) else (None, row)
        said = "" if isinstance(prompt, InvalidInput) else prompt
        text = json.dumps([key, said], sort_keys=True, separators=(",", ":"), default=repr).encode()
        # With its length, so that no two rows can be taken for two others.
        whole.update(b"%d:" % len(text))
        whole.update(text)
    return whole.hexdigest()


def journal_path(folder: Path, digest: str) -> Path:
    """Return the journal of a block; its folder is made. A million files in one folder would be slow to list."""
    path = folder / digest[:2] / f"{digest}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def with_results(table: pa.Table, results: Sequence[BatchResult], columns: Mapping[str, str]) -> pa.Table:
    """Return the table with a column for each thing that was asked of the results, which are in its order.

    Raises:
        InvalidInput: The dataset has a column of that name.
    """
    for what, name in columns.items():
        if name in table.column_names:
            raise InvalidInput(
                f"columns: the dataset has a column {name!r} already, so name the result {what!r} otherwise",
                field="columns",
            )
        table = table.append_column(name, pa.array(map(_CELLS[what], results), type=_TYPES[what]))
    return table


def _error(result: BatchResult) -> dict[str, object] | None:
    error = result.error
    if error is None:
        return None
    return {"class": type(error).__name__, "message": str(error), "status": getattr(error, "status", None)}


def _finish_reason(result: BatchResult) -> str | None:
    reason = None if result.response is None else result.response.finish_reason
    return None if reason is None else str(reason.value)


def _response(result: BatchResult) -> str | None:
    return None if result.response is None else dumps(encode(result.response)).decode()


def _output_tokens(result: BatchResult) -> int | None:
    return None if result.usage is None else result.usage.candidates_token_count + result.usage.thoughts_token_count


_CELLS: Final[Mapping[str, Callable[[BatchResult], object]]] = {
    "text": lambda result: result.text_or_none,
    "error": _error,
    "finish_reason": _finish_reason,
    "prompt_tokens": lambda result: None if result.usage is None else result.usage.prompt_token_count,
    "output_tokens": _output_tokens,
    "attempts": lambda result: result.attempts,
    "seconds": lambda result: result.seconds,
    "replayed": lambda result: result.replayed,
    "response": _response,
}
