"""The wire of batches and files: observed bodies, what is lenient in reading, and what is strict in sending."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from gemtune import errors
from gemtune.protocol import files
from gemtune.protocol.batches import gemini
from gemtune.types import Content, FunctionCall, GenerateContentRequest, Part
from gemtune.types.batches import BatchCounts, BatchState
from gemtune.types.timestamp import Timestamp

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "batch_observed.json").read_text(encoding="utf-8"))
NEW = files.NewFile(name="files/mine", display_name="mine", mime_type="text/plain", size=10)
SESSION = files.UploadSession("/upload/v1beta/files", (("upload_id", "x"),))


def test_a_batch_that_was_created_inline_reads_as_observed():
    batch = gemini.read_batch(GOLDEN["create_inline"])
    assert batch.name == "batches/4m855v7q30kc7gtzcigdg9m72o87s08w33vp"
    assert (batch.display_name, batch.model) == ("test-batch-job", "models/gemini-2.5-flash")
    assert (batch.state, batch.service_state, batch.done) == (BatchState.PENDING, "BATCH_STATE_PENDING", False)
    assert batch.counts == BatchCounts(total=3, pending=3)
    assert batch.create_time == batch.update_time == Timestamp.parse("2025-12-10T18:27:01.407650525Z")
    assert (batch.input, batch.output, batch.replies, batch.error, dict(batch.extra)) == ("", "", (), None, {})


def test_a_batch_with_files_reads_as_observed():
    assert gemini.read_batch(GOLDEN["create_file"]).input == "files/frh6ua11nk3o"
    batch = gemini.read_batch(GOLDEN["done_file"])
    assert (batch.state, batch.done) == (BatchState.SUCCEEDED, True)
    assert batch.counts == BatchCounts(total=2, successful=2)
    assert batch.output == "files/batch-leg9wy9p5df66syjxke2eq4xfjqcwp47ejv3"
    assert batch.end_time == Timestamp.parse("2026-01-06T11:10:19.736868930Z")


@pytest.mark.parametrize("lacking", ["response", "output"])
def test_either_place_of_the_results_will_do(lacking):
    value = json.loads(json.dumps(GOLDEN["done_file"]))
    (value if lacking == "response" else value["metadata"]).pop(lacking)
    assert gemini.read_batch(value).output == "files/batch-leg9wy9p5df66syjxke2eq4xfjqcwp47ejv3"


def test_inline_replies_are_read_from_both_places_and_have_no_key_if_none_was_sent():
    value = json.loads(json.dumps(GOLDEN["done_inline"]))
    batch = gemini.read_batch(value)
    assert batch.replies[0].response.text == "The capital of France is **Paris**."
    assert [reply.key for reply in batch.replies] == [None] * 3
    value["metadata"]["output"] = value.pop("response")
    assert gemini.read_batch(value).replies == batch.replies
    (reply,) = gemini.read_batch({**GOLDEN["done_shape"], "name": "batches/x"}).replies
    assert reply.key == "k"


def test_a_line_of_results_reads_as_observed_and_may_hold_an_error():
    reply = gemini.read_line(json.dumps(GOLDEN["result_file_line"]).encode())
    assert (reply.key, reply.response.text, reply.error) == ("request_1", "...", None)
    reply = gemini.read_line(b'{"key": "k", "error": {"code": 3, "message": "no"}}')
    assert (reply.key, reply.response, reply.error.code, reply.error.message) == ("k", None, 3, "no")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"key": "k"}', "k"),
        (b'{"key": "k", "response": 7}', "k"),
        (b'{"key": "k", "error": "text"}', "k"),
        (b'{"key": 5, "response": null, "error": {}}', "5"),
        (b'{"metadata": {"key": "k"}, "response": []}', "k"),
        (b"\xff\xfe", None),
    ],
)
def test_a_line_that_cannot_be_read_is_a_reply_with_an_error(line, key):
    reply = gemini.read_line(line)
    assert (reply.key, reply.response) == (key, None)
    assert reply.error is not None


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"name": "batches/../files/x"},
        {"name": "batches/x?alt=media"},
        {"name": "https://evil.example/batches/x"},
        {"name": "batches/x", "response": {"responsesFile": "files/../../x"}, "done": True},
        {"name": "batches/x", "response": {"responsesFile": "//evil.example/x"}, "done": True},
    ],
)
def test_what_would_lead_a_request_elsewhere_is_no_batch(value):
    with pytest.raises(errors.MalformedResponse):
        gemini.read_batch(value)


def test_what_is_unknown_or_odd_makes_no_batch_unreadable():
    value = {"name": "batches/x", "metadata": {"state": "BATCH_STATE_NEW", "batchStats": 7, "later": {"a": 1}}}
    batch = gemini.read_batch(value)
    assert (batch.state, batch.service_state, batch.done) == ("NEW", "BATCH_STATE_NEW", False)
    assert batch.extra["later"] == {"a": 1}


def test_a_page_may_be_empty_and_names_the_next():
    decode = gemini.list_batches().decode
    assert (decode({}).items, decode({}).next_page_token) == ((), None)
    page = decode({"operations": [GOLDEN["create_file"], GOLDEN["create_inline"]], "nextPageToken": "t"})
    assert ([batch.display_name for batch in page], page.next_page_token) == (["my batch name", "test-batch-job"], "t")
    with pytest.raises(errors.MalformedResponse):
        decode({"operations": 7})


@pytest.mark.parametrize("key", ["k", 'odd ",\\"request\\": key', '","request":{', "ключ", "\\"])
def test_a_line_of_a_file_becomes_a_request_in_a_creation_whatever_its_key(key):
    part = {"functionCall": {"name": "f", "args": {"a": 1, "request": 2}}}
    call = FunctionCall(name="f", args=part["functionCall"]["args"])
    line = gemini.input_line(
        key, GenerateContentRequest(contents=(Content(role="user", parts=(Part(function_call=call),)),))
    )
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    request = {"contents": [{"parts": [part], "role": "user"}]}
    assert json.loads(line) == {"key": key, "request": request}
    call = gemini.create_inline("models/m", display_name='"requests":[]', items=gemini.inline_item(line))
    assert json.loads(call.body) == {
        "batch": {
            "displayName": '"requests":[]',
            "inputConfig": {"requests": {"requests": [{"metadata": {"key": key}, "request": request}]}},
        }
    }
    assert (call.verb, call.target) == ("POST", "/v1beta/models/m:batchGenerateContent")


def test_a_file_and_a_priority_are_named_in_the_creation():
    call = gemini.create_batch("tunedModels/m", display_name="d", input=gemini.from_file("files/x"), priority=-3)
    assert json.loads(call.body) == {
        "batch": {"displayName": "d", "inputConfig": {"fileName": "files/x"}, "priority": "-3"}
    }
    assert call.method == "tunedModels.batchGenerateContent"


def test_an_upload_says_in_its_headers_what_it_is():
    call = files.begin_upload(NEW)
    assert (call.verb, call.target) == ("POST", "/upload/v1beta/files")
    assert json.loads(call.body) == {"file": {"name": "files/mine", "displayName": "mine"}}
    assert dict(call.headers)["x-goog-upload-header-content-length"] == "10"
    assert dict(files.put_piece(SESSION, NEW, 0, b"12345").headers) == {
        "x-goog-upload-command": "upload",
        "x-goog-upload-offset": "0",
    }
    assert dict(files.put_piece(SESSION, NEW, 5, b"12345").headers)["x-goog-upload-command"] == "upload, finalize"
    assert dict(files.ask_upload(SESSION, NEW).headers) == {"x-goog-upload-command": "query"}


def test_of_the_address_of_an_upload_only_what_follows_the_host_is_used():
    read = files.begin_upload(NEW).read
    url = "https://evil.example/upload/v1beta/files?upload_id=a%2Fb&upload_protocol=resumable"
    session = read(200, {"x-goog-upload-url": url, "x-goog-upload-chunk-granularity": "262144"}, b"")
    assert (session.path, session.unit) == ("/upload/v1beta/files", 262144)
    assert files.ask_upload(session, NEW).target == "/upload/v1beta/files?upload_id=a%2Fb&upload_protocol=resumable"
    for wrong in ("", "https://x/", "https://x/v1beta/models/m:generateContent?upload_id=a", "/upload/v1beta/files"):
        with pytest.raises(errors.MalformedResponse):
            read(200, {"x-goog-upload-url": wrong}, b"")


def test_the_answers_to_a_piece_and_to_the_question_are_understood():
    put, ask = files.put_piece(SESSION, NEW, 0, b"12345").read, files.ask_upload(SESSION, NEW).read
    assert put(200, {"x-goog-upload-status": "active"}, b"") == files.Arrived(5)
    assert put(200, {"x-goog-upload-status": "active", "x-goog-upload-size-received": "3"}, b"") == files.Arrived(3)
    assert ask(200, {"x-goog-upload-status": "active", "x-goog-upload-size-received": "7"}, b"") == files.Arrived(7)
    body = b'{"file": {"name": "files/mine", "sizeBytes": "10"}}'
    assert ask(200, {"x-goog-upload-status": "final"}, b"").name == "files/mine"
    assert put(200, {"x-goog-upload-status": "final"}, body).size_bytes == 10
    for headers in ({}, {"x-goog-upload-status": "odd"}, {"x-goog-upload-status": "active"}):
        with pytest.raises(errors.MalformedResponse):
            ask(200, headers, body)
    for received in ("11", "-1", "x", "9" * 40):
        with pytest.raises(errors.MalformedResponse):
            ask(200, {"x-goog-upload-status": "active", "x-goog-upload-size-received": received}, b"")


def test_a_digest_is_known_in_both_its_spellings():
    raw = hashlib.sha256(b"x").digest()
    for spelled in (base64.b64encode(raw), base64.b64encode(raw.hex().encode())):
        assert files.digest_matches(spelled.decode(), raw)
        assert not files.digest_matches(spelled.decode(), hashlib.sha256(b"y").digest())
    assert files.digest_matches("", raw)
    assert files.digest_matches("no base64!", raw)
