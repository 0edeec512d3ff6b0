"""Streamed replies: cut anywhere they give the same objects, failures come out as they came in, nothing is lost."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemtune.errors import MalformedResponse, ResponseTooLarge
from gemtune.protocol import sse
from gemtune.protocol.sse import EventParser

ONE, TWO = {"candidates": [{"index": 0}]}, {"candidates": [{"index": 1}], "text": 'a\nb \\" {[ ] } é'}
ERROR = {"error": {"code": 503, "message": "overloaded }", "status": "UNAVAILABLE"}}


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def outcome(parser, chunks):
    """Everything a stream gives: the objects, and whether it failed."""
    payloads = []
    try:
        for chunk in chunks:
            payloads += parser.feed(chunk)
        payloads += parser.close()
        if parser.failure:
            raise parser.failure
    except MalformedResponse:
        assert parser.failure is not None
        return payloads, True
    return payloads, False


def chunked(data, cuts):
    cuts = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(cuts)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_in_any_of_three_ways(end):
    stream = (event(ONE) + event(TWO)).replace(b"\r\n", end)
    assert outcome(EventParser(), [stream]) == ([ONE, TWO], False)


def test_a_line_end_cut_in_two_is_one_line_end():
    chunks = [b'data: {"a":\r', b"\n", b"data: 1}\r", b"\n\r", b"\n"]
    assert outcome(EventParser(), chunks) == ([{"a": 1}], False)


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"", []),
        (b"\n\n\r\n", []),
        (b": keep-alive\n\n" + event(ONE), [ONE]),
        (b"\xef\xbb\xbf" + event(ONE), [ONE]),
        (b"event: message\nid: 7\nretry: 10\n" + event(ONE), [ONE]),
        (b'data: {"a":\ndata: 1}\n\n', [{"a": 1}]),
        (b'data:{"a":1}\n\n', [{"a": 1}]),
        (b"data\ndata:\n\n" + event(ONE), [ONE]),
        (event([ERROR]), [ERROR]),
        (event(ONE) + b"unknown: x\n\n" + event(TWO), [ONE, TWO]),
    ],
)
def test_an_event_is_what_the_standard_says(stream, payloads):
    assert outcome(EventParser(), [stream]) == (payloads, False)


@pytest.mark.parametrize("tail", [json.dumps(ERROR, indent=2), json.dumps([ERROR], indent=2), json.dumps(ERROR)])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_bare_json_after_the_last_event_is_an_error_in_the_stream(tail, end):
    stream = event(ONE) + tail.encode() + end.encode()
    assert outcome(EventParser(), [stream]) == ([ONE, ERROR], False)
    assert outcome(EventParser(), [stream.replace(b"\r\n\r\n", b"\n", 1)]) == ([ONE, ERROR], False)


def test_an_error_as_an_event_comes_out_as_an_object():
    assert outcome(EventParser(), [event(ONE), event(ERROR)]) == ([ONE, ERROR], False)


def test_an_error_before_the_first_event_may_be_bare_and_events_may_follow():
    stream = json.dumps(ERROR, indent=1).encode() + b"\n\n" + event(ONE)
    assert outcome(EventParser(), [stream]) == ([ERROR, ONE], False)


def test_the_last_event_may_lack_its_line_ends():
    parser = EventParser()
    assert parser.feed(event(ONE)[:-4]) == []
    assert parser.close() == [ONE]


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 20])
def test_what_is_cut_off_gives_no_object(cut):
    parser = EventParser()
    assert parser.feed(event(TWO) + event(ONE)[:cut]) == [TWO]
    assert parser.close() == []


@pytest.mark.parametrize("stream", [b'{"error": {"code"', b"[{}", b"[", b"{]}", b"[x]"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_bare_text_that_is_no_json_by_the_end_gives_no_object(stream, end):
    assert outcome(EventParser(), [event(ONE) + stream + end]) == ([ONE], False)


@pytest.mark.parametrize("tail", [json.dumps(ERROR, indent=2), json.dumps([ERROR], indent=2), json.dumps(ERROR)])
def test_a_bare_error_comes_out_while_the_connection_is_still_open(tail):
    parser = EventParser()
    assert parser.feed(event(ONE) + tail.encode() + b"\n") == [ONE, ERROR]


def test_a_comment_inside_of_bare_text_is_no_part_of_it():
    stream = json.dumps(ERROR, indent=2).replace("\n", "\n: keep-alive\n").encode() + b"\n"
    assert outcome(EventParser(), [stream]) == ([ERROR], False)


def test_bare_text_with_many_possible_ends_is_not_parsed_at_each(monkeypatch):
    parsed = []
    plain = sse.loads
    monkeypatch.setattr(sse, "loads", lambda text: parsed.append(len(text)) or plain(text))
    parser = EventParser()
    assert parser.feed(b"[{}\n" + b"[]\n" * 10_000) == []
    assert len(parsed) <= 17
    assert parser.close() == []


@pytest.mark.parametrize(
    "junk", [b"data: <html>\n\n", b"data: 5\n\n", b'data: ["x"]\n\n', b"{]}\n\n", b"[5,{}]\n", b"[x]\n\n"]
)
def test_junk_fails_only_after_what_came_before_it(junk):
    parser = EventParser()
    assert parser.feed(event(ONE) + junk + event(TWO)) == [ONE]
    assert isinstance(parser.failure, MalformedResponse)
    for again in (lambda: parser.feed(event(TWO)), parser.close):
        with pytest.raises(MalformedResponse):
            again()
    with pytest.raises(MalformedResponse):
        EventParser().feed(junk)


@pytest.mark.parametrize(
    "stream",
    [b"data: " + b"x" * 100, b": " + b"x" * 100, b"data: 1\n" * 20, b'{"a":"' + b"x" * 100, b'{"a":\n"' + b"x\n" * 100],
)
def test_an_event_has_a_size_limit_before_it_is_complete(stream):
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        parser = EventParser(limit=64)
        with pytest.raises(ResponseTooLarge, match="64 bytes"):
            [parser.feed(chunk) for chunk in chunks]


def test_the_limit_is_per_event_and_one_mebibyte():
    assert len(outcome(EventParser(limit=64), [event(ONE) * 100])[0]) == 100
    assert EventParser().limit == 1 << 20


def test_a_parser_shows_its_limit_and_no_content():
    parser = EventParser()
    parser.feed(event(ONE)[:-4])
    assert repr(parser) == "EventParser(limit=1048576, failure=None)"


fragments = st.sampled_from([
    event(ONE), event(TWO), event(ERROR), event([ERROR]), b"data: {\r\ndata: }\r\n\r\n", b": ping\r\r", b"\xef\xbb\xbf",
    json.dumps(ERROR, indent=2).encode(), b"\n", b"\r", b"\r\n", b"data:", b"[", b"]", b"{", b"}", b'"', b"\\", b",",
    b" ", b"\xc3\xa9", b"x" * 70, json.dumps([ONE, TWO]).encode(), b'{"a":"\\\\\\""}',
])  # fmt: skip
streams = st.lists(fragments, max_size=8).map(b"".join) | st.binary(max_size=30)
limits = st.sampled_from([64, 1 << 20])


@given(streams, st.lists(st.integers(0, 2000), max_size=8), limits)
def test_however_a_stream_is_cut_it_gives_the_same(stream, cuts, limit):
    whole = outcome(EventParser(limit=limit), [stream])
    assert outcome(EventParser(limit=limit), chunked(stream, cuts)) == whole
    assert outcome(EventParser(limit=limit), [stream[i : i + 1] for i in range(len(stream))]) == whole


scalars = st.text(max_size=12) | st.integers(-(2**63), 2**63)
objects = st.dictionaries(st.text(max_size=4), scalars | st.lists(scalars, max_size=2), min_size=1, max_size=3)


@given(st.lists(objects, max_size=4), st.lists(st.integers(0, 500), max_size=5), st.booleans())
def test_every_object_comes_out(values, cuts, ascii_only):
    texts = [json.dumps(value, ensure_ascii=ascii_only).encode() for value in values]
    stream = b"".join(b"data: " + text + b"\n\n" for text in texts)
    assert outcome(EventParser(), chunked(stream, cuts)) == (values, False)
