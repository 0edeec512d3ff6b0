"""CRC-32C, which Cloud Storage gives and checks for every object, at the speed of memory and without a C extension.

A table takes a step of Python for each byte, two minutes for a gigabyte. But a checksum is the remainder of a division
by a polynomial, and a remainder may be taken in two steps: first by any multiple of that polynomial, then by itself.
This multiple has four terms::

    x^6777 + x^484 + x^100 + 1

so the first step, "replace x^6777 by x^484 + x^100 + 1", is three shifts of one long integer, for as many bits at once
as there are. Squared, it has four terms again, with twice the exponents: by these multiples a block is halved until
less than a kilobyte is left for the table.
"""

from __future__ import annotations

import base64

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, with the bits reversed: the first bit of a byte is its lowest
_BLOCK = 1 << 16  # what a processor keeps near
_DEGREE, *_LOWER = FOUR_TERMS = (6777, 484, 100, 0)


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = [_entry(value) for value in range(256)]


def crc32c(data: bytes | memoryview, crc: int = 0) -> int:
    """Return the checksum of data, or of data that follows data whose checksum is known."""
    crc ^= 0xFFFFFFFF
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        if len(block) > _DEGREE // 8:
            # The checksum so far is added to the first 32 bits, and the rest of the division starts from nothing.
            block, crc = _folded(int.from_bytes(block, "little") ^ crc, 8 * len(block)), 0
        for byte in block:
            crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _folded(bits: int, length: int) -> bytes:
    """Return a short message with the same remainder; the lowest bit is that of the highest power."""
    scale = 1
    while 2 * scale * _DEGREE <= length:
        scale *= 2
    while scale:
        degree = scale * _DEGREE
        # As many bits as come down without meeting each other, and in whole bytes.
        many = min(length - degree, degree - scale * _LOWER[0]) // 8 * 8
        if many <= 0:
            scale //= 2
            continue
        high = bits & ((1 << many) - 1)
        bits >>= many
        length -= many
        for power in _LOWER:
            bits ^= high << (degree - scale * power - many)
    return bits.to_bytes(length // 8, "little")


def base64_crc32c(crc: int) -> str:
    """Return a checksum as the API writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode("ascii")
