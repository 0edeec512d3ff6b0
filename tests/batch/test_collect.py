"""All results in one list: one for every row, whichever run has answered it."""

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from batch.service import MODEL, Service, envelope, run
from gemtune import errors
from gemtune.batch import export_journal, read_journal
from gemtune.batch.journal.writer import JournalWriter

PROMPTS = [f"p{n}" for n in range(6)]


def told(results):
    return [(one.key, one.index, one.text if one.ok else None) for one in results]


@pytest.mark.both_backends
@pytest.mark.parametrize("keyed", [False, True])
async def test_a_list_asked_again_with_its_journal_gives_the_same_results_and_costs_nothing(tmp_path, keyed):
    rows = [(f"k{n}", f"p{n}") if keyed else f"p{n}" for n in range(6)]
    service = Service(0.0)
    service.steps["p2"].append(envelope(400, "INVALID_ARGUMENT"))
    service.seconds["p0"] = 0.05
    async with service.client() as client:
        once = await client.generate_many(MODEL, rows, journal=tmp_path / "j", retry_failed=False)
        again = await client.generate_many(MODEL, rows, journal=tmp_path / "j", retry_failed=False)
    assert told(again) == told(once)
    assert [(one.index, one.ok) for one in once] == [(n, n != 2) for n in range(6)]
    assert [one.attempts for one in again] == [1] * 6
    assert isinstance(again[2].error, errors.BadRequest)
    assert service.asked.total() == 6


async def test_what_failed_is_asked_again_and_stands_at_its_place_among_what_the_journal_holds(tmp_path):
    service = Service(0.0)
    for name in ("p1", "p4"):
        service.steps[name].append(envelope(400, "INVALID_ARGUMENT", "the first time"))
    async with service.client() as client:
        await client.generate_many(MODEL, PROMPTS, journal=tmp_path / "j")
        service.steps["p4"].append(envelope(400, "INVALID_ARGUMENT", "the second time"))
        found = await client.generate_many(MODEL, [*PROMPTS, "p6"], journal=tmp_path / "j")
    assert [one.text if one.ok else one.error.message.partition("ARGUMENT: ")[2] for one in found] == [
        *(f"re: p{n}" for n in range(4)),
        "the second time",
        "re: p5",
        "re: p6",
    ]
    assert [one.index for one in found] == list(range(7))
    assert service.asked.total() == 6 + 3


async def test_keyed_rows_in_another_order_have_their_results_in_that_order(tmp_path):
    async with Service(0.0).client() as client:
        await client.generate_many(MODEL, {"a": "x", "gone": "y", "c": "z"}, journal=tmp_path / "j")
        found = await client.generate_many(MODEL, {"c": "z", "new": "w", "a": "x"}, journal=tmp_path / "j")
    assert told(found) == [("c", 0, "re: z"), ("new", 1, "re: w"), ("a", 2, "re: x")]


async def test_a_run_that_stops_hands_over_what_earlier_runs_have_answered_and_no_failure_of_theirs(tmp_path):
    service = Service(0.0)
    service.steps["p2"].append(envelope(400, "INVALID_ARGUMENT"))
    async with service.client() as client:
        await client.generate_many(MODEL, PROMPTS[:3], journal=tmp_path / "j")
        service.steps["p2"].append(envelope(401, "UNAUTHENTICATED"))
        with pytest.raises(errors.BatchStopped) as caught:
            await client.generate_many(MODEL, PROMPTS, journal=tmp_path / "j", concurrency=1)
    assert told(caught.value.results) == [(0, 0, "re: p0"), (1, 1, "re: p1")]


async def test_an_input_that_is_not_the_journals_hands_over_nothing_of_the_row_that_differs(tmp_path):
    async with Service(0.0).client() as client:
        await client.generate_many(MODEL, PROMPTS[:3], journal=tmp_path / "j")
        with pytest.raises(errors.JournalMismatch) as caught:
            await client.generate_many(MODEL, ["p0", "p1", "other"], journal=tmp_path / "j")
    assert told(caught.value.results) == [(0, 0, "re: p0"), (1, 1, "re: p1")]


def held_back(monkeypatch):
    """Return the results that come, and the event before which none of them is written."""
    known, event = [], anyio.Event()
    put, write = JournalWriter.put, JournalWriter._write

    def counted(self, *result):
        known.append(result)
        put(self, *result)

    async def late(self):
        await event.wait()
        await write(self)

    monkeypatch.setattr(JournalWriter, "put", counted)
    monkeypatch.setattr(JournalWriter, "_write", late)
    return known, event


@pytest.mark.parametrize("what", ["the input breaks", "the journal is gone", "the journal is damaged"])
async def test_whatever_ends_a_collection_hands_over_what_was_answered(tmp_path, what, monkeypatch):
    async def rows():
        damaged = "damaged" in what
        for row in [*held.items(), *new.items()] if not damaged else [*new.items()]:
            yield row
        if what == "the input breaks":
            raise ValueError("line 5 is no row")
        while len(known) < 2:  # or a race decides which answers are there, and which of them are written
            await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(harm)
        harmed.set()
        if damaged:
            yield next(iter(held.items()))

    def harm():
        if what == "the journal is gone":
            (tmp_path / "j").unlink()
        else:
            with (tmp_path / "j").open("r+b") as file:
                file.seek(300)
                file.write(b"#")

    held, new = {"a": "p0", "b": "p1"}, {"c": "p2", "d": "p3"}
    service = Service(0.0)
    async with service.client() as client:
        await client.generate_many(MODEL, held, journal=tmp_path / "j")
        if "input" not in what:
            known, harmed = held_back(monkeypatch)
        with pytest.raises(ValueError if "input" in what else errors.JournalError) as caught:
            await client.generate_many(MODEL, rows(), journal=tmp_path / "j", durability="none")
    unsaved = getattr(caught.value, "unsaved", ())
    expected = new if "damaged" in what else held | new
    found = [*caught.value.results, *unsaved]
    assert [(one.key, one.text) for one in found] == [(key, f"re: {prompt}") for key, prompt in expected.items()]
    assert bool(unsaved) is (what == "the journal is gone")


async def test_collecting_as_completed_begins_with_what_the_journal_holds(tmp_path):
    async with Service(0.0).client() as client:
        await run(client, PROMPTS[2:4], journal=tmp_path / "j")
        await run(client, {"k": "x"}, journal=tmp_path / "j")
        found = await client.batch(MODEL, [*PROMPTS[2:4], "new", ("k", "x")], journal=tmp_path / "j").collect()
    assert told(found)[2:] == [("k", 3, "re: x"), (2, 2, "re: new")]
    assert sorted(told(found)[:2]) == [(0, 0, "re: p2"), (1, 1, "re: p3")]


@pytest.mark.both_backends
async def test_a_block_may_collect_what_it_has_begun():
    async with Service(0.0).client() as client:
        async with client.batch(MODEL, PROMPTS, order="input") as results:
            found = await results.collect()
        assert told(found) == [(n, n, f"re: p{n}") for n in range(6)]
        assert results.statistics().limit == ""


async def test_collecting_what_was_partly_taken_or_left_is_refused_with_what_to_do():
    async with Service(0.0).client() as client:
        async with client.batch(MODEL, PROMPTS) as results:
            await anext(results)
            with pytest.raises(
                errors.MisuseError, match="results were taken .*: continue the iteration, or call collect.* before"
            ):
                await results.collect()
        results = client.batch(MODEL, PROMPTS)
        async with results:
            pass
        with pytest.raises(errors.MisuseError, match="a batch runs once"):
            await results.collect()
        results = client.batch(MODEL, PROMPTS)
        await results.collect()
        with pytest.raises(errors.MisuseError, match="a batch runs once"):
            await results.collect()


async def test_an_order_that_is_none_is_refused_wherever_it_is_given(tmp_path):
    async with Service(0.0).client() as client, client.batch(MODEL, ["x"], journal=tmp_path / "j") as results:
        await results.collect()
        with pytest.raises(errors.InvalidInput, match="order must be 'completed' or 'input', not 'inputs'") as caught:
            await results.export(tmp_path / "out.jsonl", order="inputs")
    assert caught.value.field == "order"
    assert not (tmp_path / "out.jsonl").exists()
    for call in (export_journal, lambda *args, **options: list(read_journal(args[0], **options))):
        with pytest.raises(errors.InvalidInput, match="order must be 'completed' or 'input', not 5"):
            call(tmp_path / "j", tmp_path / "out.jsonl", order=5)


async def test_a_batch_whose_journal_could_not_be_opened_is_over(tmp_path):
    (tmp_path / "j").write_text("no journal\n")
    async with Service(0.0).client() as client:
        results = client.batch(MODEL, PROMPTS, journal=tmp_path / "j")
        with pytest.raises(errors.JournalError):
            await results.collect()
        with pytest.raises(errors.MisuseError, match="a batch runs once"), anyio.fail_after(5):
            await results.collect()
