"""Nothing from outside costs more than its size: every parser's work grows as its input does, whatever the input is.

The table names everything that reads what others wrote. Each is given inputs made of a beginning, a piece many times,
and an end, of one size and of eight times that. The work is counted (``work``), so that a run is the same everywhere.
"""

import base64
import io
import json
import re
import zlib
from contextlib import suppress

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemtune import types
from gemtune.batch.journal.lines import Header, Record, sound_lines
from gemtune.batch.layout import Layout
from gemtune.datasets import examples, sheets
from gemtune.datasets.headings import Choice
from gemtune.emulator.messages import codec as emulator_codec
from gemtune.errors import GemtuneError
from gemtune.http.engines.body import Inflater, refuse_too_long
from gemtune.http.wire import _TARGET
from gemtune.protocol import gemini, names, said, status
from gemtune.protocol.codec import decode, loads, scalars
from gemtune.protocol.sse import EventParser
from gemtune.rows import tables
from gemtune.settings import resolve
from gemtune.settings.addresses import checked_origin
from gemtune.story.cursor import Runs, parse_cursor
from gemtune.types.timestamp import Timestamp
from gemtune.watch.resume_token import ResumeToken
from proofs.work import counted, goes_back

SMALL, TIMES = 400, 8
SLACK = 1.5
CONSTANT = 3000
DETAILS = "type.googleapis.com/google.rpc."


def error(payload, headers=None, text=""):
    return status.error_from_reply(429, headers or {}, payload, text=text, secrets=["AIzaSECRET"])


def json_error(text):
    """A whole error body, as the caller reads it."""
    payload = loads(text.encode("utf-8", "replace"))
    return error(payload, text=text)


def quota_error(text):
    details = [
        {"@type": f"{DETAILS}QuotaFailure", "violations": [{"quotaId": text, "quotaValue": text}] * 3},
        {"@type": f"{DETAILS}ErrorInfo", "reason": text, "metadata": {"quota_limit": text, "quota_limit_value": text}},
        {"@type": f"{DETAILS}RetryInfo", "retryDelay": text},
    ]
    return error({"error": {"status": text, "message": text, "details": details}})


def many_details(text):
    detail = {"@type": f"{DETAILS}QuotaFailure", "violations": [{"description": text[:9]}], text[:3]: [text[:5]]}
    return error({"error": {"message": "m", "details": [detail] * (len(text) // 20)}})


def events(text, cut):
    parser = EventParser()
    data = text.encode("utf-8", "replace")
    for begin in range(0, len(data), cut or len(data) or 1):
        parser.feed(data[begin : begin + (cut or len(data))])
    parser.close()


def table_rows(text, suffix):
    examples.checked(sheets.rows_of(sheets.decoded(text.encode("utf-8", "replace")), suffix, Choice()))


def prompts(text, delimiter):
    lines = tables.Lines().of(io.StringIO(text, newline=""))
    rows = tables.table(lines, delimiter, lambda head: head) if delimiter else tables.json_lines(lines)
    for _, row in rows:
        if not isinstance(row, GemtuneError):
            Layout(prompt="a").row(row)


def journal(text):
    lines = io.BytesIO(text.encode("utf-8", "replace")).readlines()
    for line in lines:
        Header.parse(line)
        Record.parse(line)
    for _ in sound_lines(lines):
        pass


def signed_record(text):
    body = (
        b'{"n":0,"digest":"0123456789abcdef","key":"%b","attempts":1,"seconds":0.100,"response":{"x":1}'
        % text.encode("utf-8", "replace")
    )
    line = b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))
    Record.parse(line)


def token_of(text):
    packed = zlib.compress(json.dumps({"jobs": [text[:50]] * (len(text) // 50), "since": 1}).encode())
    return ResumeToken.parse("c1." + base64.urlsafe_b64encode(packed).decode().rstrip("="))


def cursor_of(claims):
    name = base64.urlsafe_b64encode(b"tunedModels/x").decode().rstrip("=")
    return parse_cursor(f"j1.{name}.1.1{claims}")


def late_steps(text):
    """A set of steps that come in the worst order, as many as there are characters."""
    runs = Runs([range(1)])
    for step in range(0, 2 * len(text), 2):
        runs.add(1_000_000 + step)


def reply(text):
    part = {"text": text[:10], "functionCall": {"name": "f", "args": {text[:5]: [1]}}}
    parts = [part] * (len(text) // 10)
    decode(types.GenerateContentResponse, {"candidates": [{"content": {"parts": parts}}], "x": {text: text}})


def snapshots(text):
    snapshot = {"step": 1, "meanLoss": text[:4], "computeTime": text[:30]}
    with suppress(GemtuneError):
        decode(types.CreateTunedModelMetadata, {"snapshots": [snapshot] * (len(text) // 10)})
    good = {"step": 1, "meanLoss": "NaN", "computeTime": "2024-03-14T15:11:23.766989274Z"}
    decode(types.CreateTunedModelMetadata, {"snapshots": [good] * (len(text) // 10)})


def inflate(text):
    gunzip = Inflater("gzip")
    data = zlib.compress(text.encode("utf-8", "replace"), wbits=31) + text[:1].encode("utf-8", "replace")
    for begin in range(0, len(data), 10):
        list(gunzip.feed(data[begin : begin + 10]))


def settings_of(text):
    for argument in ("api_key", "token", "project", "base_url"):
        with suppress(GemtuneError):
            resolve({}, **{argument: text})
    resolve({"GOOGLE_API_KEY": text, "GEMINI_API_KEY": text[:-1], "GOOGLE_GENAI_USE_VERTEXAI": text})


def named(text):
    for read in (
        names.tuned_model_name,
        names.model_name,
        names.operation_name,
        names.permission_name,
        names.job_names,
    ):
        with suppress(GemtuneError):
            read(text)
    with suppress(GemtuneError):
        names.checked_id(text)
    names.id_from_display_name(text, 7)


def page(text):
    gemini.list_models().decode({"models": [{"name": text[:9]}] * (len(text) // 10), "nextPageToken": text})


JSONISH = ["{", "}", "[", "]", '"', ",", ":", "\\", "1", '{"a":', '"a"', "\n", " "]
HEADER = ["1", ".", "Mon, ", " ", ":", "GMT", "("]
LOCATION = ["http", "://", "/", "@", "?", "a"]
EVENTS = [*JSONISH, "data:", "data: {}\n\n", "\r", ":", "[]\n", "}\n"]
TABLE = ['"', ",", "\n", "a", ";", "input,output\n", "a,b\n", "\r"]
PARSERS = {
    "a cursor": (parse_cursor, ["j1.", ".", "-", ",", "1", "1-9", "/2", "a", ".end", "_"]),
    "a cursor's claims": (cursor_of, [".", "-", ",", "1", "0-2000000000", "5-9/2", ".1.1", ".1,2.f"]),
    "a resume token": (ResumeToken.parse, ["c1.", "A", "_", "=", "eJw", ".", "é"]),
    "a resume token of many cursors": (token_of, ["j1.", "A", ".", "1"]),
    "steps out of order": (late_steps, ["x"]),
    "Retry-After": (lambda text: error({}, {"retry-after": text, "date": text}), HEADER),
    "Location": (lambda text: status.error_from_reply(302, {"location": text}, None), LOCATION),
    "Content-Length": (lambda text: refuse_too_long({"content-length": text}, 5), ["1", "0", " "]),
    "request ids": (lambda text: error({}, {"x-request-id": text}), ["a", "\x1b[", "0", ";", "AIzaSECRET"]),
    "quotas and hints": (quota_error, ["a", "per day", "limit: 0", "Please retry in 1", "1", ".", "s", "\x1b[", "0;"]),
    "many details": (many_details, ["a", "\x1b["]),
    "an error's JSON": (json_error, [*JSONISH, '{"error":', '{"message":', '{"detail":[']),
    "an error's page": (
        lambda text: error(None, text=text),
        ["<", ">", "<script", "</script", "<style>", "<!--", "\x1b[", "0", ";", "AIza", " ", "&lt;"],
    ),
    "an event at once": (lambda text: events(text, 0), EVENTS),
    "an event in pieces": (lambda text: events(text, 16), EVENTS),
    "JSON": (lambda text: loads(text.encode("utf-8", "replace")), JSONISH),
    "a reply": (reply, ["a"]),
    "a long history": (snapshots, ["1", "N", "-", ":", "T"]),
    "a time": (Timestamp.parse, ["2024-03-14T15:11:23", ".", "1", "Z", "+", ":"]),
    "numbers and bytes": (
        lambda text: [_tried(read, text) for read in (scalars.to_int, scalars.to_float, scalars.to_bytes)],
        ["1", "-", "A", "_", "=", "9"],
    ),
    "a page of a list": (page, ["a", "="]),
    "names": (named, ["tunedModels/", "a", "-", "/", ".", " ", "operations/"]),
    "a request target": (_TARGET.fullmatch, ["/", ".", "?", "a", "/.", "%2e"]),
    "an address": (checked_origin, ["https://", "a", ".", ":", "/", "@", "[", "-", "1", "_"]),
    "settings": (settings_of, ["https://", "a", ".", ":", "/", "\n", " ", "1"]),
    "training data in CSV": (lambda text: table_rows(text, ".csv"), TABLE),
    "training data in JSONL": (lambda text: table_rows(text, ".jsonl"), [*JSONISH, '{"input":"a","output":"b"}\n']),
    "training data in JSON": (lambda text: table_rows(text, ".json"), [*JSONISH, '{"input":"a","output":"b"},']),
    "prompts in CSV": (lambda text: prompts(text, ","), TABLE),
    "prompts in JSONL": (lambda text: prompts(text, ""), [*JSONISH, '{"a":"b"}\n']),
    "a template": (lambda text: Layout(template=text).row({"a": "b"}), ["{", "}", "a", "{a}", "{{"]),
    "a journal": (journal, [*JSONISH, '{"n":1', '","crc":"01234567"}\n', "\0"]),
    "a journal's record": (signed_record, ["a", "\\\\", '\\"', '"', "{"]),
    "a gzip body": (inflate, ["a", "b", "\0"]),
    "the emulator's times": (emulator_codec.parse_timestamp, ["2024-03-14T15:11:23", ".", "1", "Z", "+", ":"]),
}  # fmt: skip


def _tried(read, text):
    with suppress(scalars.Wrong):
        read(text)


def work_on(parse, text):
    """The operations that a parser spends on a text, whatever comes of it."""
    with counted() as work, suppress(GemtuneError, ValueError, tables.Unreadable):
        parse(text)
    return work.done


@attrs.frozen
class Shape:
    """A text of any size: its beginning, its pieces over and over, its end."""

    head: str
    unit: str
    tail: str

    def of(self, size):
        return self.head + self.unit * max(1, size // len(self.unit)) + self.tail


def shapes(pieces):
    few = st.lists(st.sampled_from(pieces), max_size=3).map("".join)
    some = st.lists(st.sampled_from(pieces), min_size=1, max_size=3).map("".join)
    return st.builds(Shape, few, some, few)


@pytest.mark.parametrize("name", PARSERS)
def test_work_grows_as_the_input_does(name):
    parse, pieces = PARSERS[name]

    @settings(max_examples=20)
    @given(shapes(pieces))
    def check(shape):
        small, large = work_on(parse, shape.of(SMALL)), work_on(parse, shape.of(SMALL * TIMES))
        assert large <= small * TIMES * SLACK + CONSTANT, f"{small} → {large} operations"

    work_on(parse, "".join(pieces))  # what is made on first use is made
    check()


@pytest.mark.parametrize(
    ("pattern", "answer"),
    [
        (r"<[^>]*>", True),
        (r"<(script|style)\b.*?</\1\s*>|<[^>]*>", True),
        (r"(a+)+b", True),
        (r"\s+$", True),
        (r'"[^"]*"', False),
        (r"[a-z0-9]+", False),
        (r"(?:/[a-z]+)*", False),
        (r"a{1,9}b", False),
    ],
)
def test_the_meter_knows_which_expressions_go_back(pattern, answer):
    assert goes_back(re.compile(pattern)) is answer


def test_the_meter_sees_what_is_quadratic():
    def rescanning(text):
        while text:
            text = text.partition(",")[2]

    def reparsing(text):
        for end in range(0, len(text), 10):
            with suppress(ValueError):
                json.loads(text[:end])

    def expanding(text):
        return [number for number in range(len(text) ** 2)]  # noqa: C416

    for parse, unit in ((rescanning, "a,"), (reparsing, "1234"), (expanding, "x")):
        small, large = (work_on(parse, unit * (size // len(unit))) for size in (SMALL, SMALL * TIMES))
        assert large > small * TIMES * SLACK + CONSTANT


def test_a_page_of_64_kilobytes_is_not_read_beyond_its_beginning():
    assert work_on(said.page_text, "<script" * 9362) < 100_000
