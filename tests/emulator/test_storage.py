"""Cloud Storage's JSON API: buckets, objects, lists, downloads, preconditions, and its own form of errors."""

import base64
import hashlib
import json
from urllib.parse import quote

import pytest

from emulator.emulated import bearer
from gemtune.emulator import ApiKey, Auth, Fault, Token
from gemtune.emulator.messages.checksums import base64_crc32c, crc32c

MIB = 1 << 20
B = "/storage/v1/b/b"
DATA = b'{"a":1}\n'


@pytest.fixture
async def api(start):
    return await start(buckets=["b"], gzip=False)


async def put(api, name="dir/train.jsonl", data=DATA, bucket="b", **query):
    """The resource of a new object."""
    path, query = f"/upload/storage/v1/b/{bucket}/o", {"uploadType": "media", "name": name} | query
    headers = {"content-type": "application/jsonl"}
    reply = await api.http.post(path, params=query, content=data, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def refused(api, code, reason, verb, path, **options):
    """The error of a request, which has the form that Cloud Storage gives it."""
    reply = await api.http.request(verb, path, **options)
    assert reply.status_code == code, reply.text
    error = reply.json()["error"]
    assert list(error) == ["code", "message", "errors"]
    (entry,) = error["errors"]
    assert (error["code"], entry["domain"], entry["reason"], entry["message"]) == (
        code, "global", reason, error["message"]
    )  # fmt: skip
    return error


# ── buckets ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_bucket_is_made_found_listed_and_removed(api):
    made = await api.call("POST", "/storage/v1/b?project=p", {"name": "a-bucket", "location": "europe-west4"})
    assert made.status_code == 200
    assert made.json()["kind"] == "storage#bucket"
    assert (made.json()["location"], made.json()["locationType"]) == ("EUROPE-WEST4", "region")
    assert await api.get("/storage/v1/b/a-bucket") == made.json()
    listed = await api.get("/storage/v1/b", params={"project": "p"})
    assert [bucket["name"] for bucket in listed["items"]] == ["a-bucket", "b"]
    assert (await api.call("DELETE", "/storage/v1/b/a-bucket")).status_code == 204
    await refused(api, 404, "notFound", "GET", "/storage/v1/b/a-bucket")


async def test_a_bucket_that_nobody_made_is_not_there(api):
    for verb, path in (
        ("GET", "/storage/v1/b/nope"), ("GET", "/storage/v1/b/nope/o"), ("GET", "/storage/v1/b/nope/o/x"),
        ("POST", "/upload/storage/v1/b/nope/o?uploadType=media&name=x"), ("DELETE", "/storage/v1/b/nope/o/x"),
        ("POST", "/upload/storage/v1/b/nope/o?uploadType=resumable&name=x"),
    ):  # fmt: skip
        error = await refused(api, 404, "notFound", verb, path)
        assert error["message"] == "The specified bucket does not exist."


async def test_what_is_wrong_with_a_new_bucket_is_said(api):
    async def made(body):
        return await refused(api, body.pop("code"), body.pop("reason"), "POST", "/storage/v1/b", json=body)

    assert "already own it" in (await made({"name": "b", "code": 409, "reason": "conflict"}))["message"]
    assert "'NO'" in (await made({"name": "NO", "code": 400, "reason": "invalid"}))["message"]
    await made({"code": 400, "reason": "required"})
    await made({"name": "abc", "labels": {"a": 1}, "code": 400, "reason": "invalid"})
    await put(api)
    await refused(api, 409, "conflict", "DELETE", B)


# ── objects ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_object_has_every_field_that_clients_need(api):
    made = await put(api, "dir/a b.jsonl")
    assert (made["name"], made["bucket"], made["size"]) == ("dir/a b.jsonl", "b", "8")
    assert (made["metageneration"], made["contentType"]) == ("1", "application/jsonl")
    assert made["generation"].isdecimal()
    assert made["crc32c"] == base64_crc32c(crc32c(DATA))
    assert made["md5Hash"] == base64.b64encode(hashlib.md5(DATA).digest()).decode()
    assert made["timeCreated"] == made["updated"] == "2024-03-14T15:11:02.714Z"
    assert await api.get(f"{B}/o/dir%2Fa%20b.jsonl") == made


async def test_the_media_link_leads_back_to_the_emulator(api):
    made = await put(api, "dir/ä b.jsonl")
    assert made["mediaLink"].startswith("http://127.0.0.1/download/storage/v1/b/b/o/dir%2F%C3%A4%20b.jsonl?")
    assert (await api.http.get(made["mediaLink"])).content == DATA


async def test_an_empty_object_says_that_its_size_is_zero(api):
    assert (await put(api, data=b""))["size"] == "0"


async def test_parts_of_a_resource_can_be_asked_for(api):
    await put(api)
    reply = await api.http.get(f"{B}/o/dir%2Ftrain.jsonl?fields=name,size&prettyPrint=false")
    assert reply.text == '{"name":"dir/train.jsonl","size":"8"}'
    assert await api.get(f"{B}?fields=name") == {"name": "b"}
    assert await api.get(f"{B}/o?fields=items(name)") == {"items": [{"name": "dir/train.jsonl"}]}


async def test_an_object_is_removed_once(api):
    await put(api, "x")
    assert (await api.call("DELETE", f"{B}/o/x")).status_code == 204
    error = await refused(api, 404, "notFound", "DELETE", f"{B}/o/x")
    assert error["message"] == "No such object: b/x"
    assert (api.app.store.objects.size, len(api.app.store.objects)) == (0, 0)


async def test_a_new_object_takes_the_place_of_the_one_with_its_name(api):
    first, second = await put(api, "x", b"1"), await put(api, "x", b"22")
    assert int(second["generation"]) > int(first["generation"])
    assert (await api.get(f"{B}/o/x"))["size"] == "2"
    await refused(api, 404, "notFound", "GET", f"{B}/o/x?generation={first['generation']}")


async def test_preconditions_hold_or_are_a_412(api):
    made = await put(api, "x", ifGenerationMatch="0")
    taken = "/upload/storage/v1/b/b/o?uploadType={}&name=x&ifGenerationMatch=0"
    for kind in ("media", "resumable"):
        error = await refused(api, 412, "conditionNotMet", "POST", taken.format(kind), content=b"{}")
        assert error["message"] == "At least one of the pre-conditions you specified did not hold."
    await put(api, "x", ifGenerationMatch=made["generation"])
    await refused(api, 412, "conditionNotMet", "DELETE", f"{B}/o/x?ifGenerationMatch={made['generation']}")
    await refused(api, 412, "conditionNotMet", "GET", f"{B}/o/x?ifMetagenerationMatch=2")
    await refused(api, 400, "invalidParameter", "GET", f"{B}/o/x?ifGenerationMatch=one")
    assert api.app.store.objects.size == len(DATA)


@pytest.mark.parametrize("name", ["", "a\nb", ".", "x" * 1025])
async def test_a_name_that_no_object_can_have_is_refused(api, name):
    path = f"/upload/storage/v1/b/b/o?uploadType=media&name={quote(name)}"
    await refused(api, 400, "invalid" if name else "required", "POST", path, content=b"")


# ── downloads ──────────────────────────────────────────────────────────────────────────────────────────────────────

SIZES = [len(DATA), 2 * MIB + 5]  # in memory; in a file


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", [f"{B}/o/x?alt=media", "/download/storage/v1/b/b/o/x?alt=media"])
async def test_a_download_says_length_and_checksums(api, path, size):
    data = (DATA * (size // len(DATA) + 1))[:size]
    await put(api, "x", data)
    reply = await api.http.get(path)
    assert (reply.status_code, reply.content) == (200, data)
    assert reply.headers["content-length"] == str(size)
    assert reply.headers["content-type"] == "application/jsonl"
    digest = base64.b64encode(hashlib.md5(data).digest()).decode()
    assert reply.headers["x-goog-hash"] == f"crc32c={base64_crc32c(crc32c(data))},md5={digest}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("asked", "first", "stop"),
    [("0-3", 0, 4), ("2-", 2, None), ("-3", -3, None), ("5-99999999", 5, None), ("0-0", 0, 1)],
)
async def test_a_range_is_a_206(api, asked, first, stop, size):
    data = (DATA * (size // len(DATA) + 1))[:size]
    await put(api, "x", data)
    reply = await api.http.get(f"{B}/o/x?alt=media", headers={"range": f"bytes={asked}"})
    part = data[first:stop]
    assert (reply.status_code, reply.content) == (206, part)
    first %= size
    assert reply.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{size}"
    assert reply.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("asked", ["bytes=8-", "bytes=9-20", "bytes=-0", "bytes=3-2"])
async def test_a_range_past_the_end_is_a_416(api, asked):
    await put(api, "x")
    reply = await api.http.get(f"{B}/o/x?alt=media", headers={"range": asked})
    assert reply.status_code == 416


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "items=0-3", "bytes=0-1,3-4", "nonsense"])
async def test_a_range_that_says_nothing_is_passed_over(api, asked):
    await put(api, "x")
    reply = await api.http.get(f"{B}/o/x?alt=media", headers={"range": asked})
    assert (reply.status_code, reply.content) == (200, DATA)


async def test_a_download_is_never_compressed(start):
    api = await start(buckets=["b"])
    await put(api, "x", bytes(1000))
    reply = await api.http.get(f"{B}/o/x?alt=media", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in reply.headers
    assert len(reply.content) == 1000


async def test_a_missing_download_is_text(api):
    reply = await api.http.get("/download/storage/v1/b/b/o/nope?alt=media")
    assert (reply.status_code, reply.text) == (404, "No such object: b/nope")


# ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def listed(api, **query):
    """All pages of a list: names, prefixes, and how many pages there were."""
    names, prefixes, pages, token = [], [], 0, {}
    while True:
        page = await api.get(f"{B}/o", params=query | token)
        names += [item["name"] for item in page.get("items", [])]
        prefixes += page.get("prefixes", [])
        pages += 1
        if "nextPageToken" not in page:
            return names, prefixes, pages
        token = {"pageToken": page["nextPageToken"]}


@pytest.fixture
async def filled(api):
    for name in ("a", "dir/1", "dir/2", "dir/sub/3", "dir-b/4", "z", "é"):
        await put(api, name, b"")
    return api


@pytest.mark.parametrize(
    ("query", "names", "prefixes"),
    [
        ({}, ["a", "dir-b/4", "dir/1", "dir/2", "dir/sub/3", "z", "é"], []),
        ({"prefix": "dir/"}, ["dir/1", "dir/2", "dir/sub/3"], []),
        ({"delimiter": "/"}, ["a", "z", "é"], ["dir-b/", "dir/"]),
        ({"prefix": "dir/", "delimiter": "/"}, ["dir/1", "dir/2"], ["dir/sub/"]),
        ({"prefix": "", "delimiter": ""}, ["a", "dir-b/4", "dir/1", "dir/2", "dir/sub/3", "z", "é"], []),
        ({"prefix": "nope"}, [], []),
        ({"startOffset": "dir/2", "endOffset": "z"}, ["dir/2", "dir/sub/3"], []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
async def test_a_list_is_the_same_in_pages_of_any_size(filled, query, names, prefixes, size):
    found = await listed(filled, **query, maxResults=size)
    assert found == (names, prefixes, max(1, -(-(len(names) + len(prefixes)) // size)))


async def test_a_list_stays_right_while_objects_come_and_go(filled):
    first = await filled.get(f"{B}/o?maxResults=3")
    await filled.call("DELETE", f"{B}/o/dir%2F1")
    await put(filled, "aa")
    rest = await filled.get(f"{B}/o", params={"pageToken": first["nextPageToken"]})
    assert [item["name"] for item in rest["items"]] == ["dir/2", "dir/sub/3", "z", "é"]


@pytest.mark.parametrize("query", ["maxResults=-1", "maxResults=ten", "pageToken=!"])
async def test_a_list_refuses_what_is_no_number_and_no_token(api, query):
    await refused(api, 400, "invalidParameter", "GET", f"{B}/o?{query}")


async def test_an_empty_bucket_lists_nothing(api):
    assert await api.get(f"{B}/o") == {"kind": "storage#objects"}


# ── callers, faults, the log ───────────────────────────────────────────────────────────────────────────────────────


async def test_credentials_are_checked_as_for_the_other_services(start):
    scope = "https://www.googleapis.com/auth/"
    tokens = {"all": "a@example.com", "read": Token(scopes=[scope + "devstorage.read_only"])}
    tokens["tuning"] = Token(scopes=[scope + "generative-language.tuning"])
    api = await start(buckets=["b"], auth=Auth("strict", tokens=tokens, api_keys={"old": ApiKey(expired=True)}))
    path = f"{B}/o"
    assert (await api.call("GET", path, **bearer("all"))).status_code == 200
    assert (await api.call("GET", path, **bearer("read"))).status_code == 200
    await refused(api, 401, "authError", "GET", path, **bearer("unknown"))
    await refused(api, 403, "forbidden", "GET", path, **bearer("tuning"))
    upload = "/upload/storage/v1/b/b/o?uploadType=media&name=x"
    await refused(api, 403, "forbidden", "POST", upload, content=b"", **bearer("read"))
    await refused(api, 401, "required", "GET", path)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rateLimitExceeded"), (500, "backendError"), (503, "backendError"), (408, "requestTimeout")],
)
async def test_a_fault_has_the_form_of_the_service(api, status, reason):
    await put(api, "x")
    api.app.faults.add(Fault(method="objects.get", status=status))
    error = await refused(api, status, reason, "GET", f"{B}/o/x")
    assert "model" not in error["message"]
    assert (await api.get(f"{B}/o/x"))["name"] == "x"


async def test_a_lost_reply_leaves_the_object_behind(api):
    api.app.faults.add(Fault(method="objects.insert", status=503, act=True))
    path = "/upload/storage/v1/b/b/o?uploadType=media&name=x&ifGenerationMatch=0"
    await refused(api, 503, "backendError", "POST", path, content=DATA)
    await refused(api, 412, "conditionNotMet", "POST", path, content=DATA)
    assert api.app.store.objects.read("b", "x") == DATA


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", [{"pace": (3 * MIB, 0.0)}, {"cut": "json"}])
async def test_a_fault_can_spoil_a_download(api, fault, size):
    await put(api, "x", bytes(size))
    api.app.faults.add(Fault(method="objects.get", **fault))
    reply = await api.http.get(f"{B}/o/x?alt=media")
    assert len(reply.content) == (size // 2 if "cut" in fault else size)


async def test_the_log_has_the_beginning_of_an_upload(api):
    await put(api, "x", b"y" * 3 * MIB)
    (entry,) = api.app.requests.of("objects.insert")
    assert (len(entry.body), entry.status, entry.path) == (65536, 200, "/upload/storage/v1/b/b/o")
    logged = await api.get("/_emulator/requests", params={"method": "objects.insert"})
    assert logged["requests"][0]["query"] == {"uploadType": "media", "name": "x"}


async def test_a_reset_forgets_objects_and_keeps_declared_buckets(api):
    await put(api, "x")
    await api.call("POST", "/storage/v1/b", {"name": "other"})
    await api.call("POST", "/_emulator/reset", {})
    assert await api.get(f"{B}/o") == {"kind": "storage#objects"}
    await refused(api, 404, "notFound", "GET", "/storage/v1/b/other")


async def test_the_statistics_count_objects(api):
    await put(api, "x")
    assert (await api.get("/_emulator"))["objects"] == 1


async def test_objects_and_buckets_survive_a_restart(start, tmp_path):
    before = await start(buckets=["b"], state=tmp_path / "state.json")
    await before.call("POST", "/storage/v1/b", {"name": "made", "location": "us-central1"})
    for bucket, data in (("b", DATA), ("made", bytes(2 * MIB))):
        await put(before, "dir/x", data, bucket)
    await put(before, "dir/y", b"old")
    await put(before, "dir/y", b"new")
    await before.call("DELETE", "/storage/v1/b/b/o/dir%2Fx")
    assert len(list((tmp_path / "state.json.objects").iterdir())) == 2  # what is gone has left no file
    after = await start(state=tmp_path / "state.json")
    for path in ("/storage/v1/b", "/storage/v1/b/b/o", "/storage/v1/b/made/o"):
        assert await after.get(path) == await before.get(path)
    assert (await after.http.get("/storage/v1/b/made/o/dir%2Fx?alt=media")).content == bytes(2 * MIB)
    assert (await after.http.get(f"{B}/o/dir%2Fy?alt=media")).content == b"new"


async def test_a_directory_can_be_the_state(start, tmp_path):
    before = await start(buckets=["b"], state=tmp_path)
    await put(before, "x")
    assert json.loads((tmp_path / "state.json").read_bytes())["version"]
    after = await start(state=tmp_path)
    assert (await after.http.get(f"{B}/o/x?alt=media")).content == DATA
