"""One JSON: with orjson and without it the same values are read, written, refused and journaled."""

import datetime as dt
import enum
import importlib.util
import json
import math
import os
import subprocess
import sys
import uuid

import attrs
import pytest

from gemtune import types
from gemtune.batch.journal.lines import Record, record_line
from gemtune.batch.result import BatchResult
from gemtune.errors import InvalidInput, MalformedResponse
from gemtune.protocol.codec import decode, dumps, encode, loads, text

HAVE_BOTH = importlib.util.find_spec("orjson") is not None
INSTALLATIONS = ["plain", pytest.param("speed", marks=pytest.mark.skipif(not HAVE_BOTH, reason="no orjson here"))]


@pytest.fixture(params=INSTALLATIONS)
def installation(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(text, "_orjson", None)
    return request.param


@pytest.mark.skipif("GEMTUNE_JSON" not in os.environ, reason="nobody has said which installation this is")
def test_a_session_runs_in_the_installation_that_it_is_for():
    assert os.environ["GEMTUNE_JSON"] == ("standard" if text._orjson is None else "orjson")


class Color(enum.Enum):
    RED = "red"


class Word(str):
    __slots__ = ()


@attrs.frozen
class Plain:
    a: int = 1


READ = {
    b"NaN": math.nan,
    b"[-Infinity,Infinity]": [-math.inf, math.inf],
    b"1e400": math.inf,
    b"-0": 0,
    b"9223372036854775807": 2**63 - 1,
    b"18446744073709551615": 2**64 - 1,
    b"18446744073709551616": 2.0**64,
    b"-9223372036854775809": -(2.0**63),
    b'{"a":[' + b"1" * 400 + b"]}": {"a": [math.inf]},
    b"[" + b"1" * 30 + b",NaN]": [float("1" * 30), math.nan],
    '{"a":18446744073709551616}'.encode("utf-16"): {"a": 2.0**64},
    b'"\\ud800"': "\ud800",
    b'"\\ud83d\\ude00"': "😀",
    b'{"a":1,"b":2,"a":3}': {"a": 3, "b": 2},
    b'{"a":0.1,"b":1.0,"c":1e16,"d":5e-324}': {"a": 0.1, "b": 1.0, "c": 1e16, "d": 5e-324},
    b'\xef\xbb\xbf[null,true,"\\u00e9"]': [None, True, "é"],
}
UNREADABLE = [b"", b"nan", b"[1,]", b"01", b'"\n"', b"'a'", b"1" * 5000, b"\xff", b"Infinity1", b"{a:1}", b"1.", b"+1"]
WRITTEN = {
    "a number": ({"a": [1, 0.5, -0.0, 2**80]}, None),
    "a float that is whole": (1e16, None),
    "text": ('é😀\u2028"\\\x00', None),
    "null": ({"a": None, "b": [None]}, None),
    "the word null": ("null", None),
    "a tuple": ((1, 2), [1, 2]),
    "numbers as keys": ({1: 2, None: 3, False: 4}, {"1": 2, "null": 3, "false": 4}),
    "a subclass of str": (Word("a"), "a"),
    "a member of an enumeration": ([Color.RED], ["red"]),
    "a UUID": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
}
KEPT = {
    "NaN": ([math.nan, None], ["NaN", None]),
    "infinity": ({"a": math.inf, "b": -math.inf}, {"a": "Infinity", "b": "-Infinity"}),
    "half of a character": ({"a": "\ud800"}, None),
}
REFUSED = {
    "a datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "a date": dt.date(2026, 1, 1),
    "a time": dt.time(1),
    "a dataclass": Plain(),
    "bytes": b"x",
    "a set": {1},
    "a tuple as a key": {(1, 2): 3},
    "a class": int,
}


def same(one, other):
    """Equality of values and their types; NaN is the same as NaN."""
    return repr(one) == repr(other)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("body", READ, ids=lambda body: repr(body[:30]))
def test_the_same_values_are_read(body):
    assert same(loads(body), READ[body])


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:30]))
def test_the_same_texts_are_no_json(body):
    with pytest.raises(MalformedResponse, match="the reply is not JSON"):
        loads(body)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("strict", [False, True], ids=["journal", "request"])
@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_values_are_written(name, strict):
    value, expected = WRITTEN[name]
    assert same(json.loads(dumps(value, strict=strict)), value if expected is None else expected)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("name", KEPT)
def test_what_only_a_reply_may_hold_is_kept_in_a_journal_and_refused_in_a_request(name):
    value, expected = KEPT[name]
    assert same(json.loads(dumps(value)), value if expected is None else expected)
    with pytest.raises(InvalidInput, match="JSON cannot say|half of a character"):
        dumps({"new": value}, strict=True)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("strict", [False, True], ids=["journal", "request"])
@pytest.mark.parametrize("name", REFUSED)
def test_the_same_values_are_refused(name, strict):
    with pytest.raises(InvalidInput, match="this value cannot be written as JSON"):
        dumps({"a": REFUSED[name]}, strict=strict)


@pytest.mark.usefixtures("installation")
def test_what_cannot_be_said_in_a_request_is_named():
    with pytest.raises(InvalidInput, match=r"contents\[0\].score is nan, which JSON cannot say") as caught:
        dumps({"contents": [{"score": math.nan, "more": None}]}, strict=True)
    assert caught.value.field == "contents[0].score"


@pytest.mark.usefixtures("installation")
def test_what_contains_itself_is_refused():
    value = [math.nan]
    value.append(value)
    for strict in (False, True):
        with pytest.raises(InvalidInput):
            dumps([value], strict=strict)


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1" * 30, b'"\\ud800"'])
def test_a_reply_that_can_be_read_can_be_journaled_and_is_read_again(number):
    body = b'{"candidates":[{"content":{"parts":[{"text":"fine"}]},"odd":[%b],"avgLogprobs":0.5}]}' % number
    result = BatchResult(key=0, index=0, response=decode(types.GenerateContentResponse, loads(body)))
    line = record_line(result, None, 0)
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    record = Record.parse(line)
    again = record.to_result()
    assert again.text == "fine"
    assert encode(again.response) == json.loads(record.body)
    json.loads(record.to_line())


RUN = """
import asyncio, json, sys
if "plain" in sys.argv:
    sys.modules["orjson"] = None
import httpx, gemtune
from gemtune.batch import read_journal

FINE = {"candidates": [{"content": {"parts": [{"text": "fine"}], "role": "model"}, "finishReason": "STOP"}]}
ODD = json.dumps(FINE).replace('"finishReason"', '"groundingMetadata":{"x":[NaN]},"finishReason"')

def app(request):
    text = ODD if b"odd" in request.content else json.dumps(FINE)
    return httpx.Response(200, text=text, headers={"content-type": "application/json"})

async def main():
    async with gemtune.Client(api_key="k" * 20, transport=httpx.MockTransport(app)) as client:
        rows = ["a", "odd", "b"]
        results = await client.generate_many("gemini-x", rows, journal=sys.argv[2])
        again = await client.generate_many("gemini-x", rows, journal=sys.argv[2])
    print(json.dumps([[r.text for r in results], [r.text for r in again], client.statistics().requests]))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", INSTALLATIONS)
def test_a_batch_takes_an_odd_number_in_a_reply_in_both_installations(how, tmp_path):
    command = [sys.executable, "-c", RUN, how, str(tmp_path / "run.journal")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["fine"] * 3, ["fine"] * 3, 3]
