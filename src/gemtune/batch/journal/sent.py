"""The lines of a journal about what was sent in parts, to be answered later, by batches that the service runs.

Two kinds stand beside the outcomes, one for each item and one for each step of a part::

    {"n":0,"digest":"0123456789abcdef","key":"a","part":"gemtune-0a1b2c3d4e5f-0","crc":"01234567"}
    {"part":"gemtune-0a1b2c3d4e5f-0","engine":"server","count":2,"input":"","batch":"","state":"intended","crc":"..."}

A part without its second line was never to be sent: the writer was killed while it was filled.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import attrs

from gemtune.batch.journal.lines import TAIL, Record, is_string, signed
from gemtune.batch.keys import Key
from gemtune.errors import MalformedResponse
from gemtune.protocol.codec import dumps, loads

_STATES: Final = frozenset({"intended", "placed", "created", "ended", "void"})
_SENT: Final = re.compile(
    rb'\{"n":(\d{1,15}),"digest":"([0-9a-f]{16})","key":(null|-?\d{1,309}|"(?:[^"\\]|\\.)*"),'
    rb'"part":"([a-z0-9_-]{1,63})",'
)
PART: Final = b'{"part":'
_FIELDS: Final = ("part", "engine", "count", "input", "batch", "state", "crc")


@attrs.frozen
class SentItem:
    """An item that is part of what was to be sent.

    Args:
        n: Where it stood in the input.
        digest: 64 bits of what is asked.
        key: Its own key as JSON, or None.
        mark: The mark of its part.
    """

    n: int
    digest: int
    key: bytes | None
    mark: str

    @property
    def own_key(self) -> Key | None:
        """The item's own key."""
        return key_of(self.key)

    def to_line(self) -> bytes:
        """Return it as a line."""
        return signed(
            b'{"n":%d,"digest":"%016x","key":%b,"part":"%b"'
            % (self.n, self.digest, b"null" if self.key is None else self.key, self.mark.encode())
        )


@attrs.frozen
class PartNote:
    """What is known of a part.

    Args:
        mark: By which the service finds its batch.
        count: How many items it has.
        state: How far it is: ``intended``, its batch is to be created; ``placed``, its input lies at the service;
            ``created``, the batch has a name; ``ended``, every item has an outcome; ``void``, there is surely no batch,
            and its items are new ones.
        input: Where its requests lie, once they are placed.
        batch: The batch's name, once it has one.
    """

    mark: str
    count: int
    state: str
    input: str = ""
    batch: str = ""

    def to_line(self) -> bytes:
        """Return it as a line."""
        fields = {"part": self.mark, "engine": "server", "count": self.count}
        return signed(dumps({**fields, "input": self.input, "batch": self.batch, "state": self.state})[:-1])


Line: TypeAlias = Record | SentItem | PartNote


def parse_line(line: bytes) -> Line | None:
    """Return what a sound line after the first says, or None if this version does not know it."""
    record = Record.parse(line)
    if record is not None:
        return record
    found = _SENT.match(line)
    if found is not None and line[found.end() - 1 :] == line[-TAIL:]:
        n, digest, key, mark = found.groups()
        if key.startswith(b'"') and not is_string(key):
            return None
        return SentItem(int(n), int(digest, 16), None if key == b"null" else key, mark.decode())
    return _note(line) if line.startswith(PART) else None


def key_of(key: bytes | None) -> Key | None:
    """Return a key that stands as JSON in a line."""
    if key is None:
        return None
    return str(loads(key)) if key.startswith(b'"') else int(key)


def _note(line: bytes) -> PartNote | None:
    try:
        value = loads(line)
    except MalformedResponse:
        return None
    if tuple(value) != _FIELDS or value["engine"] != "server" or value["state"] not in _STATES:
        return None
    texts = [value[name] for name in ("part", "input", "batch")]
    count = value["count"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(count, int):
        return None
    mark, where, batch = map(str, texts)
    return PartNote(mark, count, str(value["state"]), where, batch)
