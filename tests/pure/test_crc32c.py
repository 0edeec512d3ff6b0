"""CRC-32C in plain Python, against the table that defines it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.datasets.upload.crc32c import _BLOCK, MULTIPLES, Crc32c, by_folding, by_table

NOT_INSTALLED = None


def crc(*pieces):
    checksum = Crc32c(extend=NOT_INSTALLED)
    for piece in pieces:
        checksum.update(piece)
    return checksum


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # the examples of RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_it_is_the_checksum_of_the_standards(data, value):
    assert crc(data).value == value


def test_it_is_written_as_cloud_storage_writes_it():
    assert str(crc(b'{"a":1}\n')) == "M3Q35g=="  # as google-cloud-storage sent it


@pytest.mark.parametrize("powers", MULTIPLES)
def test_the_polynomials_with_few_terms_are_multiples(powers):
    remainder = 1
    for power in powers:
        value = 1
        for _ in range(power):
            value <<= 1
            if value >> 32:
                value ^= 0x11EDC6F41
        remainder ^= value
    assert remainder == 0


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1), st.integers(0, 2 * _BLOCK // 64))
def test_folding_gives_what_the_table_gives(piece, register, times):
    data = piece * times
    assert by_folding(data, register) == by_table(data, register)


@pytest.mark.parametrize("extra", [-1, 0, 1, 3, 4, 5, 1000])
def test_blocks_are_joined(extra):
    data = bytes(index * 7 % 251 for index in range(_BLOCK + extra))
    assert (
        crc(data).value == crc(data[:77], data[77:5000], data[5000:]).value == by_table(data, 2**32 - 1) ^ (2**32 - 1)
    )
