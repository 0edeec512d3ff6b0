"""Files of the Gemini API: resumable uploads, what may be downloaded, how long they are kept."""

import base64
import hashlib
import random

import pytest

from emulator.batching import JSONL, batch_of, begin, download, send, upload
from emulator.emulated import bearer
from emulator.holding import LIMIT, loop_watched, pieces
from gemtune.emulator import Fault

KIB = 1 << 10
MIB = 1 << 20
DAY = 86_400


def some(size: int) -> bytes:
    return random.Random(size).randbytes(size)


async def test_a_file_comes_up_at_once(api):
    data = some(1000)
    begun = await begin(api, size=1000, display_name="rows")
    assert begun.headers["x-goog-upload-status"] == "active"
    assert begun.headers["x-goog-upload-chunk-granularity"] == str(8 * MIB)
    assert begun.content == b""
    made = await send(api, begun.headers["x-goog-upload-url"], "upload, finalize", data, 0)
    assert made.headers["x-goog-upload-status"] == "final"
    file = made.json()["file"]
    assert await api.get(f"/v1beta/{file['name']}") == file
    assert file["sizeBytes"] == "1000"
    assert (file["displayName"], file["mimeType"], file["state"], file["source"]) == (
        "rows",
        JSONL,
        "ACTIVE",
        "UPLOADED",
    )
    # the service writes the hexadecimal digits in Base64, and not the bytes that they stand for
    assert base64.b64decode(file["sha256Hash"]).decode() == hashlib.sha256(data).hexdigest()
    assert file["uri"] == f"http://127.0.0.1/v1beta/{file['name']}"
    assert list(file) == [
        "name", "displayName", "mimeType", "sizeBytes", "createTime", "updateTime", "expirationTime", "sha256Hash",
        "uri", "state", "source",
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_both_versions_take_uploads_and_lead_back_to_themselves(api, version):
    begun = await begin(api, size=1, version=version)
    assert f"/upload/{version}/files?upload_id=" in begun.headers["x-goog-upload-url"]


async def test_a_file_comes_in_parts_and_says_how_much_is_there(start):
    api, data = await start(file_granularity=256 * KIB), some(600 * KIB)
    url = (await begin(api, size=len(data))).headers["x-goog-upload-url"]
    for at in (0, 256 * KIB):
        reply = await send(api, url, "upload", data[at : at + 256 * KIB], at)
        assert (reply.status_code, reply.headers["x-goog-upload-status"]) == (200, "active")
        there = await send(api, url, "query")
        assert there.headers["x-goog-upload-size-received"] == str(at + 256 * KIB)
        assert there.headers["x-goog-upload-status"] == "active"
    reply = await send(api, url, "upload, finalize", data[512 * KIB :], 512 * KIB)
    assert base64.b64decode(reply.json()["file"]["sha256Hash"]).decode() == hashlib.sha256(data).hexdigest()
    over = await send(api, url, "query")
    assert (over.headers["x-goog-upload-status"], over.content) == ("final", b"")
    again = await send(api, url, "upload, finalize", data[512 * KIB :], 512 * KIB)
    assert (again.status_code, again.headers["x-goog-upload-status"]) == (400, "final")
    assert again.json()["error"]["message"] == "Upload has already been terminated."


@pytest.mark.parametrize(
    ("command", "size", "offset", "words"),
    [
        ("upload", 256 * KIB, 1, "the offset 1, but 0 bytes have been received"),
        ("upload", 256 * KIB, None, "no offset"),
        ("upload", 1000, 0, "a multiple of 262144 bytes, not 1000"),
        ("upload, finalize", 1000, 0, "ends after 1000"),
        ("upload, finalize", 700 * KIB, 0, "now has 716800"),
        ("jump", 0, 0, "Unknown X-Goog-Upload-Command"),
    ],
)
async def test_a_part_that_does_not_fit_is_refused_and_nothing_is_lost(start, command, size, offset, words):
    api, data = await start(file_granularity=256 * KIB), some(600 * KIB)
    url = (await begin(api, size=len(data))).headers["x-goog-upload-url"]
    reply = await send(api, url, command, data[:size].ljust(size), offset)
    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"]
    assert reply.headers["x-goog-upload-status"] == "active"
    if command != "upload, finalize" or size > len(data):
        done = await send(api, url, "upload, finalize", data, 0)
        assert done.json()["file"]["sizeBytes"] == str(len(data))


async def test_an_upload_can_be_cancelled_and_is_not_found_if_it_never_was(api):
    url = (await begin(api, size=3)).headers["x-goog-upload-url"]
    assert (await send(api, url, "cancel")).headers["x-goog-upload-status"] == "cancelled"
    assert (await send(api, url, "upload, finalize", b"abc", 0)).status_code == 400
    stranger = await send(api, "/upload/v1beta/files?upload_id=x", "query")
    assert (stranger.status_code, stranger.headers["x-goog-upload-status"]) == (404, "cancelled")
    assert await api.get("/v1beta/files") == {}


async def test_a_reply_that_is_lost_is_asked_for(api):
    api.app.faults.add(Fault(method="media.part", act=True, status=503))
    url = (await begin(api, size=3, name="files/mine")).headers["x-goog-upload-url"]
    assert (await send(api, url, "upload, finalize", b"abc", 0)).status_code == 503
    assert (await send(api, url, "query")).headers["x-goog-upload-status"] == "final"
    assert (await api.get("/v1beta/files/mine"))["sizeBytes"] == "3"


async def test_another_way_of_uploading_is_not_offered(api):
    reply = await api.call("POST", "/upload/v1beta/files", b"x", headers={"x-goog-upload-protocol": "raw"})
    assert reply.status_code == 501


@pytest.mark.parametrize("name", ["files/-a", "files/A", "files/" + "a" * 41, "a", "files/a-"])
async def test_a_name_that_no_file_can_have_is_refused(api, name):
    reply = await begin(api, size=1, name=name)
    assert "File ID" in reply.json()["error"]["message"]
    assert reply.status_code == 400


async def test_a_name_is_given_once(api):
    assert (await upload(api, b"a", name="files/mine"))["name"] == "files/mine"
    assert (await begin(api, size=1, name="files/mine")).json()["error"]["status"] == "ALREADY_EXISTS"
    first, second = [(await begin(api, name="files/other")).headers["x-goog-upload-url"] for _ in range(2)]
    assert (await send(api, first, "upload, finalize", b"a", 0)).status_code == 200
    assert (await send(api, second, "upload, finalize", b"b", 0)).json()["error"]["status"] == "ALREADY_EXISTS"


async def test_the_address_of_an_upload_is_its_credential(start):
    api = await start(auth="required")
    refused = await begin(api, size=1)
    assert refused.status_code == 403
    begun = await api.call(
        "POST", "/upload/v1beta/files?key=K", {},
        headers={"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"},
    )  # fmt: skip
    made = await send(api, begun.headers["x-goog-upload-url"], "upload, finalize", b"a", 0)
    assert made.status_code == 200


async def test_an_unknown_field_of_a_file_is_refused(api):
    assert (await begin(api, size=1, colour="red")).status_code == 400


async def test_files_are_listed_newest_first_in_pages(api):
    made = [(await upload(api, b"x"))["name"] for _ in range(5)]
    found, token = [], ""
    while True:
        page = await api.get("/v1beta/files", params={"pageSize": 2, "pageToken": token})
        found += [file["name"] for file in page["files"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert found == made[::-1]


async def test_what_is_not_there_or_not_ones_own_is_a_403(start):
    api = await start(callers={"T1": "one@example.com", "T2": "two@example.com"})
    file = await upload(api, b"x")
    missing = await api.refused(403, "GET", "/v1beta/files/nothing")
    assert missing["message"] == "You do not have permission to access the File nothing or it may not exist."
    for verb in ("GET", "DELETE"):
        await api.refused(403, verb, f"/v1beta/{file['name']}", **bearer("T2"))
    assert await api.get("/v1beta/files", **bearer("T2")) == {}


async def test_a_file_is_deleted(api):
    file = await upload(api, b"x")
    assert (await api.call("DELETE", f"/v1beta/{file['name']}")).json() == {}
    await api.refused(403, "GET", f"/v1beta/{file['name']}")
    assert api.app.store.objects.depot.used == 0


async def test_a_file_is_gone_after_two_days(api):
    file = await upload(api, b"x")
    assert (file["createTime"][:10], file["expirationTime"][:10]) == ("2024-03-14", "2024-03-16")
    api.app.advance(2 * DAY - 1)
    await api.get(f"/v1beta/{file['name']}")
    api.app.advance(1)
    await api.refused(403, "GET", f"/v1beta/{file['name']}")
    assert api.app.store.objects.depot.used == 0


async def test_a_file_and_all_files_have_a_limit(start):
    api = await start(max_file_bytes=1000, max_all_files_bytes=1500)
    assert (await begin(api, size=1001)).status_code == 413
    await upload(api, some(1000))
    full = await begin(api, size=600)
    assert full.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert "file_storage_bytes" in full.json()["error"]["message"]


async def test_what_was_uploaded_is_not_given_back(api):
    file = await upload(api, b"x")
    reply = await download(api, file["name"])
    assert reply.status_code == 400
    assert "Only generated files can be downloaded" in reply.json()["error"]["message"]


async def test_results_are_downloaded_whole_and_in_ranges(api):
    name = await batch_of(api, "one", "two", "three")
    api.app.advance(100)
    file = (await api.get(f"/v1beta/{name}"))["response"]["responsesFile"]
    whole = await download(api, file)
    assert (whole.status_code, whole.headers["content-type"]) == (200, JSONL)
    part = await download(api, file, range="bytes=10-29")
    assert (part.status_code, part.content) == (206, whole.content[10:30])
    assert part.headers["content-range"] == f"bytes 10-29/{len(whole.content)}"
    rest = await download(api, file, range="bytes=50-")
    assert rest.content == whole.content[50:]
    assert (await download(api, file, range=f"bytes={len(whole.content)}-")).status_code == 416
    also = await api.http.get(f"/download/v1beta/{file}:download", params={"alt": "media"})
    assert also.content == whole.content
    (listed,) = [each for each in (await api.get("/v1beta/files"))["files"] if each["source"] == "GENERATED"]
    assert listed["name"] == file
    assert listed["downloadUri"] == f"http://127.0.0.1/v1beta/{file}:download?alt=media"
    assert base64.b64decode(listed["sha256Hash"]).decode() == hashlib.sha256(whole.content).hexdigest()


async def test_results_can_be_downloaded_but_their_name_is_too_long_for_the_rest(api):
    name = await batch_of(api, "one")
    api.app.advance(100)
    file = (await api.get(f"/v1beta/{name}"))["response"]["responsesFile"]
    for verb, request in (("GET", "GetFileRequest"), ("DELETE", "DeleteFileRequest")):
        error = await api.refused(400, verb, f"/v1beta/{file}")
        text = f"* {request}.name: File ID (name excluding 'files/') cannot be more than 40 characters.\n"
        assert error["message"] == text


async def test_a_long_upload_holds_nobody_up_and_no_memory(start):
    api = await start(object_memory_bytes=MIB)
    data = some(20 * MIB)
    async with loop_watched() as held:
        begun = await begin(api, size=len(data))
        made = await send(api, begun.headers["x-goog-upload-url"], "upload, finalize", pieces(data), 0)
    assert held.longest < LIMIT
    file = made.json()["file"]
    assert file["sizeBytes"] == str(len(data))
    depot = api.app.store.objects.depot
    assert (depot.used, depot.held) == (len(data), 0)
