"""CRC-32C, the checksum of Cloud Storage: by ``google-crc32c`` if that is installed, else by long integers.

Python's zlib has another polynomial, and a table costs 100 ns a byte: two minutes for the gigabyte of a large file of
training data. What is fast in plain Python are shifts and XORs of integers of any length, and a checksum can be made of
them. The bytes are one polynomial over GF(2), of which the remainder is wanted. A multiple of P(x) with few terms,

    x^14867 + x^318 + x^278 + 1,

lets many bits be folded into the others at once: the low end of a block times this polynomial is added to the block,
which clears the low end and changes three places above it. Squaring doubles the exponents, over GF(2), and adds no
term, so that there is a multiple of every size, and a block is halved again and again. Measured on CPython 3.11:
10 MB/s with a table, 335 MB/s in this way, 1.8 GB/s for the SHA-256 that is computed beside it.

Bits are reversed in this checksum: the first bit of the data is the highest power, and the lowest of the integer.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable
from typing import Final

import attrs

_REVERSED: Final = 0x82F63B78
"""The polynomial of Castagnoli."""
MULTIPLES: Final = ((14867, 318, 278), (6777, 484, 100))
"""Multiples of it that consist of these powers and 1; found by a search for those whose middle terms are small."""
_LARGEST: Final = 6
_BLOCK: Final = (MULTIPLES[0][0] << _LARGEST) // 8
"""118,936 bytes: of the sizes that were tried the fastest, as it stays in the cache."""
# Each as (degree, first and second power above the lowest end, which is the 1), largest first.
_FOLDS: Final = sorted(
    (
        (top << doubled, (top - second) << doubled, (top - first) << doubled)
        for top, first, second in MULTIPLES
        for doubled in range(_LARGEST + 1)
    ),
    reverse=True,
)


def _row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_REVERSED if byte & 1 else 0)
    return byte


_TABLE: Final = tuple(map(_row, range(256)))


def by_table(data: bytes, register: int) -> int:
    """Return the register after some bytes, one by one."""
    for byte in data:
        register = _TABLE[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register


def by_folding(data: bytes, register: int) -> int:
    """Return the register after some bytes, by folding blocks of them."""
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        if len(block) < 4:
            register = by_table(block, register)
            continue
        value, bits = int.from_bytes(block, "little") ^ register, 8 * len(block)
        for top, second, first in _FOLDS:
            while bits > top:
                count = min(first, bits - top)
                low = value & ((1 << count) - 1)
                value = (value >> count) ^ (low << (first - count)) ^ (low << (second - count)) ^ (low << (top - count))
                bits -= count
        # Whole bytes again: zeros before the first bit change nothing.
        rest = -bits % 8
        register = by_table((value << rest).to_bytes((bits + rest) // 8, "little"), 0)
    return register


def _installed() -> Callable[[int, bytes], int] | None:
    try:
        extend: Callable[[int, bytes], int] = importlib.import_module("google_crc32c").extend
    except Exception:  # noqa: BLE001 - not there, or without its C part for this Python: it is a help, and no more
        return None
    return extend


@attrs.define
class Crc32c:
    """The checksum of the bytes seen so far."""

    value: int = 0
    _extend: Callable[[int, bytes], int] | None = attrs.field(factory=_installed, repr=False)

    def update(self, data: bytes) -> None:
        """Take in further bytes; large pieces cost less."""
        if self._extend is not None:
            self.value = self._extend(self.value, data)
        else:
            self.value = by_folding(data, self.value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def __str__(self) -> str:
        """Return it as Cloud Storage writes it: base64 of four bytes, the highest first."""
        return base64.b64encode(self.value.to_bytes(4, "big")).decode()
