"""The lines of a journal: plain JSON, each with its own checksum as its last field.

The first line says what the journal is of, every other one is the outcome of one item::

    {"gemtune_journal":1,"model":"tunedModels/x","config":{},"crc":"89abcdef"}
    {"n":0,"digest":"0123456789abcdef","key":null,"attempts":1,"seconds":0.412,"response":{...},"crc":"01234567"}

The fields stand in this order, so that a line can be read without parsing the reply in it: a resumed run of a million
answers needs their digests and keys only. The checksum is the CRC-32 of all bytes before its comma; it finds every
change of one or two bits, and misses one in four billion of the others.

``docs/journal-format.md`` is the page about this format for those who read journals with other programs.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from gemtune import errors
from gemtune.batch.keys import Key
from gemtune.batch.result import BatchResult
from gemtune.errors import CallError, GemtuneError, MalformedResponse
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.protocol.names import same_model
from gemtune.protocol.status import rpc_error_class
from gemtune.types import GenerateContentResponse

VERSION: Final = 1
HEADER: Final = b'{"gemtune_journal":'
TAIL: Final = len(b',"crc":"01234567"}\n')
# In one order and without spaces, so that a pattern stands for a parser and the reply is never looked into.
_RECORD: Final = re.compile(
    rb'\{"n":(\d{1,15}),"digest":"([0-9a-f]{16})","key":(null|-?\d{1,309}|"(?:[^"\\]|\\.)*"),'
    rb'"attempts":(\d{1,9}),"seconds":(\d{1,12}\.\d{3}),"(response|error)":'
)
_NAMES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    424: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CODES: Final[tuple[tuple[type[GemtuneError], int], ...]] = (
    (errors.InvalidInput, 400),
    (errors.AlreadyExists, 409),
    (errors.DeadlineExceeded, 504),
    (errors.NotAccepted, 406),
    (errors.NotAnswered, 424),
    (errors.MalformedResponse, 502),
    (errors.TransportError, 503),
)


@attrs.frozen
class Header:
    """What the first line of a journal says.

    Args:
        model: The model that the batch asks.
        config: A digest of each setting that all items share.
        version: The version of the format.
    """

    model: str
    config: Mapping[str, str]
    version: int = VERSION

    @classmethod
    def parse(cls, line: bytes) -> Header | None:
        """Return what the first line says, or None if it is not the first line of a journal."""
        if not line.startswith(HEADER) or not checked(line):
            return None
        try:
            value = loads(line)
            version, model, config = value["gemtune_journal"], value.get("model"), value.get("config")
        except (MalformedResponse, LookupError):
            return None
        if not isinstance(version, int):
            return None
        if version == VERSION and not (isinstance(model, str) and isinstance(config, dict)):
            return None
        return cls(str(model), config if isinstance(config, dict) else {}, version)

    def to_line(self) -> bytes:
        """Return it as the first line of a journal."""
        fields = {"gemtune_journal": self.version, "model": self.model, "config": dict(self.config)}
        return signed(dumps(fields)[:-1])

    def differs_from(self, other: Header) -> str:
        """Return in words how a journal with another header is not of this batch, or an empty string if it is."""
        if not same_model(self.model, other.model):
            return f"belongs to a batch on {other.model}, not on {self.model}"
        names = {*self.config, *other.config}
        changed = sorted(name for name in names if self.config.get(name) != other.config.get(name))
        return f"was written with another {' and '.join(map(_spelled, changed))}" if changed else ""


@attrs.frozen
class Record:
    """One outcome as it stands in the journal.

    Args:
        index: Where the item stood in the input.
        digest: 64 bits of what was asked.
        key: The item's own key as JSON, a string or a whole number, or None.
        attempts: Requests made for it.
        seconds: How long it took.
        ok: Whether ``body`` is the reply, and not the error.
        body: A JSON object.
    """

    index: int
    digest: int
    key: bytes | None
    attempts: int
    seconds: float
    ok: bool
    body: bytes

    @classmethod
    def parse(cls, line: bytes) -> Record | None:
        """Return what a sound line says, or None if it is not a record."""
        found = _RECORD.match(line)
        if found is None:
            return None
        n, digest, key, attempts, seconds, kind = found.groups()
        if key.startswith(b'"') and not is_string(key):
            return None
        return cls(
            int(n),
            int(digest, 16),
            None if key == b"null" else key,
            int(attempts),
            float(seconds),
            kind == b"response",
            line[found.end() : -TAIL],
        )

    @property
    def own_key(self) -> Key | None:
        """The item's own key."""
        if self.key is None:
            return None
        # Not by way of JSON, which is read with floats for integers of more than 64 bits.
        return str(loads(self.key)) if self.key.startswith(b'"') else int(self.key)

    def to_result(self, index: int | None = None, key: Key | None = None, *, replayed: bool = False) -> BatchResult:
        """Return it as the batch yielded it. An error keeps its class as far as its status shows it.

        Args:
            index: Where its item stands in the input of now; None if that is not known to differ.
            key: Its key as the input of now gives it, in its type.
            replayed: Whether a run hands it over once more.
        """
        response = decode(GenerateContentResponse, loads(self.body)) if self.ok else None
        index = self.index if index is None else index
        key = self.own_key if key is None else key
        return BatchResult(
            key=index if key is None else key,
            index=index,
            response=response,
            error=None if self.ok else _error(loads(self.body), self.attempts),
            attempts=self.attempts,
            seconds=self.seconds,
            replayed=replayed,
        )

    def to_line(self) -> bytes:
        """Return it as a line of the output, in the form of the service's own batch results.

        Raises:
            MalformedResponse: It is not JSON, as only a line can be that somebody has made by hand.
        """
        loads(self.body)
        key = b"%d" % self.index if self.key is None else self.key
        return _output(key, self.ok, self.body)


def output_line(result: BatchResult) -> bytes:
    """Return the line of the output for a result: ``{"key", "response"}`` or ``{"key", "error"}``."""
    body = error_object(result.error) if result.response is None else encode(result.response)
    return _output(dumps(result.key), result.ok, dumps(body))


def record_line(result: BatchResult, key: Key | None, digest: int) -> bytes:
    """Return the line of the journal for a result."""
    if result.response is not None:
        kind, body = b"response", dumps(encode(result.response))
    else:
        kind, body = b"error", dumps(error_object(result.error))
    return signed(
        b'{"n":%d,"digest":"%016x","key":%b,"attempts":%d,"seconds":%.3f,"%b":%b'
        % (result.index, digest, dumps(key), result.attempts, result.seconds, kind, body)
    )


def error_object(error: BaseException | None) -> dict[str, object]:
    """Return ``{"code", "message", "status"}``, the form of an error in the service's own batch results."""
    code = getattr(error, "status", None) or next((code for kind, code in _CODES if isinstance(error, kind)), 500)
    status = "ALREADY_EXISTS" if isinstance(error, errors.AlreadyExists) else _NAMES.get(code, "UNKNOWN")
    return {"code": code, "message": str(error), "status": status}


def is_string(text: bytes) -> bool:
    """Return whether JSON says a string."""
    try:
        return isinstance(loads(text), str)
    except MalformedResponse:
        return False


def _spelled(name: str) -> str:
    """Return a field's name as words: ``generationConfig`` as ``generation config``."""
    return re.sub(r"[A-Z]", lambda found: f" {found[0].lower()}", name)


def checked(line: bytes) -> bool:
    """Return whether a line is whole and its checksum right."""
    # By hand and not by a pattern: this runs over every byte of a journal, and the CRC is the only part that may cost.
    if line[-3:] != b'"}\n' or line[-TAIL : -TAIL + 8] != b',"crc":"':
        return False
    return line[-TAIL + 8 : -3] == b"%08x" % zlib.crc32(line[:-TAIL])


def sound_lines(lines: Iterable[bytes], offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield every sound line with its offset, up to a tail that a crash has torn.

    A tail is torn if nothing sound follows it and it lacks its line end, or holds zeros, which some file systems leave
    after a loss of power.

    Raises:
        JournalCorrupt: Anything else is not sound.
    """
    broken: int | None = None
    torn = False
    for line in lines:
        if checked(line):
            if broken is not None:
                break  # something sound follows what is broken: that was no crash
            yield offset, line
        elif broken is None:
            broken, torn = offset, not line.endswith(b"\n") or b"\0" in line
        offset += len(line)
    else:
        if broken is None or torn:
            return
    damage = errors.JournalCorrupt(
        f"the line at byte {broken} was changed after it was written; delete that line, and its item is asked again"
    )
    damage.offset = broken or 0
    raise damage


def _output(key: bytes, ok: bool, body: bytes) -> bytes:
    return b'{"key":%b,"%b":%b}\n' % (key, b"response" if ok else b"error", body)


def signed(text: bytes) -> bytes:
    """Return a line: a JSON object without its closing brace, and its checksum."""
    return b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text))


def _error(value: dict[str, Any], attempts: int) -> GemtuneError:
    code, status, message = value["code"], value["status"], value["message"]
    known: type[GemtuneError] | None = next((kind for kind, its in _CODES if its == code and its != 409), None)
    # A line keeps the status that the service's own batches would have; several of our classes share one.
    cls = known if code in {400, 406, 424, 502} and known else rpc_error_class(code, status)
    if cls is errors.InvalidInput and attempts:
        cls = errors.BadRequest
    if not issubclass(cls, CallError):
        return cls(message)
    # The message was written with the count of attempts, and the error appends it again.
    return cls(message.removesuffix(f" ({attempts} attempts)"), status=code, attempts=attempts)
