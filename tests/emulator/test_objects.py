"""What holds the objects of Cloud Storage: contents in memory, in files, in a state directory; checksums."""

import hashlib
import random

import pytest

from gemtune.emulator.messages import contents
from gemtune.emulator.messages.checksums import _POLYNOMIAL, FOUR_TERMS, crc32c
from gemtune.emulator.world.objects import Objects, StoredBucket, StoredObject
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store, tidy

MIB = 1 << 20


def by_definition(data, crc=0):
    """CRC-32C bit by bit."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_four_terms_are_a_multiple_of_the_polynomial():
    remainder = 0
    for power in FOUR_TERMS:
        value = 1 << power
        while (excess := value.bit_length() - 33) >= 0:
            value ^= 0x11EDC6F41 << excess
        remainder ^= value
    assert remainder == 0


@pytest.mark.parametrize("size", [0, 1, 9, 846, 847, 848, 849, 1694, 1695, 1696, 5_000, 65_535, 65_536, 65_537, 70_000])
def test_a_checksum_is_that_of_the_definition_whole_and_in_parts(size):
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == by_definition(data)
    assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == crc32c(data)


def test_a_checksum_is_the_one_that_everybody_has():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, section B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def put(objects, name, data, now=0):
    scratch = objects.depot.scratch()
    for start in range(0, len(data), 300_000):
        scratch.append(data[start : start + 300_000])
    generation, content = objects.settle(scratch, now)
    objects.put(StoredObject(bucket="b", name=name, generation=generation, created=now, content=content))
    return objects.find("b", name)


@pytest.fixture(params=["memory", "directory"])
def objects(request, tmp_path):
    made = Objects(Settings(buckets=["b"]))
    if request.param == "directory":
        made.depot.folder = tmp_path / "state.objects"
    return made


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB])
def test_what_was_put_is_read(objects, size):
    data = random.Random(size).randbytes(size)
    found = put(objects, "a/b c", data)
    assert objects.read("b", "a/b c") == data
    with objects.open("b", "a/b c") as file:
        assert file.read() == data
    assert (found.content.size, found.content.crc32c) == (size, crc32c(data))
    assert found.content.md5 == hashlib.md5(data).digest()
    assert (objects.size, len(objects)) == (size, 1)


def test_what_is_not_there_is_none(objects):
    assert objects.read("b", "x") is objects.open("b", "x") is objects.find("nobody's", "x") is None


def test_a_long_object_lies_in_a_file_and_its_file_goes_when_it_does(objects):
    former = put(objects, "x", bytes(2 * MIB)).content.data
    assert former.is_file()
    put(objects, "x", b"short")
    assert former.is_file()  # a state on the disk may name it until the next one is written
    objects.depot.remove(objects.depot.given_up())
    assert not former.exists()
    assert (objects.read("b", "x"), objects.size) == (b"short", 5)


def test_many_short_objects_do_not_fill_the_memory():
    objects = Objects(Settings(buckets=["b"], object_memory_bytes=1_000))
    for number in range(20):
        put(objects, str(number), bytes(100))
    assert objects.depot.held == 1_000
    assert all(objects.read("b", str(number)) == bytes(100) for number in range(20))
    for number in range(20):
        objects.remove(objects.find("b", str(number)))
    assert (objects.depot.held, objects.size, len(objects)) == (0, 0, 0)


def test_generations_grow_while_the_clock_stands():
    objects = Objects(Settings(buckets=["b"]))
    numbers = [put(objects, "x", b"", now).generation for now in (5_000_000, 5_000_000, 4_000_000, 9_000_000)]
    assert numbers == [5_000, 5_001, 5_002, 9_000]


def test_names_come_in_order_from_anywhere(objects):
    for name in ("b", "a/2", "é", "a/10", "", "Z"):
        put(objects, name, b"")
    assert list(objects.buckets["b"].names()) == ["", "Z", "a/10", "a/2", "b", "é"]
    assert list(objects.buckets["b"].names("a/2")) == ["a/2", "b", "é"]


def test_only_declared_buckets_are_there_after_a_reset(objects):
    put(objects, "x", b"1")
    objects.add_bucket(StoredBucket(name="other", created=1))
    objects.clear()
    assert (list(objects.buckets), len(objects), objects.size) == (["b"], 0, 0)


def test_a_directory_is_taken_over_and_leftovers_of_a_kill_go(tmp_path):
    folder = tmp_path / "state.objects"
    before = Objects(Settings(buckets=["b"]))
    before.depot.folder = folder
    put(before, "x", b"kept", now=7_000_000)
    kept = before.dump()
    (folder / "0000000000000099").write_bytes(b"never put")
    (folder / "abcd_123.part").write_bytes(b"half an upload")
    (folder / "notes.txt").write_bytes(b"somebody's own")
    store = Store(Settings(), {})
    after = store.objects
    after.depot.folder = folder
    after.restore(kept)
    tidy(store)
    assert after.find("b", "x") == before.find("b", "x")
    assert after.read("b", "x") == b"kept"
    assert sorted(path.name for path in folder.iterdir()) == ["0000000000007000", "notes.txt"]
    assert put(after, "y", b"").generation == 7_001


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_directory_that_lacks_a_content_is_refused(tmp_path, damage):
    before = Objects(Settings(buckets=["b"]))
    before.depot.folder = tmp_path
    path = put(before, "x", b"kept").content.data
    path.unlink() if damage == "gone" else path.write_bytes(b"ke")
    after = Objects(Settings())
    after.depot.folder = tmp_path
    with pytest.raises(ValueError, match=r"the content of gs://b/x has (None|2) bytes"):
        after.restore(before.dump())


def test_a_scratch_that_the_collector_finds_while_no_room_is_said_waits_for_nobody(monkeypatch):
    depot = contents.Depot(memory=10, limit=100)

    class Collecting(contents.DepotFull):
        """As if making it set off the garbage collector, and that found a scratch."""

        def __init__(self, *said):
            super().__init__(*said)
            assert not depot._lock.locked()
            depot.claim(-1)

    monkeypatch.setattr(contents, "DepotFull", Collecting)
    with pytest.raises(Collecting, match="at most 100 bytes"):
        depot.claim(101)
