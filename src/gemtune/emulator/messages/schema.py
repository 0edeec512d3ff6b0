"""Messages as tables: field numbers, types and presence, written as in a ``.proto`` file.

A service has a ``Schema`` of its own, on top of what all of Google's services share (``COMMON``: ``google.rpc`` and
``google.longrunning``). A table has a block of lines for each message: its name, then each field as
``NUMBER TYPE NAME``.

``*`` marks a repeated field, ``?`` an ``optional`` one (printed even when it is zero), ``|name`` a member of a oneof.
``Json`` stands for parts of a message the emulator passes over: any JSON is taken there and kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

_SCALARS = frozenset({
    "string", "bytes", "bool", "int32", "int64", "float", "double", "Timestamp", "Duration", "Any", "Json", "Labels",
})  # fmt: skip


def camel_case(name: str) -> str:
    """Return the JSON name of a proto field."""
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda match: match.group(1).upper(), name)


def snake_case(name: str) -> str:
    """Return the proto name of a JSON field."""
    return re.sub(r"(?<!^)[A-Z]", lambda match: "_" + match.group().lower(), name)


@attrs.frozen
class FieldSpec:
    """One field of a message."""

    number: int
    type: str
    name: str
    repeated: bool = False
    optional: bool = False
    oneof: str | None = None
    is_enum: bool = False
    json_name: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "json_name", camel_case(self.name))

    @property
    def is_message(self) -> bool:
        return self.type not in _SCALARS and not self.is_enum


@attrs.frozen
class MessageSpec:
    """One message: its fields by number, and by either spelling of their names."""

    name: str
    fields: tuple[FieldSpec, ...]
    by_name: Mapping[str, FieldSpec] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        names = {f.json_name: f for f in self.fields} | {f.name: f for f in self.fields}
        object.__setattr__(self, "by_name", names)


@attrs.frozen(eq=False, repr=False)
class Schema:
    """All messages and enums of one service.

    Args:
        package: their proto package, as error messages name it.
        messages: by name.
        enums: number by name, by the enum's name.
    """

    package: str
    messages: Mapping[str, MessageSpec]
    enums: Mapping[str, Mapping[str, int]]

    @classmethod
    def parse(cls, package: str, table: str, enums: Mapping[str, Mapping[str, int]], base: Schema | None) -> Schema:
        """Return the schema of a table, on top of another one."""
        every = {**(base.enums if base else {}), **enums}
        messages = dict(base.messages) if base else {}
        for block in table.strip().split("\n\n"):
            name, *lines = block.splitlines()
            messages[name] = MessageSpec(name, tuple(sorted((_field(line, every) for line in lines), key=_number)))
        unknown = {f.type for spec in messages.values() for f in spec.fields if f.is_message} - messages.keys()
        if unknown:
            raise ValueError(f"unknown field types: {', '.join(sorted(unknown))}")
        return cls(package, messages, every)


def _field(line: str, enums: Mapping[str, object]) -> FieldSpec:
    number, kind, name, *oneof = line.split()
    plain = kind.rstrip("*?")
    return FieldSpec(
        int(number),
        plain,
        name,
        repeated=kind.endswith("*"),
        optional=kind.endswith("?"),
        oneof=oneof[0].lstrip("|") if oneof else None,
        is_enum=plain in enums,
    )


def _number(spec: FieldSpec) -> int:
    return spec.number


# googleapis/googleapis: google/rpc, google/longrunning
COMMON = Schema.parse(
    "google.rpc",
    """
Empty

Operation
1 string name
2 Any metadata
3 bool done
4 Status error |result
5 Any response

ListOperationsResponse
1 Operation* operations
2 string next_page_token

Status
1 int32 code
2 string message
3 Any* details

ErrorBody
1 HttpStatus error

HttpStatus
1 int32 code
2 string message
3 string status
4 Any* details

ErrorInfo
1 string reason
2 string domain
3 Labels metadata

RetryInfo
1 Duration retry_delay

LocalizedMessage
1 string locale
2 string message

BadRequest
1 FieldViolation* field_violations

FieldViolation
1 string field
2 string description
3 string reason

Help
1 HelpLink* links

HelpLink
1 string description
2 string url

QuotaFailure
1 QuotaViolation* violations

QuotaViolation
1 string subject
2 string description
3 string api_service
4 string quota_metric
5 string quota_id
6 Labels quota_dimensions
7 int64 quota_value
""",
    enums={},
    base=None,
)
