"""From items to the input of a batch: lines in a temporary file, up to what one batch may hold.

A lot of items is worked on by one trip to a thread, because each needs JSON, a row in the index and a line in the file.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from typing import IO, Any

import attrs

from gemtune.batch.inputs import Item
from gemtune.batch.intake import OTHER_INPUT
from gemtune.batch.journal.parts import SentBefore, SentPart, SentParts
from gemtune.batch.journal.sent import SentItem
from gemtune.errors import GemtuneError, InvalidInput, JournalMismatch
from gemtune.protocol.codec import decode, dumps, encode, loads
from gemtune.resources.batches.service import BatchService
from gemtune.resources.inference import request_of
from gemtune.types import GenerateContentRequest


def wire_key(n: int, digest: int) -> str:
    """Return the key under which an item is sent: its number and what it asks, so that a line proves whose it is."""
    return f"{n}-{digest:016x}"


def parsed_key(key: str | None) -> tuple[int, int] | None:
    """Return number and digest of a key that comes back; None if it is none of ours."""
    n, _, digest = (key or "").partition("-")
    if not (n.isascii() and n.isdigit() and len(n) <= 15 and len(digest) == 16):
        return None
    try:
        return int(n), int(digest, 16)
    except ValueError:
        return None


@contextmanager
def spooling() -> Iterator[None]:
    """Say of a temporary file that fails, such as on a full disk, what it is and what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, GemtuneError):  # a deadline is one
            raise
        raise GemtuneError(
            f"a temporary file for what the service is sent or has answered failed: {error}; "
            "make room in the system's temporary folder, or set TMPDIR, and run again"
        ) from None


@attrs.define(eq=False)
class Spool:
    """The requests of a part, on their way to the service and, if they may be asked from here, in our own form.

    Args:
        wire: The lines of the input; closed once they are at the service.
        own: The requests in our own form.
        keeps: Whether these are kept.
        size: The bytes of the lines.
    """

    wire: IO[bytes]
    own: IO[bytes]
    keeps: bool
    size: int = 0

    @classmethod
    def open(cls, *, wire: bool, own: bool) -> Spool:
        """Open the files, which have no names and are gone with the process."""
        with spooling(), ExitStack() as files:
            lines = files.enter_context(closing(_nameless() if wire else BytesIO()))
            requests = files.enter_context(closing(_nameless() if own else BytesIO()))
            files.pop_all()
        return cls(lines, requests, own)

    def keep(self, request: GenerateContentRequest) -> int | None:
        """Keep a request, and return its offset; None if requests are not kept."""
        if not self.keeps:
            return None
        at = self.own.seek(0, 2)
        self.own.write(dumps(encode(request)) + b"\n")
        return at

    def request(self, at: int) -> GenerateContentRequest:
        """Return a request that was kept."""
        self.own.seek(at)
        return decode(GenerateContentRequest, loads(self.own.readline()))

    @spooling()
    def halve(self) -> tuple[Spool, Spool, int, int]:
        """Return two spools with half of the bytes each; how many requests the first has, and bytes in our own form."""
        with ExitStack() as files:
            first, second = (files.enter_context(closing(Spool.open(wire=True, own=self.keeps))) for _ in range(2))
            count = cut = 0
            self.wire.seek(0)
            self.own.seek(0)
            for line in self.wire:
                own = self.own.readline()  # nothing if they are not kept
                fits = not count or (not second.size and first.size + len(line) <= self.size // 2)
                half = first if fits else second
                half.wire.write(line)
                half.own.write(own)
                half.size += len(line)
                count, cut = (count + 1, cut + len(own)) if fits else (count, cut)
            files.pop_all()
        return first, second, count, cut

    def sent(self) -> None:
        """Let go of the lines, which are at the service."""
        self.wire.close()

    def close(self) -> None:
        """Let go of all of it."""
        self.sent()
        self.own.close()


def _nameless() -> IO[bytes]:
    return tempfile.TemporaryFile()


@attrs.frozen
class Packed:
    """What became of a lot of items.

    Args:
        lines: The lines of the journal about those that are in the part now.
        sent: They.
        needless: Those that need no batch: the journal has their outcome, or no batch can hold them.
        met: Those that are in a part of an earlier run, with its number and theirs.
        rest: Those for which the part has no room.
    """

    lines: bytes
    sent: list[Item]
    needless: list[Item]
    met: list[tuple[Item, int, int]]
    rest: list[Item]


@attrs.define(eq=False)
class Packing:
    """Puts items into parts. ``pack`` blocks.

    Args:
        service: Says how lines look, and how much a batch may hold.
        model: The model's name.
        shared: What frames all requests that bring none of their own.
        parts: The index of what is sent.
        spools: The requests of each part, by its number.
        journaled: Whether there is a journal, which knows the items' digests already.
        most_bytes: The most bytes of a part that the service has been found to have room for.
    """

    service: BatchService
    model: str
    shared: Mapping[str, Any]
    parts: SentParts
    spools: dict[int, Spool]
    journaled: bool
    most_bytes: float = math.inf

    @spooling()
    def pack(self, part: SentPart, items: list[Item]) -> Packed:
        """Put as many items as fit into a part.

        Raises:
            JournalMismatch: An earlier run has sent one with another content.
        """
        spool, limits = self.spools[part.number], self.service.limits
        packed = Packed(b"", [], [], [], [])
        rows: list[tuple[Item, int | None]] = []
        for number, item in enumerate(items):
            request = self._request(item)
            if request is None:
                packed.needless.append(item)
                continue
            before = self.parts.find(item)
            if before is not None:
                packed.met.append((item, *self._met(item, request, before)))
                continue
            line = self._line(item, request)
            if line is None:
                packed.needless.append(item)
                continue
            if part.count + len(rows) >= limits.requests or (
                (rows or part.count) and spool.size + len(line) > min(limits.bytes, self.most_bytes)
            ):
                packed.rest.extend(items[number:])
                break
            spool.wire.write(line)
            spool.size += len(line)
            rows.append((item, spool.keep(request)))
            packed.sent.append(item)
        self.parts.add(part, rows)
        keys = ((item, None if item.key is None else dumps(item.key)) for item, _ in rows)
        lines = b"".join(SentItem(item.index, item.digest, key, part.mark).to_line() for item, key in keys)
        return attrs.evolve(packed, lines=lines)

    def _request(self, item: Item) -> GenerateContentRequest | None:
        if item.error is None and item.held is None:
            try:
                if not self.journaled:
                    item.digest = item.content_digest()
                contents, options = item.asked(self.shared)
                return request_of(contents, **options)  # type: ignore[arg-type]
            except InvalidInput as error:
                item.error = item.refused(error)
        return None

    def _line(self, item: Item, request: GenerateContentRequest) -> bytes | None:
        try:
            line = self.service.input_line(wire_key(item.index, item.digest), self.model, request)
            if len(line) > self.service.limits.bytes:
                most = f"one batch may hold {self.service.limits.bytes:,} bytes, and this request has {len(line):,}"
                raise InvalidInput(most, field="contents")
        except InvalidInput as error:
            item.error = item.refused(error)
            return None
        return line

    def _met(self, item: Item, request: GenerateContentRequest, before: SentBefore) -> tuple[int, int]:
        if before.digest != item.digest:
            raise JournalMismatch(f"{item.row} was sent before with another content", *OTHER_INPUT)
        spool = self.spools.get(before.part)
        self.parts.met(before, item.index, None if spool is None else spool.keep(request))
        return before.part, before.n
