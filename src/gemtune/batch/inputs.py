"""The input of a batch: rows from anything that can be iterated, and the Item that each of them stands for.

A row is pulled when a permit is free for it and not before, so that an input may be endless, may be paid for by the
row, or may wait for somebody to type the next line. What a row means is decided here alone, and a row that cannot be
asked becomes an Item with an error: one bad line of a million is a result, not the end of the run.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import operator
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from operator import length_hint
from typing import Any, Final, TypeAlias

import attrs

from gemtune.batch.keys import Key, Span
from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.protocol.names import same_model
from gemtune.resources.inference import request_of
from gemtune.types import Content, GenerateContentRequest, Part, to_contents

Row = object
"""A prompt (str, Part, Content or a list of these), a request (GenerateContentRequest or its JSON), or (key, row).

A row with a key may have the form of the service's own batches: ``{"key": ..., "request": ...}``.

An InvalidInput in the place of a row says why it cannot be asked."""

ModelName: TypeAlias = Callable[[object], str]
"""``InferenceService.model_name`` of the service that is asked."""

END: Final = object()
"""What ``Inputs.next`` returns after the last row."""
_FIELDS: Final = {
    field.name: field.name.split("_")[0] + "".join(part.capitalize() for part in field.name.split("_")[1:])
    for field in attrs.fields(GenerateContentRequest)
    if field.name != "extra"
}
_FRAME: Final = len('{"contents":[{"parts":[{"text":""}],"role":"user"}]}')
_TABLES: Final = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_MEDIA_BYTES: Final = 1000
"""What an image or a file counts for when tokens are estimated: 258 tokens at about four bytes each."""
_KEY_BITS: Final = 1024
"""Of a whole number as a key: Python gives no text to one of more than some 14,000 bits, and a UUID has 128."""
_sorted: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


@attrs.define(eq=False)
class Item:
    """One input on its way.

    Args:
        index: Its place in the input, from 0.
        key: Its own key, or None.
        contents: The prompt.
        own: The whole request, if the row brings one.
        error: Why it cannot be asked, or None.
        position: The place of its result among those of this run.
        digest: What stands for its content in a journal.
        attempts: Requests made for it so far.
        held: Where the journal holds its outcome, if that is to be handed over.
    """

    index: int
    key: Key | None
    contents: str | tuple[Content, ...]
    own: GenerateContentRequest | None = None
    error: InvalidInput | None = None
    position: int = 0
    digest: int = 0
    attempts: int = 0
    held: Span | None = None

    @property
    def name(self) -> Key:
        """The key by which its result is known."""
        return self.index if self.key is None else self.key

    @property
    def row(self) -> str:
        """What it is called in messages: the row's number, and its own key if it has one."""
        return f"row {self.index + 1}" if self.key is None else f"row {self.index + 1}, key {self.key!r}"

    @property
    def size(self) -> int:
        """About how many bytes its request has, media converted, for the estimate of its tokens."""
        if isinstance(self.contents, str):
            return _FRAME + _bytes(self.contents)
        # Media count by what they cost in tokens, not by their bytes: a picture of 5 MB takes as many as one of 50 kB.
        size = _FRAME + sum(_part_size(part) for content in self.contents for part in content.parts)
        instruction = None if self.own is None else self.own.system_instruction
        return size + (sum(map(_part_size, instruction.parts)) if instruction is not None else 0)

    def content_digest(self) -> int:
        """Return 64 bits that stand for everything it asks, the same on every machine and for every spelling.

        Raises:
            InvalidInput: It holds what JSON cannot say.
        """
        if isinstance(self.contents, str):
            text = f'{{"contents":[{{"parts":[{{"text":{_canonical(self.contents)}}}],"role":"user"}}]}}'
        else:
            text = _canonical(encode(self.own or GenerateContentRequest(contents=self.contents)))
        return _digest(text)

    def asked(self, shared: Mapping[str, Any]) -> tuple[object, Mapping[str, Any]]:
        """Return what to give to ``generate_content``: contents and options; a whole request takes in what it lacks.

        Args:
            shared: The settings of the batch.

        Raises:
            InvalidInput: The row's request holds what cannot be sent.
        """
        if self.own is None:
            return self.contents, shared  # as it is: a dict per call would be felt at a thousand calls a second
        lacking = {name: value for name, value in shared.items() if not getattr(self.own, name)}
        return attrs.evolve(self.own, **lacking), {}

    def refused(self, error: InvalidInput) -> InvalidInput:
        """Return an error about its content as one that names the row and its key."""
        return InvalidInput(f"{self.row}: {error.message}", *error.remedies, field=error.field, row=self.index + 1)


def make_item(row: Row, index: int, model: str, model_name: ModelName) -> Item:
    """Return the item that a row of the input stands for; if it cannot be asked, its ``error`` names the row.

    Args:
        row: The row.
        index: Its place in the input, from 0.
        model: The model that the batch asks.
        model_name: Returns the name under which the service knows a model that a row names.
    """
    item = Item(index, None, "")
    try:
        if isinstance(row, tuple):
            item.key, row = _keyed(row)
        elif isinstance(row, Mapping) and row.keys() == {"key", "request"}:
            item.key, row = checked_key(row["key"]), row["request"]
        if isinstance(row, InvalidInput):
            raise row
        if isinstance(row, str):
            item.contents = _not_empty(row)
            return item
        if isinstance(row, Mapping):
            row = request_from_json(row)
        # A set of parts would be sent in another order by another process, and have another digest then.
        if isinstance(row, set | frozenset):
            raise InvalidInput("the parts of a prompt are a list, as a set has no order", field="contents")
        if isinstance(row, GenerateContentRequest):
            item.contents, item.own = row.contents, _own(row, model, model_name)
        else:
            item.contents = to_contents(row)  # type: ignore[arg-type]
    except InvalidInput as error:
        item.error = item.refused(error)
    return item


def repeated(item: Item, first: int) -> Item:
    """Return what stands for an item whose key belongs to an earlier one: a failure known by its index."""
    row = item.index + 1
    what = f"row {row}: the key {item.key!r} was used before, in row {first + 1}: give each row its own"
    return Item(item.index, None, "", error=InvalidInput(what, field="key", row=row))


def request_from_json(value: Mapping[str, object]) -> GenerateContentRequest:
    """Return the request that a JSON object holds; its own fields may be written in camelCase or snake_case.

    Raises:
        InvalidInput: A field has a wrong type, or there are no contents.
    """
    found = {_FIELDS.get(name, name): item for name, item in value.items()}
    if isinstance(found.get("contents"), str):
        found["contents"] = [{"parts": [{"text": found["contents"]}], "role": "user"}]
    try:
        request = decode(GenerateContentRequest, found)
    except MalformedResponse as error:
        raise InvalidInput(
            error.message.replace("the reply does not hold a", "this is not a"), field="request"
        ) from None
    if not request.contents:
        only = ", ".join(map(repr, request.extra))
        rows = (
            f", only {only}: a row is a prompt, a request, (key, prompt or request) or {{'key': ..., 'request': ...}}"
        )
        raise InvalidInput(f"the request has no contents{rows if only else ''}", field="contents")
    return request


def request_fields(row: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a request among the columns of a row, without labels beside them: strings and numbers.

    Raises:
        InvalidInput: There is an object or array besides, which may be a field of another name that was meant.
    """
    found = {}
    for name, item in row.items():
        if name in _FIELDS or name in _FIELDS.values():
            found[name] = item
        elif isinstance(item, dict | list):
            raise InvalidInput(
                f"{name!r} is not a field of a request ({', '.join(_FIELDS.values())}): correct its name, or keep it "
                'apart from the request: {"key": ..., "request": {...}}',
                field=name,
            )
    return found


def config_digests(shared: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest for each setting that all items share, so that a resumed run can name the one that differs.

    Raises:
        InvalidInput: One holds what JSON cannot say.
    """
    body = encode(request_of("-", **shared))
    del body["contents"]
    return {name: f"{_digest(_canonical(value)):016x}" for name, value in body.items()}


def checked_key(key: object) -> Key:
    """Return the key that a row brings; a whole number of numpy as one of Python, and all others as they are.

    Raises:
        InvalidInput: It cannot be one.
    """
    if isinstance(key, str):
        return key
    if not isinstance(key, bool):
        with suppress(TypeError):  # numpy's integers are integers, and its floats and NaN are not
            number = int(operator.index(key))  # type: ignore[arg-type]
            if number.bit_length() <= _KEY_BITS:
                return number
            raise InvalidInput(f"a key has at most {_KEY_BITS:,} bits: give a shorter one", field="key")
    raise InvalidInput(f"a key is a str or an integer, not {type(key).__name__}: write str(key)", field="key")


def _keyed(row: tuple[object, ...]) -> tuple[Key, object]:
    if len(row) != 2:
        raise InvalidInput(f"a tuple is a row (key, request), and this one has {len(row)} items: use a list for parts")
    key, request = row
    return checked_key(key), request


def _own(request: GenerateContentRequest, model: str, model_name: ModelName) -> GenerateContentRequest:
    """Return the request without its model, which stands in the address of the call."""
    if not request.model:
        return request
    if not same_model(model_name(request.model), model):
        raise InvalidInput(f"the request is for {request.model}, but the batch is for {model}", field="model")
    return attrs.evolve(request, model="")


def _not_empty(text: str) -> str:
    if not text:
        raise InvalidInput("the prompt is empty", field="contents")
    return text


def _part_size(part: Part) -> int:
    return _MEDIA_BYTES if part.text is None else _bytes(part.text)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _digest(text: str) -> int:
    # Not Python's own hash: a journal is resumed by another process, and on another machine.
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _canonical(value: object) -> str:
    """Return the one text of a value.

    Raises:
        InvalidInput: JSON cannot say it.
    """
    try:
        return _sorted(value)
    except (TypeError, ValueError, RecursionError):
        # What is written in another way (a UUID, keys of several types) is known by what is sent of it.
        return _sorted(loads(dumps(value, strict=True)))


def _iterable(inputs: object) -> Iterable[Row] | AsyncIterable[Row]:
    what = type(inputs).__name__
    if isinstance(inputs, AsyncIterable):
        return inputs
    if isinstance(inputs, Mapping):
        return _rows_of(inputs)
    if isinstance(inputs, os.PathLike):
        raise _wrong(
            f"inputs must be rows, not a path: read the file with gemtune.batch.files.FileRows({str(inputs)!r})"
        )
    if callable(inputs) and not isinstance(inputs, Iterable):
        kind, name = "class" if isinstance(inputs, type) else "function", getattr(inputs, "__name__", what)
        raise _wrong(f"inputs is the {kind} {name}: call it, {name}()")
    if not isinstance(inputs, Iterable) or isinstance(inputs, str | bytes | bytearray | memoryview):
        raise _wrong(f"inputs must be an iterable or async iterable of prompts, not {what}: put one prompt in [ ]")
    if hasattr(inputs, "line_num") and hasattr(inputs, "dialect") and not hasattr(inputs, "fieldnames"):
        raise _wrong(
            "inputs is a csv.reader, whose rows are lists of cells and begin with the heading: use csv.DictReader and "
            'give a column, (row["prompt"] for row in reader), or read the file with gemtune.batch.files.FileRows'
        )
    name = str(getattr(inputs, "name", "")) if hasattr(inputs, "read") else ""
    if name.lower().endswith(_TABLES):
        raise _wrong(
            f"inputs is an open file, whose lines are no prompts: read it with gemtune.batch.files.FileRows({name!r})"
        )
    # Of pandas, polars, pyarrow ...: iterating over one gives the names of its columns, or the columns.
    if hasattr(type(inputs), "columns") and len(getattr(inputs, "shape", ())) == 2:
        raise _wrong(
            f'inputs is a data frame ({what}), not rows: give a column, frame["prompt"], or rows, '
            'zip(frame["id"], frame["prompt"])'
        )
    return inputs


def _rows_of(inputs: Mapping[Any, object]) -> Iterable[Row]:
    if "contents" in inputs:
        raise _wrong("inputs is one request: put it in [ ]")
    # {"prompt": [...], "id": [...]} is what frames and datasets give; {"a": [part, part]} is one prompt of two parts.
    if inputs and all(map(_is_column, inputs.values())):
        name = "prompt" if "prompt" in inputs else next(reversed([*inputs]))
        raise _wrong(
            f"inputs is a dict of columns ({', '.join(map(repr, inputs))}): give one, inputs[{name!r}], or rows, "
            f'zip(inputs["id"], inputs[{name!r}]); for a dict of prompts with several parts give inputs.items()'
        )
    return inputs.items()


def _is_column(value: object) -> bool:
    if isinstance(value, Mapping):  # of frame.to_dict(): the numbers of the rows and their cells
        return len(value) > 0 and [*value] == [*range(len(value))]
    return isinstance(value, list | tuple) or hasattr(value, "shape")


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(what, field="inputs")


@attrs.define(eq=False)
class Inputs:
    """The rows of a batch, one at a time, by a single task: an async generator cannot be resumed by several.

    Args:
        iterable: An iterable or async iterable of rows; a dict gives its items, as (key, row).
    """

    iterable: Iterable[Row] | AsyncIterable[Row] = attrs.field(converter=_iterable)
    _rows: Iterator[Row] | AsyncIterator[Row] | None = attrs.field(default=None, init=False)

    @property
    def total(self) -> int | None:
        """How many rows there are, if that is known."""
        hint = length_hint(self.iterable, -1)
        return hint if hint >= 0 else None

    async def next(self) -> Row:
        """Return the next row, or END.

        Raises:
            Exception: Whatever the iterable raised.
        """
        if self._rows is None:
            given = self.iterable
            # Now and not at the start: before the block is entered, nothing of the input may be touched.
            self._rows = aiter(given) if isinstance(given, AsyncIterable) else iter(given)
        if isinstance(self._rows, AsyncIterator):
            return await anext(self._rows, END)
        return next(self._rows, END)

    async def aclose(self) -> None:
        """Close an async generator, which nobody else can end in this task; leave all else to its owner."""
        if inspect.isasyncgen(self._rows):
            await self._rows.aclose()
