"""Both spellings of keys: what people and other clients write as ``training_dataset_uri`` is ``trainingDatasetUri``.

Google's own clients mix the two inside one body, and the JSON mapping of proto3 takes both. What reads such JSON puts
its keys right first, so that decoders know only one spelling.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from gemtune.protocol.codec.shape import fields_of
from gemtune.types.message import Message

Table: TypeAlias = tuple[dict[str, str], dict[str, type[Message]]]

_tables: dict[type[Message], Table] = {}


def respelled(cls: type[Message], value: object) -> object:
    """Return parsed JSON of a message with the keys of its fields, and of theirs, in camelCase.

    Unknown keys, and what is plain JSON, stay as they came; so does a key that is there in both spellings.
    """
    if not isinstance(value, dict):
        return value
    others, inner = _table(cls)
    made: dict[Any, Any] = {}
    for key, item in value.items():
        name: Any = others.get(key, key)
        if name in value:
            name = key
        part = inner.get(name)
        if part is not None and isinstance(item, list):
            made[name] = [respelled(part, each) for each in item]
        else:
            made[name] = item if part is None else respelled(part, item)
    return made


def _table(cls: type[Message]) -> Table:
    """Return the other spellings of a message's keys, and which of its fields hold messages."""
    if cls not in _tables:
        fields = fields_of(cls)
        others = {field.name: field.key for field in fields if field.name != field.key}
        _tables[cls] = others, {field.key: field.cls for field in fields if field.kind == "message"}
    return _tables[cls]
