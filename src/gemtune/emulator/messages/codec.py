"""The JSON form of the messages, as Google's frontend reads and writes it.

Inside the emulator a message is a dict under its proto names, a timestamp is an int of nanoseconds since 1970 and an
enum is its name. Reading is tolerant where the service is and strict where it is; writing is what protobuf's writer
does:

====================  ======================================================  =======================================
                      read                                                    written
====================  ======================================================  =======================================
a name                in either spelling; an unknown one is refused           lowerCamelCase, in field order
an enum               its name or number                                      its name; its number if asked
int64                 a number or a string                                    a string
float                 a number or a string                                    the shortest that is the same 32 bits
a zero                                                                        left out, unless ``optional``
a repeated field      a list; a single value is a list of one                 left out if empty
null                  as if it were absent
a trailing comma      ignored
====================  ======================================================  =======================================

Everything that is wrong in a body is found in one pass and reported in one error, as the service does.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections.abc import Mapping
from typing import cast

import attrs

from gemtune.emulator.messages.errors import violations
from gemtune.emulator.messages.json_text import FrozenJson, dumps
from gemtune.emulator.messages.schema import FieldSpec, MessageSpec, Schema

Value = dict[str, object]


class FrozenMessage(dict[str, object]):
    """A message that never changes: its JSON is made once for each way of writing it."""

    __slots__ = ("encoded",)

    def __init__(self, value: Mapping[str, object]) -> None:
        super().__init__(value)
        self.encoded: dict[tuple[Schema, str, bool], FrozenJson] = {}

    def encode(self, schema: Schema, message: str, enum_numbers: bool) -> FrozenJson:
        """Return its JSON; services may have messages of different names for it."""
        key = (schema, message, enum_numbers)
        if key not in self.encoded:
            self.encoded[key] = FrozenJson(encode(schema, message, dict(self), enum_numbers=enum_numbers))
        return self.encoded[key]


_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_ZERO = {"string": "", "bytes": "", "bool": False, "int32": 0, "int64": 0, "float": 0.0, "double": 0.0}
_INTEGER_BITS = {"int32": 31, "int64": 63}
_MOST_FOUND = 100  # an error must not be larger than what is wrong by more than a constant


# ── scalars ────────────────────────────────────────────────────────────────────────────────────────────────────────


def float32(value: float) -> float:
    """Return the float whose shortest decimal form is that of the nearest 32-bit float."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    exact = cast(float, struct.unpack("<f", packed)[0])
    # A float32 has 6 to 9 significant digits. The first length that reads back as the same 32 bits is what is printed.
    for digits in (6, 7, 8):  # six digits of a shorter number are that number and zeros
        short = float(f"{exact:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(f"{exact:.9g}")


def format_timestamp(nanos: int) -> str:
    """Return RFC 3339 in UTC with 0, 3, 6 or 9 fractional digits, as the proto3 JSON mapping prints it."""
    seconds, fraction = divmod(nanos, 1_000_000_000)
    text = (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)).isoformat()  # noqa: DTZ001 - UTC by construction
    if not fraction:
        return text + "Z"
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def parse_timestamp(text: str) -> int:
    """Return the nanoseconds since 1970 of an RFC 3339 timestamp; raises ValueError."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        raise ValueError(text)
    whole, fraction, zone = match.groups()
    instant = dt.datetime.fromisoformat(whole.upper() + ("+00:00" if zone in "Zz" else zone))
    since = instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


# ── JSON values → messages ─────────────────────────────────────────────────────────────────────────────────────────


def decode(schema: Schema, message: str, body: object) -> Value:
    """Return a message from JSON.

    Args:
        schema: of the service.
        message: the message's name in it.
        body: parsed JSON.

    Returns:
        The fields that were given, under their proto names.

    Raises:
        RpcError: 400 with every unknown name and every value of the wrong type.
    """
    decoder = _Decoder(schema)
    value = decoder.message(schema.messages[message], body, "")
    if decoder.found:
        raise violations(decoder.found)
    return value


@attrs.define
class _Decoder:
    schema: Schema
    found: list[tuple[str, str]] = attrs.field(factory=list)

    def message(self, message: MessageSpec, body: object, path: str) -> Value:
        if not isinstance(body, Mapping):
            self.invalid(path, "type.googleapis.com/" + message.name, body)
            return {}
        value: Value = {}
        oneofs: dict[str, str] = {}
        for key, item in body.items():
            spec = message.by_name.get(key)
            if spec is None:
                self.unknown(key, path)
            # null is "absent" in proto3 JSON
            elif item is None:
                continue
            elif spec.oneof in oneofs:
                text = f"oneof field '{spec.oneof}' is already set. Cannot set '{key}'"
                self.wrong(path, f"Invalid value at '{path}' (oneof), {text}")
            else:
                if spec.oneof:
                    oneofs[spec.oneof] = key
                value[spec.name] = self.field(spec, item, f"{path}.{spec.name}" if path else spec.name)
        return value

    def field(self, spec: FieldSpec, item: object, path: str) -> object:
        if not spec.repeated:
            return self.one(spec, item, path)
        if isinstance(item, list):
            return [self.one(spec, element, f"{path}[{index}]") for index, element in enumerate(item)]
        # the frontend takes a single value for a repeated field
        return [self.one(spec, item, f"{path}[0]")]

    def one(self, spec: FieldSpec, item: object, path: str) -> object:
        kind = spec.type
        if kind == "Json":
            return item
        if kind == "Any":
            return self.any(item, path)
        if spec.is_message:
            return self.message(self.schema.messages[kind], item, path)
        if spec.is_enum:
            return self.enum(kind, item, path)
        try:
            return _scalar(kind, item)
        except (ValueError, TypeError, OverflowError):
            self.invalid(path, "TYPE_" + kind.upper(), item)
            return _ZERO.get(kind, "")

    def any(self, item: object, path: str) -> object:
        if not isinstance(item, Mapping):
            self.invalid(path, "type.googleapis.com/google.protobuf.Any", item)
            return {}
        message = self.schema.messages.get(str(item.get("@type", "")).rpartition(".")[2])
        if message is None:
            return dict(item)
        fields = {key: value for key, value in item.items() if key != "@type"}
        return {"@type": item["@type"], **self.message(message, fields, path)}

    def enum(self, kind: str, item: object, path: str) -> object:
        numbers = self.schema.enums[kind]
        if isinstance(item, str) and item in numbers:
            return item
        if isinstance(item, int) and not isinstance(item, bool):
            names = {number: name for name, number in numbers.items()}
            return names.get(item, item)
        self.invalid(path, f"type.googleapis.com/{self.schema.package}.{kind}", item)
        return next(iter(numbers))

    def unknown(self, name: object, path: str) -> None:
        where = f" at '{path}'" if path else ""
        self.wrong(path, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')

    def invalid(self, path: str, kind: str, item: object) -> None:
        shown = dumps(item, pretty=False).decode()
        self.wrong(path, f"Invalid value at '{path}' ({kind}), {shown[:200]}")

    def wrong(self, path: str, text: str) -> None:
        if len(self.found) < _MOST_FOUND:
            self.found.append((path, text))


def _scalar(kind: str, item: object) -> object:
    if kind in _INTEGER_BITS:
        return _integer(kind, item)
    if kind in ("float", "double"):
        if isinstance(item, bool) or not isinstance(item, int | float | str):
            raise TypeError(item)
        return float32(float(item)) if kind == "float" else float(item)
    if kind == "bool":
        if not isinstance(item, bool):
            raise TypeError(item)
        return item
    if kind == "Labels":
        return {str(key): str(value) for key, value in cast("Mapping[object, object]", item).items()}
    if not isinstance(item, str):
        raise TypeError(item)
    return parse_timestamp(item) if kind == "Timestamp" else item


def _integer(kind: str, item: object) -> int:
    if isinstance(item, bool) or not isinstance(item, int | float | str):
        raise TypeError(item)
    number = int(item)
    if isinstance(item, float) and number != item:
        raise ValueError(item)
    if not -(1 << _INTEGER_BITS[kind]) <= number < 1 << _INTEGER_BITS[kind]:
        raise ValueError(item)
    return number


# ── messages → JSON values ─────────────────────────────────────────────────────────────────────────────────────────


def encode(
    schema: Schema, message: str, value: Mapping[str, object], *, enum_numbers: bool = False
) -> dict[str, object]:
    """Return the JSON of a message: keys in field order, zero values left out, ``optional`` fields kept at zero.

    Args:
        schema: of the service.
        message: the message's name in it.
        value: its fields under their proto names.
        enum_numbers: write enums as numbers (``$alt=json;enum-encoding=int``).
    """
    body: dict[str, object] = {}
    for spec in schema.messages[message].fields:
        item = value.get(spec.name)
        if item is None:
            continue
        if spec.repeated:
            elements = [_encode_one(schema, spec, element, enum_numbers) for element in cast("list[object]", item)]
            if elements:
                body[spec.json_name] = elements
        elif spec.optional or spec.oneof or not _is_zero(schema, spec, item):
            body[spec.json_name] = _encode_one(schema, spec, item, enum_numbers)
    return body


def _is_zero(schema: Schema, spec: FieldSpec, item: object) -> bool:
    if spec.is_enum:
        return schema.enums[spec.type].get(str(item), item) == 0
    return spec.type in _ZERO and item == _ZERO[spec.type]


def _encode_one(schema: Schema, spec: FieldSpec, item: object, enum_numbers: bool) -> object:
    kind = spec.type
    if kind == "Any":
        any_value = cast("Mapping[str, object]", item)
        message = str(any_value.get("@type", "")).rpartition(".")[2]
        if message not in schema.messages:
            return any_value
        return {"@type": any_value["@type"], **encode(schema, message, any_value, enum_numbers=enum_numbers)}
    if isinstance(item, FrozenMessage):
        return item.encode(schema, kind, enum_numbers)
    if spec.is_message:
        return encode(schema, kind, cast("Mapping[str, object]", item), enum_numbers=enum_numbers)
    if spec.is_enum:
        return schema.enums[kind].get(str(item), item) if enum_numbers else item
    match kind:
        case "Timestamp":
            return format_timestamp(cast(int, item))
        case "int64":
            return str(item)
        case "float":
            return float32(cast(float, item))
    return item
