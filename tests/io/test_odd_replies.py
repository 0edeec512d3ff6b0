"""Replies at the edges of what HTTP allows, which proxies and gateways really send."""

import gzip
import zlib

import pytest

from gemtune.errors import MalformedResponse
from gemtune.http.engines.body import Inflater, inflater

BODY = b'{"name": "tunedModels/a"}' + bytes(range(256)) * 2


def raw_deflate(data):
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def inflated(encoding, sent, pieces):
    decoder = inflater({"content-encoding": encoding})
    parts = [sent[begin : begin + pieces] for begin in range(0, len(sent), pieces)]
    found = b"".join(b"".join(decoder.feed(part)) for part in parts)
    decoder.finish()
    return found


@pytest.mark.parametrize("pieces", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", gzip.compress(BODY[:30]) + gzip.compress(BODY[30:])),
        ("x-gzip", b"".join(gzip.compress(BODY[at : at + 10]) for at in range(0, len(BODY), 10))),
        ("gzip", gzip.compress(b"") + gzip.compress(BODY) + gzip.compress(b"")),
        ("GZIP", gzip.compress(BODY) + bytes(512)),
        ("gzip", gzip.compress(BODY) + b"\r\n"),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY[:30]) + zlib.compress(BODY[30:])),
        ("deflate", raw_deflate(BODY)),
        ("identity", BODY),
    ],
    ids=range(9),
)
def test_a_compressed_body_is_read_whole_whatever_its_members(encoding, sent, pieces):
    assert inflated(encoding, sent, pieces) == BODY


@pytest.mark.parametrize(
    ("encoding", "sent", "why"),
    [
        ("gzip", gzip.compress(BODY)[:-9], "ends too early"),
        ("gzip", gzip.compress(BODY) + gzip.compress(BODY)[:-9], "ends too early"),
        ("gzip", gzip.compress(BODY) + gzip.compress(BODY)[:15] + b"garbage" * 9, "is corrupt|too early"),
        ("gzip", b"\x1f", "ends too early"),
        ("gzip", b"no gzip", "is corrupt"),
        ("deflate", zlib.compress(BODY)[:-3], "ends too early"),
    ],
    ids=range(6),
)
def test_what_is_cut_or_corrupt_is_refused(encoding, sent, why):
    with pytest.raises(MalformedResponse, match=why):
        inflated(encoding, sent, 50)


def test_many_small_members_are_read_in_linear_time():
    members = gzip.compress(b"a") * 50_000
    decoder = Inflater("gzip")
    assert sum(map(len, decoder.feed(members))) == 50_000
    decoder.finish()


def test_a_bomb_behind_another_member_comes_in_small_pieces():
    decoder = Inflater("gzip")
    assert max(map(len, decoder.feed(gzip.compress(b"{}") + gzip.compress(bytes(1 << 24))))) <= 65536


@pytest.mark.parametrize(
    "headers",
    [
        [b"content-security-policy: " + b"x" * 60_000],
        [b"x-trace-%d: %s" % (number, b"y" * 300) for number in range(200)],
    ],
)
async def test_long_heads_are_read(serve, wire_to, reply, answering, headers):
    server = serve(answering(reply(BODY, *headers)))
    got = await wire_to(server).send("GET", "/x", {}, None, timeout=5)
    assert got.body == BODY
