"""The journal: whatever happens to the file, every item has one outcome, and damage is never passed over."""

import fcntl
import json
import os
import resource
import stat
import threading
import zlib
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.service import MODEL, Service, collect, envelope, into, run
from gemtune import errors
from gemtune.batch import BatchResult, export_journal, read_journal
from gemtune.batch.inputs import config_digests, make_item
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.lines import Header, Record, checked, record_line
from gemtune.batch.journal.parts import SentParts
from gemtune.batch.journal.reading import read_records
from gemtune.batch.keys import Keys, Known, Span
from gemtune.protocol.codec import decode
from gemtune.protocol.names import model_name
from gemtune.types import Content, GenerateContentRequest, GenerateContentResponse, GenerationConfig

TEXTS = st.text(max_size=30)
KEYS = st.none() | TEXTS | st.integers(-(2**1024) + 1, 2**1024 - 1)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def response(text):
    return decode(GenerateContentResponse, {"candidates": [{"content": {"parts": [{"text": text}]}}]})


def result(index, key=None, text="x", error=None):
    name = index if key is None else key
    made = None if error else response(text)
    return BatchResult(key=name, index=index, response=made, error=error, attempts=2, seconds=1.5)


def opened(path, **options):
    journal = made(path, **options)
    journal.open()
    return journal


def made(path, **options):
    return Journal(path, Header(MODEL, {}), Keys(path), SentParts(), **options)


def write(path, *results, sync=False):
    journal = opened(path)
    for one in results:
        journal.append(record_line(one, one.key if isinstance(one.key, str) else None, 7))
    journal.flush()
    if sync:
        journal.sync()
    journal.close()


def indices(path):
    return [one.index for one in read_journal(path)]


# Lines


@given(index=st.integers(0, 10**12), key=KEYS, text=TEXTS, digest=st.integers(0, 2**64 - 1))
def test_a_result_comes_back_from_its_line_as_it_was(index, key, text, digest):
    line = record_line(result(index, key, text), key, digest)
    assert checked(line)
    assert line.count(b"\n") == 1
    assert json.loads(line)["n"] == index
    record = Record.parse(line)
    assert record.digest == digest
    assert record.to_result() == result(index, key, text)
    written = json.loads(record.to_line())
    assert written["key"] == (index if key is None else key)
    assert written["response"]["candidates"][0]["content"]["parts"][0].get("text", "") == text


@given(text=TEXTS, at=st.integers(0), bit=st.integers(0, 7))
def test_no_flipped_bit_in_a_line_goes_unnoticed(text, at, bit):
    line = bytearray(record_line(result(3, None, text), None, 7))
    line[at % len(line)] ^= 1 << bit
    assert not checked(bytes(line))


@pytest.mark.parametrize(
    ("error", "code", "status", "back"),
    [
        (errors.BadRequest("no", status=400), 400, "INVALID_ARGUMENT", errors.BadRequest),
        (errors.InvalidInput("no"), 400, "INVALID_ARGUMENT", errors.BadRequest),
        (errors.Unavailable("no", status=503), 503, "UNAVAILABLE", errors.Unavailable),
        (errors.Unavailable("no", status=418), 418, "UNKNOWN", errors.BadRequest),
        (errors.ConnectionLost("no"), 503, "UNAVAILABLE", errors.Unavailable),
        (errors.DeadlineExceeded("no"), 504, "DEADLINE_EXCEEDED", errors.Unavailable),
        (errors.MalformedResponse("no"), 502, "UNKNOWN", errors.MalformedResponse),
        (errors.AlreadyExists("no", status=409), 409, "ALREADY_EXISTS", errors.AlreadyExists),
        (errors.QuotaExhausted("no", status=429), 429, "RESOURCE_EXHAUSTED", errors.QuotaExhausted),
        (errors.GemtuneError("no"), 500, "INTERNAL", errors.Unavailable),
    ],
)
def test_an_error_is_written_in_the_form_of_the_service_and_read_back_as_far_as_that_tells(error, code, status, back):
    record = Record.parse(record_line(result(0, error=error), None, 7))
    assert json.loads(record.body) == {"code": code, "message": "no", "status": status}
    assert type(record.to_result().error) is back
    assert str(record.to_result().error) == "no (2 attempts)"


# The file


def test_a_journal_is_private_and_its_first_line_tells_what_it_is_of(tmp_path):
    journal = opened(tmp_path / "j")
    journal.close()
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600
    assert (tmp_path / "j").read_bytes() == Header(MODEL, {}).to_line()
    assert [path.name for path in tmp_path.iterdir()] == ["j"]


def test_a_journal_is_written_by_one_only(tmp_path):
    journal = opened(tmp_path / "j")
    with pytest.raises(errors.JournalBusy, match="another batch"):
        opened(tmp_path / "j")
    journal.close()
    opened(tmp_path / "j").close()


def test_a_link_is_not_followed_and_a_device_not_written(tmp_path):
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "j").symlink_to(tmp_path / "real")
    with pytest.raises(errors.JournalError, match="cannot be used"):
        opened(tmp_path / "j")
    with pytest.raises(errors.JournalError, match="not a regular file"):
        opened("/dev/full")
    with pytest.raises(errors.JournalError, match="cannot be used"):
        opened(tmp_path / "no folder" / "j")


@pytest.mark.parametrize("content", [b"my only copy", b"my only copy\n", b'{"key": 1}\n{"key": 2}\n', b"\n"])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path, content):
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(errors.JournalMismatch, match="not the journal of a batch"):
        opened(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == content


@FEW
@given(count=st.integers(0, 5), cut=st.integers(0), more=st.integers(0, 3))
def test_cut_anywhere_a_journal_opens_with_all_lines_that_are_whole_and_goes_on(tmp_path, count, cut, more):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    write(path, *(result(n) for n in range(count)))
    whole = path.read_bytes()
    left = whole[: cut % (len(whole) + 1)]
    path.write_bytes(left)
    kept = max(left.count(b"\n") - 1, 0)
    write(path, *(result(n) for n in range(kept, kept + more)))
    assert indices(path) == list(range(kept + more))


@FEW
@given(data=st.data(), count=st.integers(2, 5), bit=st.integers(0, 7))
def test_a_flipped_bit_before_a_sound_line_stops_with_its_place(tmp_path, data, count, bit):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    write(path, *(result(n) for n in range(count)))
    content = bytearray(path.read_bytes())
    starts = [at + 1 for at, byte in enumerate(content) if byte == 10][: count - 1]
    victim = data.draw(st.integers(starts[0], starts[-1] - 1 + (starts[-1] - starts[-2] if count > 2 else 1)))
    victim = min(victim, content.rindex(b"\n", 0, -1) - 1)
    content[victim] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(errors.JournalCorrupt, match=r"at byte \d+ was changed") as caught:
        opened(path)
    assert caught.value.offset == max(start for start in starts if start <= victim)
    assert path.read_bytes() == content
    with pytest.raises(errors.JournalCorrupt):
        list(read_records(path))


def test_a_changed_last_line_is_no_torn_tail(tmp_path):
    path = tmp_path / "j"
    write(path, result(0), result(1))
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.JournalCorrupt):
        opened(path)


def test_zeros_that_a_loss_of_power_left_are_cut_off(tmp_path):
    path = tmp_path / "j"
    write(path, result(0))
    with path.open("ab") as file:
        file.write(bytes(4096) + b'tail of a line"}\n')
    write(path, result(1))
    assert indices(path) == [0, 1]


def test_a_file_that_takes_the_journals_place_is_noticed(tmp_path):
    path = tmp_path / "j"
    journal = opened(path)
    journal.append(record_line(result(0), None, 7))
    journal.flush()
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "other").replace(path)
    with pytest.raises(errors.JournalError, match="replaced by another file"):
        journal.sync()
    journal.close()


def test_a_journal_closed_while_a_thread_opens_it_is_released_by_the_thread(tmp_path):
    journal = made(tmp_path / "j")
    journal.close()
    with pytest.raises(errors.JournalError, match="closed"):
        journal.open()
    opened(tmp_path / "j").close()


def handles():
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.both_backends
async def test_a_batch_given_up_while_its_journal_is_read_ends_at_the_next_line_and_leaves_the_file(
    tmp_path, monkeypatch
):
    await anyio.to_thread.run_sync(write, tmp_path / "j", *(result(n) for n in range(1000)))
    parse, close = Record.parse, Journal.close
    closed, parsed = threading.Event(), []

    def parsed_slowly(line):
        if not parsed:
            anyio.from_thread.run_sync(scope.cancel)
            closed.wait(5)
        parsed.append(line)
        return parse(line)

    def told(journal, **options):
        closed.set()
        close(journal, **options)

    monkeypatch.setattr(Record, "parse", parsed_slowly)
    monkeypatch.setattr(Journal, "close", told)
    before = handles()
    async with Service(0.0).client() as client:
        with anyio.CancelScope() as scope:
            await run(client, ["p0"], journal=tmp_path / "j")
    assert scope.cancelled_caught
    assert len(parsed) == 1
    assert handles() == before
    assert len(indices(tmp_path / "j")) == 1000
    (await anyio.to_thread.run_sync(opened, tmp_path / "j")).close()


# The keys


DIGESTS = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(st.integers(0, 30), KEYS, DIGESTS)), st.lists(st.tuples(KEYS, DIGESTS), max_size=40))
def test_keys_are_a_dict_of_what_the_journal_holds_and_of_where_the_items_stand(outcomes, items):
    keys, held, places = Keys("j"), {}, {}
    for place, (n, key, digest) in enumerate(outcomes):
        held[n if key is None else str(key)] = digest, Span(place, 1 + place % 7)
    keys.hold((*outcome, Span(place, 1 + place % 7)) for place, outcome in enumerate(outcomes))
    for n, (key, _) in enumerate(items):
        name = n if key is None else str(key)
        known = keys.meet(n, key)
        if name in held:
            assert known == Known(places.get(name), *held[name])
            if known.place is None:
                keys.confirm(n, key)
        else:
            assert known == (Known(places[name]) if name in places else None)
        places.setdefault(name, n)
    for n, key in enumerate([*(key for key, _ in items), None, "another" * 5]):
        name = n if key is None else str(key)
        assert keys.known(n, key) == (Known(places[name], *held.get(name, ())) if name in places else None)
    met = sorted((places[name], span) for name, (_, span) in held.items() if name in places)
    assert [*keys.met()] == met


def test_an_item_that_the_journal_holds_stands_nowhere_until_its_content_is_compared():
    keys = Keys("j")
    keys.hold([(0, "k", 7, Span(40, 9))])
    assert keys.meet(3, "k") == keys.meet(3, "k") == Known(None, 7, Span(40, 9))
    assert keys.known(3, "k") is None
    keys.confirm(3, "k")
    assert keys.known(3, "k") == Known(3, 7, Span(40, 9))


def peak():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])


@pytest.mark.slow
def test_keys_take_the_memory_of_a_cache_however_many_they_are():
    keys, sizes = Keys("j"), []
    for n in range(200_000):
        keys.meet(n, f"key {n}")
        if n % 100_000 == 99_999:
            sizes.append(peak())
    assert sizes[-1] - sizes[0] <= 1024  # KiB; as a dict the second half would take 12 MiB


def test_keys_may_be_met_in_one_thread_and_looked_up_in_another_meanwhile():
    keys, failures, over = Keys("j"), [], threading.Event()

    def look_up():
        while not over.is_set():
            for n in range(0, 2000, 50):
                found = keys.known(n, f"key {n}")
                if found not in (None, Known(n)):
                    failures.append(found)

    thread = threading.Thread(target=look_up)
    thread.start()
    for n in range(5000):
        assert keys.meet(n, f"key {n}") is None
    over.set()
    thread.join()
    assert failures == []


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_database_of_keys_is_closed_with_its_last_reference():
    before = handles()
    keys = Keys("j")
    for n in range(100_000):
        keys.meet(n, f"key {n}")
    assert handles() == before + 1
    del keys
    assert handles() == before


@given(TEXTS.filter(bool))
def test_a_prompt_has_one_digest_in_all_its_spellings(text):
    spellings = [text, [text], Content(parts=[text], role="user"), GenerateContentRequest(contents=text)]
    spellings += [{"contents": text}, {"contents": [{"role": "user", "parts": [{"text": text}]}]}, ("key", text)]
    digests = {make_item(row, 0, MODEL, model_name).content_digest() for row in spellings}
    assert len(digests) == 1
    other = GenerateContentRequest(contents=text, generation_config=GenerationConfig(top_k=1))
    assert make_item(other, 0, MODEL, model_name).content_digest() not in digests


def test_the_configuration_has_a_digest_for_each_setting():
    one = config_digests({"generation_config": GenerationConfig(top_k=1), "system_instruction": "a"})
    two = config_digests({"generation_config": GenerationConfig(top_k=2), "system_instruction": "a"})
    assert set(one) == {"generationConfig", "systemInstruction"}
    assert [name for name in one if one[name] != two[name]] == ["generationConfig"]


# Batches with a journal


@pytest.mark.both_backends
async def test_a_batch_run_again_asks_only_what_is_not_answered(tmp_path):
    service = Service(0.0)
    service.steps["p4"].append(envelope(400, "INVALID_ARGUMENT"))
    options = {"journal": tmp_path / "j", "concurrency": 4, "resume": "rest"}
    async with service.client() as client:
        async with client.batch(MODEL, (f"p{n}" for n in range(50)), **options) as results:
            for _ in range(10):
                await anext(results)
        held = {one.index for one in read_journal(tmp_path / "j") if one.ok}
        assert len(held) >= 9
        service.asked.clear()
        found = await run(client, (f"p{n}" for n in range(50)), **options)
        assert {one.index for one in found} == set(range(50)) - held
        assert all(one.ok for one in found)
        assert service.asked.total() == 50 - len(held)
        async with client.batch(MODEL, (f"p{n}" for n in range(50)), **options) as results:
            assert await collect(results) == []
            assert results.statistics().skipped == 50
    assert [one.index for one in read_journal(tmp_path / "j", order="input")] == list(range(50))


@pytest.mark.both_backends
@pytest.mark.parametrize("durability", ["batch", "sync", "none"])
async def test_a_result_is_in_the_file_before_it_is_published(tmp_path, durability):
    service = Service(0.0)
    rows, path = {f"k{n}": "p" for n in range(30)}, tmp_path / "j"
    async with service.client() as client, client.batch(MODEL, rows, journal=path, durability=durability) as results:
        async for one in results:
            assert one.key in path.read_text()
    assert len(indices(tmp_path / "j")) == 30


async def test_keys_are_the_identity_so_rows_may_move(tmp_path):
    service = Service(0.0)
    rows = [(f"k{n}", f"p{n}") for n in range(20)]
    async with service.client() as client:
        await run(client, rows[:12], journal=tmp_path / "j")
        service.asked.clear()
        found = await run(client, rows[::-1], journal=tmp_path / "j", resume="rest")
        assert sorted(one.key for one in found) == sorted(key for key, _ in rows[12:])
        assert service.asked.total() == 8


async def test_another_content_is_refused_and_names_the_row(tmp_path):
    async with Service(0.0).client() as client:
        await run(client, ["a", "b", "c"], journal=tmp_path / "j")
        await run(client, {"k": "x"}, journal=tmp_path / "keyed")
        before = (tmp_path / "j").read_bytes()
        with pytest.raises(errors.JournalMismatch, match="row 2 was answered before with another content"):
            await run(client, ["a", "B", "c"], journal=tmp_path / "j")
        with pytest.raises(errors.JournalMismatch, match="row 1, key 'k', was answered"):
            await run(client, {"k": "y"}, journal=tmp_path / "keyed")
        assert (tmp_path / "j").read_bytes() == before


async def test_another_model_or_configuration_is_refused_and_named(tmp_path):
    async with Service(0.0).client() as client:
        await run(client, ["a"], journal=tmp_path / "j", generation_config=GenerationConfig(top_k=1))
        with pytest.raises(errors.JournalMismatch, match=r"with another generation config; use what it was begun with"):
            await run(client, ["a"], journal=tmp_path / "j", generation_config=GenerationConfig(top_k=2))
        with pytest.raises(errors.JournalMismatch, match="another generation config and system instruction"):
            await run(client, ["a"], journal=tmp_path / "j", system_instruction="x")
        with pytest.raises(
            errors.JournalMismatch, match="belongs to a batch on models/gemini-3.7-flash, not on tunedModels/x"
        ):
            async with client.batch("tunedModels/x", ["a"], journal=tmp_path / "j"):
                pass


async def test_failures_are_asked_again_unless_they_are_to_be_kept(tmp_path):
    service, rest = Service(0.0), {"journal": tmp_path / "j", "resume": "rest"}
    service.steps["b"].extend([envelope(400, "INVALID_ARGUMENT", "first"), envelope(400, "INVALID_ARGUMENT", "second")])
    async with service.client() as client:
        for _ in range(2):
            await run(client, ["a", "b", ""], journal=tmp_path / "j")
        outcomes = list(read_journal(tmp_path / "j", order="input"))
        assert [one.ok for one in outcomes] == [True, False, False]
        assert "second" in str(outcomes[1].error)
        assert await run(client, ["a", "b", ""], retry_failed=False, **rest) == []
        found = await run(client, ["a", "b", "a better row"], **rest)
    assert sorted(one.text for one in found) == ["re: a better row", "re: b"]
    assert [one.ok for one in read_journal(tmp_path / "j")] == [True, True, True]
    assert service.asked["a"] == 1


async def test_a_doomed_run_tells_what_the_journal_holds_and_can_go_on(tmp_path):
    service = Service(0.0)
    service.steps["p5"].append(envelope(401, "UNAUTHENTICATED"))
    found = []
    async with service.client() as client:
        async with client.batch(MODEL, [f"p{n}" for n in range(20)], journal=tmp_path / "j", concurrency=1) as results:
            with pytest.raises(errors.BatchStopped, match=r"5 answered, 0 failed; they are in .*j, from which"):
                await into(found, results)
        assert [one.index for one in found] == [0, 1, 2, 3, 4] == indices(tmp_path / "j")
        assert len(await run(client, [f"p{n}" for n in range(20)], journal=tmp_path / "j", resume="rest")) == 15


@pytest.mark.parametrize("kept", [True, False])
async def test_a_run_that_reached_nothing_says_only_why_and_one_that_found_answers_where_they_are(tmp_path, kept):
    service, path = Service(0.0), tmp_path / "j"
    async with service.client() as client:
        if kept:
            await run(client, ["a", "b"], journal=path)
        service.always = lambda: envelope(401, "UNAUTHENTICATED", "no such key")
        for options in ({"journal": path}, {}):
            with pytest.raises(errors.BatchStopped) as caught:
                await run(client, ["a", "b", "c"], concurrency=1, **options)
            message = str(caught.value)
            if kept and options:
                what = f"; 0 answered, 0 failed, 2 from before; they are in {path}, from which a new run resumes"
                assert what in message
            else:
                assert "no such key" in message
                assert not [word for word in ("0 answered", "from there") if word in message]


async def test_a_full_disk_stops_the_run_and_loses_nothing_that_was_published(tmp_path):
    service, found = Service(0.0), []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = [f"p{n}" for n in range(500)]
    async with service.client() as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            async with client.batch(MODEL, rows, journal=tmp_path / "j", concurrency=8) as results:
                with pytest.raises(errors.JournalError, match="could not be written: File too large") as caught:
                    await into(found, results)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        published, unsaved = {one.index for one in found}, {one.index for one in caught.value.unsaved}
        assert published == set(indices(tmp_path / "j"))
        assert published
        assert unsaved
        assert not published & unsaved
        assert (tmp_path / "j").stat().st_size <= 20_000
        assert service.asked.total() <= len(published) + len(unsaved) + 4 * 8
        again = await run(client, rows, journal=tmp_path / "j")
    assert published | {one.index for one in again} == set(range(500))
    assert len(indices(tmp_path / "j")) == 500


async def test_a_full_disk_is_told_also_to_who_does_not_read_to_the_end(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Service(0.0).client() as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            with pytest.raises(errors.JournalError, match="could not be written"):
                await wait_for_all_replies(client.batch(MODEL, [f"p{n}" for n in range(8)], journal=tmp_path / "j"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


NO_ROOM = "pragma max_page_count = 3"
NO_ROOM_ERROR = r"j cannot be compared .*: database or disk is full; make room"


async def test_keys_for_which_there_is_no_room_are_told_as_the_journals_error(tmp_path):
    rows = ((f"k{n}", "p") for n in range(2000))
    async with Service(0.0).client() as client, client.batch(MODEL, rows, journal=tmp_path / "j") as results:
        await anyio.to_thread.run_sync(results.places._database.execute, NO_ROOM)
        with pytest.raises(errors.JournalError, match=NO_ROOM_ERROR) as caught:
            await collect(results)
    assert caught.value.path == str(tmp_path / "j")
    assert indices(tmp_path / "j")


def test_a_journal_for_whose_keys_there_is_no_room_is_told_and_stays(tmp_path):
    write(tmp_path / "j", *(result(n, f"k{n}") for n in range(500)))
    journal = made(tmp_path / "j")
    journal.keys._database.execute(NO_ROOM)
    with pytest.raises(errors.JournalError, match=NO_ROOM_ERROR):
        journal.open()
    assert len(indices(tmp_path / "j")) == 500


async def wait_for_all_replies(batch):
    async with batch as results:
        while results.statistics().done < 8:
            await anyio.lowlevel.checkpoint()


async def test_export_is_in_the_order_of_the_input_whole_or_not_at_all(tmp_path):
    service = Service(0.0)
    service.seconds |= {"p0": 0.02, "p1": 0.01}
    service.steps["p2"].append(envelope(400, "INVALID_ARGUMENT", "no"))
    async with service.client() as client:
        await run(client, [f"p{n}" for n in range(5)], journal=tmp_path / "j")
    count = await anyio.to_thread.run_sync(export_journal, tmp_path / "j", tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert count == 5
    assert [line["key"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[0]["response"]["candidates"][0]["content"]["parts"][0]["text"] == "re: p0"
    assert lines[2]["error"]["code"] == 400
    assert set(lines[2]) == {"key", "error"}
    await anyio.to_thread.run_sync(lambda: export_journal(tmp_path / "j", tmp_path / "out.jsonl", order="completed"))
    moved = [json.loads(line)["key"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(moved) == [0, 1, 2, 3, 4] != moved
    with pytest.raises(errors.JournalMismatch):
        await anyio.to_thread.run_sync(export_journal, tmp_path / "out.jsonl", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "out.jsonl"]


async def test_a_journal_can_be_read_while_it_is_written(tmp_path):
    async with Service(0.0).client() as client, client.batch(MODEL, ["a", "b"], journal=tmp_path / "j") as results:
        first = await anext(results)
        assert first.index in indices(tmp_path / "j")
        with (tmp_path / "j").open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_line_of_a_later_version_is_not_dropped(tmp_path):
    path = tmp_path / "j"
    write(path, result(0))
    text = b'{"n":1,"digest":"0123456789abcdef","news":1'
    with path.open("ab") as file:
        file.write(b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text)))
    with pytest.raises(errors.JournalError, match="does not know"):
        opened(path)
    assert os.fspath(path) in str(Path(path))
