"""What a journal holds is handed over again: every row once, in either order, without a request, in constant memory."""

import asyncio
import sqlite3
from contextlib import closing

import anyio
import anyio.to_thread
import pytest

from batch.service import MODEL, Service, collect, envelope, run
from gemtune import errors
from gemtune.batch import Limiter, read_journal
from gemtune.batch.journal.file import Journal
from gemtune.batch.journal.replay import JournalReplay

PROMPTS = [f"p{n}" for n in range(300)]


def told(results):
    return [(one.key, one.text, one.replayed) for one in results]


async def written(client, path, rows):
    await run(client, rows, journal=path, durability="none")


@pytest.mark.both_backends
@pytest.mark.parametrize("order", ["completed", "input"])
@pytest.mark.parametrize("keyed", [False, True])
async def test_a_loop_that_is_run_again_gets_every_row_once_and_asks_only_the_rest(tmp_path, order, keyed):
    rows = [(f"k{n}", prompt) if keyed else prompt for n, prompt in enumerate(PROMPTS)]
    service, held = Service(0.0), {*range(0, 300, 3), *range(200, 300)}
    async with service.client() as client:
        journal = tmp_path / "j"
        if keyed:
            await written(client, journal, [row for n, row in enumerate(rows) if n in held])
        else:
            held = {*range(150)}
            await written(client, journal, rows[:150])
        service.asked.clear()
        size = journal.stat().st_size
        async with client.batch(MODEL, rows, journal=journal, order=order, resume="all") as results:
            found = await collect(results)
            stats = results.statistics()
            assert await results.export(tmp_path / "out.jsonl") == 300
    assert sorted(one.index for one in found) == [*range(300)]
    assert all(one.text == f"re: p{one.index}" and one.replayed is (one.index in held) for one in found)
    assert {one.key for one in found} == ({f"k{n}" for n in range(300)} if keyed else {*range(300)})
    assert order == "completed" or [one.index for one in found] == [*range(300)]
    assert (stats.skipped, stats.done, stats.requests) == (len(held), 300 - len(held), 300 - len(held))
    assert service.asked.total() == 300 - len(held)
    assert journal.stat().st_size > size  # the rest, and no line for what it held
    assert len([*read_journal(journal)]) == 300


async def test_a_program_that_fills_a_database_is_simply_run_again(tmp_path):
    service, prompts = Service(0.0), {f"k{n}": f"p{n}" for n in range(40)}
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table answers (key text primary key, answer text)")
        async with service.client() as client:
            for stop in (0, 7, 1, 25, None):
                # The database may be behind the journal, as a process dies between the two.
                async with client.batch(MODEL, prompts, journal=tmp_path / "j", concurrency=4) as results:
                    count = 0
                    async for result in results:
                        if count == stop:
                            break
                        database.execute("replace into answers values (?, ?)", (result.key, result.text))
                        count += 1
        assert count == 40
        assert dict(database.execute("select * from answers")) == {key: f"re: {p}" for key, p in prompts.items()}
    assert service.asked.total() < 40 + 5 * 16


async def test_what_is_replayed_takes_no_permit_and_waits_for_no_limiter(tmp_path):
    service = Service(0.0)
    async with service.client() as client:
        await written(client, tmp_path / "j", PROMPTS)
        limiter = Limiter(concurrency=1, rpm=1)
        permit = await limiter.acquire()
        with anyio.fail_after(20):
            found = await run(client, PROMPTS, journal=tmp_path / "j", limiter=limiter, order="input")
        permit.success(None)
    assert told(found) == [(n, f"re: p{n}", True) for n in range(300)]
    assert limiter.statistics().accepted == 1


@pytest.mark.parametrize("order", ["completed", "input"])
async def test_no_more_is_read_ahead_than_the_consumer_has_room_for(tmp_path, order, monkeypatch):
    service, rows, read = Service(0.0), [f"p{n}" for n in range(3000)], 0
    lines = Journal.read

    def counted(journal, spans):
        nonlocal read
        found = lines(journal, spans)
        read += len(found)
        return found

    async with service.client() as client:
        await written(client, tmp_path / "j", rows)
        monkeypatch.setattr(Journal, "read", counted)
        async with client.batch(MODEL, rows, journal=tmp_path / "j", order=order) as results:
            for taken in range(1, 3001):
                await anext(results)
                for _ in range(100 if taken in {1, 1500} else 0):  # it has all the time to read on
                    await anyio.to_thread.run_sync(int)
                assert read <= taken + 1024
    assert read == 3000


async def test_replies_of_megabytes_are_replayed_within_the_room_of_bytes(tmp_path, monkeypatch):
    service, rows = Service(0.0), ["x" * 2_000_000 + str(n) for n in range(60)]
    held = []
    put = JournalReplay.put

    async with service.client() as client:
        await written(client, tmp_path / "j", rows)

        def noted(replay, item, span):
            put(replay, item, span)
            held.append(replay.outbox.held)

        monkeypatch.setattr(JournalReplay, "put", noted)
        found = await run(client, rows, journal=tmp_path / "j")
    assert len(found) == len(held) == 60
    assert max(held) <= 64 * 1024 * 1024 + 2 * 2_000_000


async def test_a_failure_that_is_kept_is_replayed_and_the_last_outcome_of_an_item_is_the_one(tmp_path):
    service, options = Service(0.0), {"journal": tmp_path / "j", "order": "input"}
    service.steps["b"].extend(envelope(400, "INVALID_ARGUMENT", word) for word in ("first", "second"))
    async with service.client() as client:
        await run(client, ["a", "b", "c"], **options)
        await run(client, ["a", "b", "c"], **options)
        found = await run(client, ["a", "b", "c"], retry_failed=False, **options)
        assert [(one.ok, one.replayed, one.attempts) for one in found] == [
            (True, True, 1),
            (False, True, 1),
            (True, True, 1),
        ]
        assert "second" in str(found[1].error)
        found = await run(client, ["a", "b", "c"], **options)
        assert told(found) == [(0, "re: a", True), (1, "re: b", False), (2, "re: c", True)]
        found = await run(client, ["a", "b", "c"], retry_failed=False, **options)
        assert told(found) == [(0, "re: a", True), (1, "re: b", True), (2, "re: c", True)]


async def test_a_batch_that_raises_the_first_failure_raises_one_that_is_replayed(tmp_path):
    service = Service(0.0)
    service.steps["b"].append(envelope(400, "INVALID_ARGUMENT"))
    async with service.client() as client:
        await run(client, ["a", "b"], journal=tmp_path / "j")
        with pytest.raises(errors.BadRequest):
            await run(client, ["a", "b"], journal=tmp_path / "j", retry_failed=False, on_error="raise", order="input")


async def test_rows_that_moved_are_replayed_at_their_places_of_now_and_repeated_keys_fail_as_ever(tmp_path):
    async with Service(0.0).client() as client:
        await written(client, tmp_path / "j", {"a": "x", "b": "y"})
        found = await run(client, [("b", "y"), ("a", "x"), ("b", "y")], journal=tmp_path / "j", order="input")
    assert [(one.key, one.index, one.ok, one.replayed) for one in found] == [
        ("b", 0, True, True),
        ("a", 1, True, True),
        (2, 2, False, False),
    ]


async def test_an_input_that_waits_for_results_gets_those_of_the_journal_and_nothing_stands_still(tmp_path):
    """A crawler asks the next prompt once it has seen an answer; what it has seen may come from the journal."""
    seen = asyncio.Event()

    async def rows():
        yield "p0"
        await seen.wait()
        yield "p1"

    async with Service(0.0).client() as client:
        await written(client, tmp_path / "j", ["p0"])
        with anyio.fail_after(10):
            async with client.batch(MODEL, rows(), journal=tmp_path / "j") as results:
                async for result in results:
                    seen.set()
                    last = result
    assert (last.text, last.replayed) == ("re: p1", False)


async def test_a_line_that_was_changed_during_the_run_ends_it_and_is_named(tmp_path):
    async with Service(0.0).client() as client:
        await written(client, tmp_path / "j", ["p0", "p1"])
        content = (tmp_path / "j").read_bytes()

        def harm():
            at = content.index(b"re: p1")
            (tmp_path / "j").write_bytes(content[:at] + b"RE" + content[at + 2 :])

        async def rows():
            await anyio.to_thread.run_sync(harm)
            for prompt in ("p0", "p1"):
                yield prompt

        with pytest.raises(errors.JournalCorrupt, match=r"the line at byte \d+ was changed during the run") as caught:
            await run(client, rows(), journal=tmp_path / "j")
    assert caught.value.offset == content.index(b'{"n":1')


async def test_a_batch_of_the_rest_collects_everything_all_the_same(tmp_path):
    service = Service(0.0)
    async with service.client() as client:
        await written(client, tmp_path / "j", {"a": "x", "c": "z"})
        rows = {"c": "z", "b": "y", "a": "x"}
        everything = [("c", "re: z"), ("b", "re: y"), ("a", "re: x")]
        async with client.batch(MODEL, rows, journal=tmp_path / "j", resume="rest", order="input") as results:
            assert [(one.key, one.text) for one in await results.collect()] == everything
        found = await client.batch(MODEL, rows, journal=tmp_path / "j", resume="rest", order="input").collect()
        assert told(found) == [(key, text, True) for key, text in everything]
    assert service.asked.total() == 3


async def test_replayed_results_say_so_in_their_repr_and_their_frame(tmp_path):
    pytest.importorskip("pandas")
    async with Service(0.0).client() as client:
        await written(client, tmp_path / "j", ["x"])
        found = await client.generate_many(MODEL, ["x", "y"], journal=tmp_path / "j")
    assert repr(found[0]).startswith("<BatchResult 0 replayed <GenerateContentResponse")
    assert "replayed" not in repr(found[1])
    assert found.to_frame(engine="pandas")["replayed"].tolist() == [True, False]


async def test_a_way_to_resume_that_is_none_is_refused(tmp_path):
    async with Service().client() as client:
        with pytest.raises(errors.InvalidInput, match="resume must be 'all' or 'rest', not 'new'") as caught:
            client.batch(MODEL, ["x"], journal=tmp_path / "j", resume="new")
    assert caught.value.field == "resume"
