"""google-cloud-storage, pointed to the emulator by STORAGE_EMULATOR_HOST alone."""

import io
import random
import threading
import warnings
from contextlib import closing

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the end of Python 3.11, on import
    from google.api_core import exceptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from google.cloud.storage.retry import DEFAULT_RETRY

from gemtune.emulator import Fault

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code

MIB = 1 << 20
LINES = b'{"a":1}\n' * 3
QUICK = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.02)
KINDS = {"multipart": 1000, "resumable": 9 * MIB}


@pytest.fixture
def emulator(serve):
    return serve(buckets=["b"])


@pytest.fixture
def client(emulator, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "my-project")
    before = set(threading.enumerate())
    with closing(storage.Client()) as client:
        yield client
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith(("AnyIO", "gemtune")):  # of the emulator
            thread.join(5)  # its background look-ups of the bucket


@pytest.fixture
def bucket(client):
    return client.bucket("b")


def some(size):
    return random.Random(size).randbytes(size)


def test_buckets_are_created_found_and_listed(client):
    made = client.create_bucket("my-bucket", location="us-central1")
    assert (made.location, made.location_type, made.metageneration) == ("US-CENTRAL1", "region", 1)
    assert client.get_bucket("my-bucket").name == "my-bucket"
    assert [bucket.name for bucket in client.list_buckets()] == ["b", "my-bucket"]
    assert client.bucket("my-bucket").exists()
    assert client.lookup_bucket("nobody-s") is None
    made.delete()
    with pytest.raises(exceptions.NotFound, match="The specified bucket does not exist"):
        client.get_bucket("my-bucket")
    with pytest.raises(exceptions.Conflict, match="already own it"):
        client.create_bucket("b")


@pytest.mark.parametrize("checksum", ["auto", "md5", "crc32c", None])
@pytest.mark.parametrize("size", KINDS.values(), ids=KINDS)
def test_what_is_uploaded_is_downloaded(bucket, size, checksum):
    data, blob = some(size), bucket.blob("dir/train file.jsonl")
    blob.metadata = {"sha256": "abc"}
    blob.upload_from_string(data, content_type="application/jsonl", checksum=checksum)
    again = bucket.get_blob("dir/train file.jsonl")
    assert (again.size, again.content_type, again.metadata) == (size, "application/jsonl", {"sha256": "abc"})
    assert (again.md5_hash, again.crc32c, again.generation) == (blob.md5_hash, blob.crc32c, blob.generation)
    for blob in (bucket.blob("dir/train file.jsonl"), again):  # by a path of its own; by the mediaLink of what was read
        assert blob.download_as_bytes(checksum=checksum) == data


def test_a_file_comes_in_chunks(bucket, emulator, tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(some(8 * MIB + 5))
    bucket.blob("big.bin", chunk_size=4 * MIB).upload_from_filename(path)
    assert [entry.status for entry in emulator.app.requests.of("objects.upload")] == [308, 308, 200]
    down = tmp_path / "down.bin"
    bucket.blob("big.bin", chunk_size=3 * MIB).download_to_filename(down)
    assert down.read_bytes() == path.read_bytes()


def test_a_stream_of_unknown_length_and_files_that_are_written(bucket):
    bucket.blob("st").upload_from_file(io.BytesIO(some(600_000)))
    with bucket.blob("w.txt").open("w") as file:
        file.write("hello\nworld\n")
    with bucket.blob("w.txt").open("r") as file:
        assert file.readline() == "hello\n"
    with bucket.blob("st").open("rb") as file:
        file.seek(500_000)
        assert file.read(10) == some(600_000)[500_000:500_010]
    with bucket.blob("long", chunk_size=256 << 10).open("wb") as file:
        for start in range(0, 600_000, 50_000):
            file.write(some(600_000)[start : start + 50_000])
    assert bucket.blob("long").download_as_bytes() == some(600_000)


def test_a_part_is_downloaded(bucket):
    bucket.blob("f").upload_from_string(LINES)
    assert bucket.blob("f").download_as_bytes(start=8, end=15) == LINES[8:16]
    assert bucket.blob("f").download_as_bytes(start=8) == LINES[8:]
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        bucket.blob("f").download_as_bytes(start=100)


@pytest.mark.parametrize("size", KINDS.values(), ids=KINDS)
def test_what_is_there_already_is_a_412(bucket, size):
    first = bucket.blob("once")
    first.upload_from_string(some(size), if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("once").upload_from_string(some(size), if_generation_match=0)
    bucket.blob("once").upload_from_string(b"new", if_generation_match=first.generation)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("once").delete(if_generation_match=first.generation)


def test_lists_have_prefixes_and_pages(client, bucket):
    for name in ("a", "dir/1", "dir/2", "dir/sub/3", "z"):
        bucket.blob(name).upload_from_string(b"")
    assert [blob.name for blob in client.list_blobs("b", prefix="dir/")] == ["dir/1", "dir/2", "dir/sub/3"]
    listed = client.list_blobs("b", delimiter="/", page_size=2)
    assert [[blob.name for blob in page] for page in listed.pages] == [["a"], ["z"]]
    assert listed.prefixes == {"dir/"}
    assert [blob.name for blob in client.list_blobs("b", max_results=2)] == ["a", "dir/1"]


def test_what_is_removed_is_gone(bucket):
    bucket.blob("x").upload_from_string(b"1")
    assert bucket.blob("x").exists()
    bucket.blob("x").delete()
    assert not bucket.blob("x").exists()
    assert bucket.get_blob("x") is None
    for act in (bucket.blob("x").delete, bucket.blob("x").download_as_bytes):
        with pytest.raises(exceptions.NotFound, match="No such object: b/x"):
            act()


@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize("size", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("method", ["objects.insert", "objects.upload"])
def test_an_upload_survives_errors_and_lost_replies(emulator, bucket, method, size, act):
    emulator.app.faults.add(Fault(method=method, status=503, act=act))
    bucket.blob("x").upload_from_string(some(size), retry=QUICK)
    assert bucket.blob("x").download_as_bytes() == some(size)
    assert len(emulator.app.store.objects) == 1


def test_data_that_arrive_damaged_are_no_object(emulator, bucket):
    blob = bucket.blob("x")
    blob.crc32c = "AAAAAA=="
    with pytest.raises(exceptions.BadRequest, match="doesn't match calculated"):
        blob.upload_from_file(io.BytesIO(LINES), checksum=None, size=len(LINES), retry=None)
    assert len(emulator.app.store.objects) == 0


def test_a_damaged_download_is_noticed(emulator, bucket):
    bucket.blob("x").upload_from_string(LINES)
    emulator.app.faults.add(Fault(method="objects.get", headers={"X-Goog-Hash": "crc32c=AAAAAA=="}))
    with pytest.raises(Exception, match="Checksum mismatch"):
        bucket.blob("x").download_as_bytes(retry=None)


def test_credentials_and_an_endpoint_can_be_given_in_code(emulator):
    options = {"api_endpoint": emulator.url}
    with closing(storage.Client("p", credentials=AnonymousCredentials(), client_options=options)) as client:
        client.bucket("b").blob("x").upload_from_string(LINES)
    assert emulator.app.store.objects.read("b", "x") == LINES


def test_objects_outlive_the_emulator(serve, tmp_path, monkeypatch):
    state = tmp_path / "state"
    state.mkdir()
    data = some(9 * MIB)
    for number in range(2):
        server = serve(state=state, buckets=["b"])
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with closing(storage.Client(project="p")) as client:
            blob = client.bucket("b").blob("x")
            if number == 0:
                blob.upload_from_string(data)
            assert blob.download_as_bytes() == data
    assert list(tmp_path.iterdir()) == [state]
