"""What a journal already holds, in little memory: one bit for an ordinal, 16 bytes in a table for a key.

Beside the bit stands the digest of what was asked, in an unnamed file of which one page is in memory; it tells a
resumed run that its input is another one.
"""

from __future__ import annotations

import enum
import hashlib
import os
import tempfile
from array import array
from pathlib import Path
from typing import BinaryIO, Final

import attrs

_PAGE: Final = 4096
_ENTRY: Final = 8
_SEGMENTS: Final = 256
_SMALLEST: Final = 8


class Seen(enum.Enum):
    """How an item relates to the journal."""

    NEW = enum.auto()
    DONE = enum.auto()
    CHANGED = enum.auto()


@attrs.define(eq=False)
class Ordinals:
    """A set of ordinals, each with 64 bits of content.

    Args:
        folder: Where the unnamed file is made, once there is something to keep.
    """

    folder: Path
    count: int = 0
    _bits: bytearray = attrs.field(factory=bytearray, repr=False)
    _file: BinaryIO | None = None
    _page: array[int] = attrs.field(factory=lambda: array("Q"), repr=False)
    _page_number: int = -1
    _dirty: bool = False

    def __contains__(self, n: int) -> bool:
        """Return whether an ordinal is there."""
        return _has_bit(self._bits, n)

    def loaded(self, n: int) -> bool:
        """Return whether the page with this ordinal's content is in memory."""
        return n // _PAGE == self._page_number

    def load(self, n: int) -> None:
        """Bring in the page with this ordinal's content; reads and writes the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder, prefix=".gemtune-")  # noqa: SIM115 - see close
        fd = self._file.fileno()
        if self._dirty:
            os.pwrite(fd, self._page.tobytes(), self._page_number * _PAGE * _ENTRY)
        self._page_number, self._dirty = n // _PAGE, False
        found = os.pread(fd, _PAGE * _ENTRY, self._page_number * _PAGE * _ENTRY)
        self._page = array("Q", found.ljust(_PAGE * _ENTRY, b"\0"))

    def add(self, n: int, content: int) -> None:
        """Add an ordinal."""
        if not self.loaded(n):
            self.load(n)
        _set_bit(self._bits, n)
        self._page[n % _PAGE] = content
        self._dirty = True
        self.count += 1

    def content(self, n: int) -> int:
        """Return the content of an ordinal whose page is loaded."""
        return self._page[n % _PAGE]

    def close(self) -> None:
        """Let go of the file, and with it of its space."""
        if self._file is not None:
            self._file.close()


def _has_bit(bits: bytearray, n: int) -> bool:
    byte = n >> 3
    return byte < len(bits) and bool(bits[byte] >> (n & 7) & 1)


def _set_bit(bits: bytearray, n: int) -> None:
    byte = n >> 3
    if byte >= len(bits):
        bits.extend(bytes(max(byte + 1 - len(bits), len(bits) >> 3, 64)))
    bits[byte] |= 1 << (n & 7)


@attrs.define(eq=False)
class Keys:
    """A table of 64-bit digests: open addressing in segments, so that none takes long to grow."""

    count: int = 0
    _segments: list[array[int]] = attrs.field(
        factory=lambda: [array("Q", bytes(_SMALLEST * 2 * _ENTRY)) for _ in range(_SEGMENTS)], repr=False
    )
    _used: list[int] = attrs.field(factory=lambda: [0] * _SEGMENTS, repr=False)

    def get(self, key: int) -> int | None:
        """Return the value of a key, or None."""
        table = self._segments[key % _SEGMENTS]
        at = _slot(table, key)
        return table[at + 1] if table[at] else None

    def set(self, key: int, value: int) -> None:
        """Add a key, or give it another value."""
        number = key % _SEGMENTS
        table = self._segments[number]
        at = _slot(table, key)
        if not table[at]:
            self.count += 1
            self._used[number] += 1
            if self._used[number] * 8 > len(table) * 3:
                table = self._segments[number] = _grown(table)
                at = _slot(table, key)
        table[at], table[at + 1] = key, value

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return sum(len(table) * _ENTRY for table in self._segments)


def _slot(table: array[int], key: int) -> int:
    """The place of a key, or the free one where it would be put: pairs of key and value, probed linearly."""
    size = len(table)
    at = (key // _SEGMENTS) * 2 % size
    while table[at] and table[at] != key:
        at = (at + 2) % size
    return at


def _grown(table: array[int]) -> array[int]:
    grown = array("Q", bytes(len(table) * 2 * _ENTRY))
    for at in range(0, len(table), 2):
        if table[at]:
            to = _slot(grown, table[at])
            grown[to], grown[to + 1] = table[at], table[at + 1]
    return grown


@attrs.define(eq=False)
class Index:
    """Which items of an input a journal holds, and with which content.

    Args:
        folder: Where the unnamed file is made.
    """

    folder: Path
    ordinals: Ordinals = attrs.field(init=False)
    keys: Keys = attrs.field(factory=Keys, init=False)

    def __attrs_post_init__(self) -> None:
        """Begin empty."""
        self.ordinals = Ordinals(self.folder)

    def __len__(self) -> int:
        """Return how many items are known."""
        return self.ordinals.count + self.keys.count

    def has(self, n: int, key: str | None) -> bool:
        """Return whether an item is held."""
        return n in self.ordinals if key is None else self.keys.get(_digest(key)) is not None

    def add(self, n: int, key: str | None, content: int) -> None:
        """Note an item that the journal holds."""
        if key is None:
            self.ordinals.add(n, content)
        else:
            self.keys.set(_digest(key), content)

    def must_load(self, n: int, key: str | None) -> bool:
        """Return whether ``load`` has to be called before ``meet``, for this item."""
        return key is None and n in self.ordinals and not self.ordinals.loaded(n)

    def load(self, n: int) -> None:
        """Bring the content of an ordinal into memory; reads a file."""
        self.ordinals.load(n)

    def meet(self, n: int, key: str | None, content: int) -> Seen:
        """Return how an item of the input relates to the journal."""
        if key is None:
            if n not in self.ordinals:
                return Seen.NEW
            return Seen.DONE if self.ordinals.content(n) == content else Seen.CHANGED
        found = self.keys.get(_digest(key))
        if found is None:
            return Seen.NEW
        return Seen.DONE if found == content else Seen.CHANGED

    def close(self) -> None:
        """Let go of the unnamed file."""
        self.ordinals.close()


@attrs.define(eq=False)
class Places:
    """Where the items of one run's input stand: a bit for one without a key, 16 to 48 bytes for a key."""

    _ordinals: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    _keys: Keys = attrs.field(factory=Keys, init=False, repr=False)

    def add(self, n: int, key: str | None) -> int | None:
        """Note the n-th item; return the place where its key was met before, and note nothing then."""
        if key is None:
            _set_bit(self._ordinals, n)
            return None
        name = _digest(key)
        first = self._keys.get(name)
        if first is None:
            self._keys.set(name, n)
        return first

    def of(self, n: int, key: str | None) -> int | None:
        """Return where an item stands that a journal holds as the n-th, or None if it is not of this input."""
        if key is not None:
            return self._keys.get(_digest(key))
        return n if _has_bit(self._ordinals, n) else None


@attrs.define(eq=False)
class RecentKeys:
    """The keys of the last items of a run without a journal, whose input may be endless: 16 to 48 bytes each.

    Args:
        least: How many are remembered; up to twice as many are, and none before.
    """

    least: int = 65_536
    _last: Keys = attrs.field(factory=Keys, init=False, repr=False)
    _before: Keys = attrs.field(factory=Keys, init=False, repr=False)

    def add(self, n: int, key: str | None) -> int | None:
        """Note the key of the n-th item, if it has one; return the place where it was met before, if that is known."""
        if key is None:
            return None
        name = _digest(key)
        first = self._last.get(name)
        if first is None:
            first = self._before.get(name)
        if first is None:
            if self._last.count >= self.least:
                self._before, self._last = self._last, Keys()
            self._last.set(name, n)
        return first

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self._last.size + self._before.size


def _digest(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1
