"""How objects come in: media, multipart, and resumable uploads with overlap, questions and repetitions."""

import json
import random

import anyio
import anyio.lowlevel
import pytest

from emulator.holding import LIMIT, loop_watched, pieces
from emulator.test_storage import refused
from gemtune.emulator import Fault
from gemtune.emulator.messages.checksums import base64_crc32c, crc32c

KIB = 1 << 10
MIB = 1 << 20
UNIT = 256 * KIB
PATH = "/upload/storage/v1/b/b/o"


@pytest.fixture
async def api(start):
    return await start(buckets=["b"], gzip=False)


async def read(api, name="x"):
    return await anyio.to_thread.run_sync(api.app.store.objects.read, "b", name)


def some(size):
    return random.Random(size).randbytes(size)


# ── multipart ──────────────────────────────────────────────────────────────────────────────────────────────────────


def multipart(metadata, data, boundary="===============1==", newline=b"\r\n", kind=b"text/plain"):
    line = b"--" + boundary.encode()
    return newline.join([
        line, b"content-type: application/json; charset=UTF-8", b"", json.dumps(metadata).encode(),
        line, b"content-type: " + kind, b"", data, line + b"--",
    ])  # fmt: skip


async def send(api, body, content_type='multipart/related; boundary="===============1=="', query=""):
    headers = {"content-type": content_type}
    return await api.http.post(f"{PATH}?uploadType=multipart{query}", content=body, headers=headers)


DATA = [b"", b'{"a":1}\n', b"\r\n--===============1==x\r\n\r\n", some(2 * MIB + 1)]


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("data", DATA, ids=["empty", "line", "like a boundary", "long"])
async def test_data_come_with_their_metadata(api, data, newline):
    metadata = {"name": "x", "metadata": {"sha256": "abc"}, "crc32c": base64_crc32c(crc32c(data))}
    reply = await send(api, multipart(metadata, data, newline=newline))
    assert reply.status_code == 200, reply.text
    made = reply.json()
    assert (made["metadata"], made["contentType"], made["size"]) == ({"sha256": "abc"}, "text/plain", str(len(data)))
    assert await read(api) == data


async def test_what_google_cloud_storage_sends_is_read(api):
    body = (
        b'--===============123==\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{"name": "dir/train.jsonl"}'
        b'\r\n--===============123==\r\ncontent-type: application/jsonl\r\n\r\n{"a":1}\n\r\n--===============123==--'
    )
    reply = await send(api, body, 'multipart/related; boundary="===============123=="')
    assert reply.json()["contentType"] == "application/jsonl"
    assert await read(api, "dir/train.jsonl") == b'{"a":1}\n'


@pytest.mark.parametrize("kept", ["contentType", "contentEncoding", "cacheControl", "contentDisposition"])
async def test_metadata_come_back_with_the_object(api, kept):
    reply = await send(api, multipart({"name": "x", kept: "told"}, b""))
    assert reply.json()[kept] == "told"
    download = await api.http.get("/storage/v1/b/b/o/x?alt=media")
    header = "".join("-" + c.lower() if c.isupper() else c for c in kept)
    assert download.headers[header] == "told"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (multipart({"name": "x"}, b"1"), "application/json"),
        (multipart({"name": "x"}, b"1"), "multipart/related"),
        (multipart({"name": "x"}, b"1"), "multipart/related; boundary=other"),
        (multipart({"name": "x"}, b"1")[:-2], None),
        (multipart({"name": "x"}, b"1")[:60], None),
        (multipart(["x"], b"1"), None),
        (multipart({"name": "x", "metadata": {"a": 1}}, b"1"), None),
        (multipart({}, b"1"), None),
        (b"", None),
    ],
)
async def test_a_body_that_is_not_multipart_is_refused(api, body, kind):
    reply = await send(api, body, **({"content_type": kind} if kind else {}))
    assert reply.status_code == 400
    assert reply.json()["error"]["errors"][0]["domain"] == "global"
    assert await read(api) is None


@pytest.mark.parametrize("given", [{"crc32c": "AAAAAA=="}, {"md5Hash": "AAAA"}])
async def test_data_that_arrive_damaged_are_refused(api, given):
    reply = await send(api, multipart({"name": "x", **given}, b"data"))
    assert reply.status_code == 400
    assert "doesn't match calculated" in reply.json()["error"]["message"]
    assert (await read(api), api.app.store.objects.depot.used) == (None, 0)


async def test_an_unknown_way_to_upload_is_refused(api):
    await refused(api, 400, "invalidParameter", "POST", f"{PATH}?uploadType=carrier-pigeon&name=x", content=b"")


# ── resumable ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def begin(api, name="x", query="", **headers):
    """Where to send the parts."""
    headers = {"content-type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
    path = f"{PATH}?uploadType=resumable{query}"
    reply = await api.http.post(path, content=json.dumps({"name": name}), headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["location"].startswith(f"http://127.0.0.1{PATH}?uploadType=resumable&upload_id=")
    return reply.headers["location"]


async def part(api, url, data=b"", range_=None, **headers):
    """The reply to a part, as (status, what is there)."""
    headers = {"content-range": f"bytes {range_}"} if range_ else headers
    reply = await api.http.put(url, content=data, headers=headers)
    return reply.status_code, reply.headers.get("range") if reply.status_code == 308 else reply.json()


async def test_an_object_comes_in_parts(api):
    data, url = some(2 * UNIT + 7), await begin(api)
    total = len(data)
    assert await part(api, url, b"", f"*/{total}") == (308, None)
    assert await part(api, url, data[:UNIT], f"0-{UNIT - 1}/{total}") == (308, f"bytes=0-{UNIT - 1}")
    assert await part(api, url, data[UNIT : 2 * UNIT], f"{UNIT}-{2 * UNIT - 1}/{total}") == (
        308,
        f"bytes=0-{2 * UNIT - 1}",
    )
    assert await part(api, url, b"", f"*/{total}") == (308, f"bytes=0-{2 * UNIT - 1}")
    status, made = await part(api, url, data[2 * UNIT :], f"{2 * UNIT}-{total - 1}/{total}")
    assert (status, made["size"], made["crc32c"]) == (200, str(total), base64_crc32c(crc32c(data)))
    assert await read(api) == data


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
@pytest.mark.parametrize("told", [True, False])
async def test_an_object_comes_at_once(api, size, told):
    data, url = some(size), await begin(api, x_upload_content_type="text/csv")
    range_ = (f"0-{size - 1}/{size}" if size else "*/0") if told else None
    status, made = await part(api, url, data, range_)
    assert (status, made["size"], made["contentType"]) == (200, str(size), "text/csv")
    assert await read(api) == data


async def test_the_size_may_be_unknown_until_the_end(api):
    data, url = some(UNIT + 1), await begin(api)
    assert await part(api, url, data[:UNIT], f"0-{UNIT - 1}/*") == (308, f"bytes=0-{UNIT - 1}")
    assert (await part(api, url, data[UNIT:], f"{UNIT}-{UNIT}/{UNIT + 1}"))[0] == 200
    assert await read(api) == data


async def test_an_upload_whose_size_turns_out_is_ended_by_the_question(api):
    data, url = some(UNIT), await begin(api)
    await part(api, url, data, f"0-{UNIT - 1}/*")
    assert (await part(api, url, b"", f"*/{UNIT}"))[0] == 200
    assert await read(api) == data


async def test_only_whole_units_are_kept_of_a_part_that_is_not_the_last(api):
    data, url = some(2 * UNIT), await begin(api)
    assert await part(api, url, data[: UNIT + 9], f"0-{UNIT + 8}/{2 * UNIT}") == (308, f"bytes=0-{UNIT - 1}")
    assert (await part(api, url, data[UNIT:], f"{UNIT}-{2 * UNIT - 1}/{2 * UNIT}"))[0] == 200
    assert await read(api) == data


async def test_a_part_that_was_sent_before_is_passed_over(api):
    data, url = some(3 * UNIT), await begin(api)
    total = len(data)
    for _ in range(2):
        assert await part(api, url, data[:UNIT], f"0-{UNIT - 1}/{total}") == (308, f"bytes=0-{UNIT - 1}")
    assert await part(api, url, data[: 2 * UNIT], f"0-{2 * UNIT - 1}/{total}") == (308, f"bytes=0-{2 * UNIT - 1}")
    assert (await part(api, url, data, f"0-{total - 1}/{total}"))[0] == 200
    assert await read(api) == data


async def test_a_finished_upload_gives_its_object_again(api):
    data, url = some(10), await begin(api)
    first = await part(api, url, data, "0-9/10")
    assert await part(api, url, data, "0-9/10") == first
    assert await part(api, url, b"", "*/10") == first
    assert len(api.app.store.objects) == 1


@pytest.mark.parametrize("act", [True, False])
async def test_after_a_lost_reply_the_question_says_what_arrived(api, act):
    data, url = some(2 * UNIT), await begin(api)
    api.app.faults.add(Fault(method="objects.upload", status=503, act=act))
    assert (await part(api, url, data[:UNIT], f"0-{UNIT - 1}/{2 * UNIT}"))[0] == 503
    assert await part(api, url, b"", f"*/{2 * UNIT}") == (308, f"bytes=0-{UNIT - 1}" if act else None)


@pytest.mark.parametrize(
    ("size", "range_"),
    [
        (10, "0-8/10"), (10, "0-10/11"), (10, "0-9/9"), (10, "0-9/*"), (10, "9-0/10"), (10, "nonsense"),
        (UNIT, f"{UNIT}-{2 * UNIT - 1}/{4 * UNIT}"), (UNIT, f"1-{UNIT}/{4 * UNIT}"),
    ],
)  # fmt: skip
async def test_a_part_that_cannot_be_is_refused_and_changes_nothing(api, size, range_):
    url = await begin(api)
    assert (await part(api, url, bytes(size), range_))[0] == 400
    assert await part(api, url, b"", "*/*") == (308, None)


async def test_the_announced_size_is_the_size(api):
    url = await begin(api, x_upload_content_length="11")
    assert (await part(api, url, bytes(10), "0-9/10"))[0] == 400
    assert (await part(api, url, bytes(11), "0-10/11"))[0] == 200


async def test_an_upload_that_arrives_damaged_is_refused_and_over(api):
    url = await begin(api)
    headers = {"content-range": "bytes 0-3/4", "x-goog-hash": "crc32c=AAAAAA=="}
    reply = await api.http.put(url, content=b"data", headers=headers)
    assert (reply.status_code, await read(api)) == (400, None)
    await refused(api, 404, "notFound", "PUT", url, content=b"data")
    assert api.app.store.objects.depot.used == 0


async def test_a_precondition_holds_at_the_end_as_well(api):
    first, second = [await begin(api, query="&ifGenerationMatch=0") for _ in range(2)]
    assert (await part(api, first, b"1", "0-0/1"))[0] == 200
    assert (await part(api, second, b"2", "0-0/1"))[0] == 412
    assert await read(api) == b"1"


async def test_an_upload_can_be_given_up(api):
    url = await begin(api)
    assert (await api.http.delete(url)).status_code == 499
    assert (await part(api, url, b"1", "0-0/1"))[0] == 404


async def test_there_are_no_more_uploads_than_the_settings_allow(start):
    api = await start(buckets=["b"], max_uploads=2)
    urls = [await begin(api, str(number)) for number in range(3)]
    assert [(await part(api, url, b"1", "0-0/1"))[0] for url in urls] == [404, 200, 200]


# ── bounds ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_object_that_is_too_long_is_refused_however_it_comes(start):
    api = await start(buckets=["b"], max_object_bytes=1000)
    assert (await api.http.post(f"{PATH}?uploadType=media&name=x", content=bytes(1001))).status_code == 413
    assert (await api.http.post(f"{PATH}?uploadType=media&name=x", content=bytes(2 * MIB))).status_code == 413
    path = f"{PATH}?uploadType=resumable&name=x"
    assert (await api.http.post(path, headers={"x-upload-content-length": "1001"})).status_code == 413
    url = await begin(api)
    assert (await part(api, url, bytes(1001), "0-1000/1001"))[0] == 413
    assert (len(api.app.store.objects), api.app.store.objects.depot.used) == (0, 0)
    assert (await api.http.post(f"{PATH}?uploadType=media&name=x", content=bytes(1000))).status_code == 200


async def test_a_body_without_an_end_is_not_read_to_its_end(start):
    api, sent = await start(buckets=["b"], max_object_bytes=MIB), 0

    async def endless():
        nonlocal sent
        while True:
            sent += UNIT
            yield bytes(UNIT)

    reply = await api.http.post(f"{PATH}?uploadType=media&name=x", content=endless())
    assert (reply.status_code, "max_object_bytes" in reply.text) == (413, True)
    assert sent <= 3 * MIB
    assert api.app.store.objects.depot.used == 0


async def test_when_all_room_is_taken_uploads_are_refused_until_something_goes(start):
    api = await start(buckets=["b"], max_stored_bytes=3 * MIB)
    assert (await api.http.post(f"{PATH}?uploadType=media&name=x", content=bytes(2 * MIB))).status_code == 200
    for size in (2 * MIB, MIB + 1):
        reply = await api.http.post(f"{PATH}?uploadType=media&name=y", content=bytes(size))
        assert (reply.status_code, "max_stored_bytes" in reply.text) == (507, True)
    assert (await api.http.delete("/storage/v1/b/b/o/x")).status_code == 204
    assert (await api.http.post(f"{PATH}?uploadType=media&name=y", content=bytes(2 * MIB))).status_code == 200
    assert api.app.store.objects.depot.used == 2 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["media", "multipart", "resumable"])
async def test_a_long_upload_never_holds_the_loop(api, kind):
    data = bytes(20 * MIB)
    async with loop_watched() as held:
        if kind == "media":
            reply = await api.http.post(f"{PATH}?uploadType=media&name=x", content=pieces(data))
        elif kind == "multipart":
            reply = await send(api, pieces(multipart({"name": "x"}, data)))
        else:
            reply = await api.http.put(await begin(api), content=pieces(data))
        assert reply.json()["size"] == str(len(data))
    assert held.longest < LIMIT
