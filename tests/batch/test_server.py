"""The server engine: the same inputs, results and journal as the local one, by batches that the service runs."""

import gc
import shutil
import tempfile

import anyio
import anyio.to_thread
import attrs
import pytest

from batch.server_service import LIMITS, Before, Lost, ServerService, failed, reply, shuffled
from batch.service import Service, collect
from gemtune import GenerationConfig, errors
from gemtune.batch import BatchResult, read_journal
from gemtune.batch.acceptance import Acceptance
from gemtune.batch.inputs import Item
from gemtune.batch.journal.parts import SentRow
from gemtune.batch.journal.reading import has_open_parts
from gemtune.cli.batch.bar import PlainBatch
from gemtune.types import GenerateContentResponse

pytestmark = pytest.mark.usefixtures("virtual_time")


async def run(server, inputs, *, service=None, **options):
    async with (service or Service(0.0)).client() as client, server.batch(client, inputs, **options) as results:
        return await collect(results)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 95])
async def test_every_row_has_its_result_whatever_the_order_of_the_lines(count):
    server = ServerService(shape=shuffled(1))
    rows = [(f"k{n}", f"p{n}") for n in range(count)]
    results = await run(server, rows)
    assert sorted((one.index, one.key, one.text) for one in results) == [
        (n, f"k{n}", f"re: p{n}") for n in range(count)
    ]
    assert len(server.batches) == -(-count // 10)
    assert server.files == {}, "inputs were left at the service"


async def test_results_come_in_the_order_of_the_input_if_asked_for():
    server = ServerService(shape=shuffled(2))
    rows = [f"p{n}" for n in range(47)]
    rows[13] = ""
    results = await run(server, rows, order="input")
    assert [one.index for one in results] == list(range(47))
    assert [one.index for one in results if not one.ok] == [13]
    assert isinstance(results[13].error, errors.InvalidInput)
    assert results[13].error.row == 14


# What comes back


def cross(lines):
    """Give the line of one item the key of another batch's."""
    lines[3]["key"] = "999-0123456789abcdef"
    return lines


@pytest.mark.parametrize(
    ("shape", "lost", "unmatched"),
    [
        (lambda lines: lines[1:], {0}, 0),
        (lambda lines: [*lines, lines[0], lines[0]], set(), 2),
        (cross, {3}, 1),
        (lambda lines: [lines[0] | {"key": "0-0000000000000000"}, *lines[1:]], {0}, 1),
        (lambda lines: [lines[0] | {"key": None}, *lines[1:]], {0}, 1),
        (lambda lines: [b"\n", b"not json\n", *lines], set(), 1),
        (lambda lines: [], set(range(8)), 0),
    ],
    ids=["missing", "repeated", "crossed", "other digest", "no key", "garbage", "none"],
)
@pytest.mark.parametrize("order", ["completed", "input"])
async def test_only_a_line_that_proves_whose_it_is_becomes_a_result(shape, lost, unmatched, order):
    server = ServerService(shape=shape)
    rows = [f"p{n}" for n in range(8)]
    async with Service().client() as client, server.batch(client, rows, order=order) as batch:
        results = await collect(batch)
    assert len(results) == 8
    assert {one.index for one in results if not one.ok} == lost
    assert all(one.text == f"re: p{one.index}" for one in results if one.ok)
    assert all(type(one.error) is errors.NotAnswered for one in results if not one.ok)
    assert batch.statistics().unmatched == unmatched


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("EXPIRED", "did not get to it in time"),
        ("CANCELLED", "somebody cancelled it"),
        ("FAILED", "ended as FAILED without a result"),
        ("SUCCEEDED", "ended as SUCCEEDED without a result"),
    ],
)
async def test_an_item_without_an_answer_says_how_its_batch_ended(state, words, tmp_path):
    server = ServerService(state=state, shape=lambda lines: lines[:1])
    results = await run(server, ["a", "b"], journal=tmp_path / "j")
    assert [one.ok for one in results] == [state != "FAILED", False]
    error = results[1].error
    assert words in str(error)
    assert error.batch_state == state
    kept = [one.error for one in read_journal(tmp_path / "j") if not one.ok]
    assert {type(one) for one in kept} == {errors.NotAnswered}


async def test_a_batch_that_somebody_deletes_leaves_its_items_failed_and_pays_for_none_again():
    server = ServerService()

    async def delete_the_first():
        del server.batches["batches/b1"]

    server.steps["create"].extend([None, delete_the_first])
    results = await run(server, [f"p{n}" for n in range(15)])
    assert [one.ok for one in sorted(results, key=lambda one: one.index)] == [False] * 10 + [True] * 5
    assert "deleted" in str(next(one.error for one in results if not one.ok))
    assert set(server.paid.values()) == {1}


async def test_an_error_in_a_line_has_the_class_of_its_status():
    codes = {"p0": 3, "p1": 7, "p2": 13, "p3": 429}
    server = ServerService(shape=lambda lines: [failed(line, codes[f"p{n}"]) for n, line in enumerate(lines)])
    results = await run(server, list(codes), order="input")
    assert [type(one.error) for one in results] == [
        errors.BadRequest, errors.PermissionDenied, errors.Unavailable, errors.QuotaExhausted
    ]  # fmt: skip
    assert [one.error.status for one in results] == [400, 403, 500, 429]
    assert "INVALID_ARGUMENT: internal" in str(results[0].error)


async def test_a_reply_that_is_not_accepted_fails():
    server = ServerService(shape=lambda lines: [line | {"response": reply("", "SAFETY")} for line in lines])
    results = await run(server, ["p"], accept={"STOP"})
    assert [type(one.error) for one in results] == [errors.NotAccepted]


@pytest.mark.parametrize("finish", [None, "local"])
async def test_where_an_empty_reply_counts_it_is_held_once_nobody_asks_again(finish, tmp_path):
    empty = {"candidates": [{"finishReason": "STOP"}]}
    server = ServerService(shape=lambda lines: [line | {"response": empty} for line in lines])
    local, options = Service(0.0), {"journal": tmp_path / "j", "accept": Acceptance(empty_counts=True)}
    options |= {} if finish is None else {"finish": finish}
    for _ in range(2):
        (found,) = await run(server, ["p"], service=local, **options)
        assert (found.ok, found.response.text_or_none or "") == (True, "re: p" if finish else "")
    assert (len(server.batches), local.asked["p"]) == (1, 1 if finish else 0)


# What the service has left is asked from here


@pytest.mark.parametrize("order", ["completed", "input"])
async def test_finish_local_asks_from_here_for_what_has_no_answer(order, tmp_path):
    def shape(lines):
        return [failed(lines[0]), lines[1] | {"response": reply("", "SAFETY")}, *lines[3:]]

    server, local = ServerService(shape=shape), Service(1.0)
    config = GenerationConfig(temperature=0.5)
    results = await run(
        server, [(f"k{n}", f"p{n}") for n in range(25)], service=local, order=order, finish="local",
        accept={"STOP"}, concurrency=2, journal=tmp_path / "j", generation_config=config,
    )  # fmt: skip
    assert {one.key: one.text for one in results} == {f"k{n}": f"re: p{n}" for n in range(25)}
    if order == "input":
        assert [one.index for one in results] == list(range(25))
    again = {f"p{n}" for n in (0, 1, 2, 10, 11, 12, 20, 21, 22)}
    assert set(local.asked) == again
    assert {one.index for one in results if one.attempts == 2} == {int(text[1:]) for text in again}
    assert local.peak <= 2
    assert local.bodies[0]["generationConfig"] == {"temperature": 0.5}
    assert len([*read_journal(tmp_path / "j")]) == 25


async def test_finish_local_goes_on_when_the_limits_are_given_and_without_it_they_are_refused():
    async with Service().client() as client:
        for option in ({"concurrency": 3}, {"rpm": 5}, {"item_timeout": 5}):
            with pytest.raises(errors.InvalidInput, match="pass finish='local'"):
                ServerService().batch(client, [], **option)
            ServerService().batch(client, [], finish="local", **option)


# No room, and trouble


async def test_without_room_a_batch_waits_on_our_side_and_says_so():
    server = ServerService(room=1)
    limits = []

    async def look(batch):
        while not batch.over:
            seen = batch.statistics()
            limits.append((seen.limit, seen.jobs, seen.jobs_waiting))
            await anyio.sleep(10)

    async with (
        Service().client() as client,
        server.batch(client, [f"p{n}" for n in range(30)]) as batch,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(look, batch)
        assert len(await collect(batch)) == 30
        elapsed = batch.statistics().elapsed
    assert server.refused
    assert set(server.paid.values()) == {1}
    assert any("no room at the service" in limit and (jobs, waiting) == (1, 1) for limit, jobs, waiting in limits)
    assert any(limit == "waiting for a batch at the service" for limit, *_ in limits)
    # Three batches of 600 s one after the other; the end of one is what the next waits for.
    assert elapsed < 3 * 600 * 1.15


@pytest.mark.parametrize("operation", ["place", "create", "get", "fetch", "find"])
@pytest.mark.parametrize("lost", [False, True])
async def test_trouble_costs_time_and_no_item(operation, lost):
    server = ServerService()
    trouble = errors.Unavailable("down", status=503)
    server.steps[operation].extend([Lost(trouble) if lost else trouble] * 3)
    server.steps["create"].append(Lost(errors.ConnectionLost("gone")))
    results = await run(server, ["a", "b"])
    assert sorted(one.text for one in results) == ["re: a", "re: b"]
    assert server.paid == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "error",
    [errors.BadRequest("the model takes no batches", status=400), errors.Unauthenticated("no", status=401),
     errors.NotFound("no such model", status=404)],
    ids=["bad request", "credential", "not found"],
)  # fmt: skip
async def test_a_batch_that_cannot_be_created_ends_the_run_and_leaves_nothing(error, tmp_path):
    server = ServerService()
    server.steps["create"].append(error)
    with pytest.raises(errors.BatchStopped) as stopped:
        await run(server, ["a"], journal=tmp_path / "j")
    assert stopped.value.__cause__ is error
    assert server.files == {}
    assert [one.text for one in await run(server, ["a"], journal=tmp_path / "j")] == ["re: a"]
    assert server.paid == {"a": 1}


@pytest.mark.parametrize("lost", [errors.ConnectionLost("gone"), errors.AmbiguousOutcome("it may have been created")])
async def test_a_batch_that_may_exist_when_the_run_ends_is_looked_for_by_the_next(lost, tmp_path):
    server = ServerService()
    server.steps["create"].append(Lost(lost))
    server.steps["find"].append(errors.Unauthenticated("the token was revoked", status=401))
    with pytest.raises(errors.BatchStopped, match="revoked"):
        await run(server, ["a"], journal=tmp_path / "j")
    assert server.paid == {"a": 1}
    assert [one.text for one in await run(server, ["a"], journal=tmp_path / "j")] == ["re: a"]
    assert server.paid == {"a": 1}


async def test_a_quota_per_day_ends_the_run():
    server, error = ServerService(), errors.QuotaExhausted("daily", status=429)
    error.scope = "day"
    server.steps["create"].append(error)
    with pytest.raises(errors.BatchStopped):
        await run(server, ["a"])


async def test_too_many_failures_end_the_run_and_the_next_one_collects_the_rest(tmp_path):
    server = ServerService(shape=lambda lines: [*map(failed, lines[:5]), *lines[5:]])
    with pytest.raises(errors.BatchStopped, match="3 items failed"):
        await run(server, [f"p{n}" for n in range(10)], journal=tmp_path / "j", max_failures=2)
    rest = await run(server, [f"p{n}" for n in range(10)], journal=tmp_path / "j", retry_failed=False)
    assert {one.index for one in rest if one.ok} <= set(range(5, 10))
    assert {one.index: one.ok for one in read_journal(tmp_path / "j")} == {n: n >= 5 for n in range(10)}
    assert set(server.paid.values()) == {1}


async def test_the_input_s_own_error_is_raised_and_what_is_at_the_service_stays_there(tmp_path):
    server = ServerService()

    def rows():
        yield from (f"p{n}" for n in range(12))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await run(server, rows(), journal=tmp_path / "j")
    results = await run(server, [f"p{n}" for n in range(12)], journal=tmp_path / "j")
    assert sorted(one.index for one in results) == list(range(12))
    assert set(server.paid.values()) == {1}


async def test_a_request_that_no_batch_can_hold_is_a_failure_of_its_own():
    server = ServerService(limits=attrs.evolve(LIMITS, bytes=400))
    results = await run(server, ["a", "b" * 500, *"cdefgh"], order="input")
    assert [one.ok for one in results] == [True, False] + [True] * 6
    assert "one batch may hold 400 bytes" in str(results[1].error)
    assert len(server.batches) > 1, "the bytes of a batch have a limit as well"


# A run that is left, and continued


async def left_after(server, rows, seconds, **options):
    """Run for so many seconds, leave, and return what came until then."""
    found = []
    async with Service(0.0).client() as client:
        with anyio.move_on_after(seconds):
            async with server.batch(client, rows, **options) as results:
                async for result in results:
                    found.append(result)
    return found


ROWS = [(f"k{n}", f"p{n}") for n in range(25)]


@pytest.mark.parametrize("order", ["completed", "input"])
@pytest.mark.parametrize("seconds", [0.5, 100, 601, 3000])
async def test_whoever_leaves_collects_with_the_same_journal_what_was_paid_for(tmp_path, order, seconds):
    server = ServerService(shape=shuffled(3))
    options = {"journal": tmp_path / "j", "order": order, "resume": "rest"}
    first = await left_after(server, ROWS, seconds, **options)
    second = await run(server, ROWS, **options)
    assert sorted(one.index for one in [*first, *second]) == list(range(25))
    assert all(one.text == f"re: p{one.index}" and one.key == f"k{one.index}" for one in [*first, *second])
    assert set(server.paid.values()) == {1}
    assert len(server.batches) == 3
    if order == "input":
        assert [one.index for one in second] == sorted(one.index for one in second)
    third = await run(server, ROWS, **options | {"resume": "all"})
    assert {one.key: one.text for one in third} == {f"k{n}": f"re: p{n}" for n in range(25)}
    assert all(one.replayed for one in third)
    assert len(server.batches) == 3


async def test_what_is_still_to_be_answered_is_passed_over_wherever_the_input_has_it_now(tmp_path):
    server = ServerService()
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    turned = [*reversed(ROWS), ("new", "a new one")]
    results = await run(server, turned, journal=tmp_path / "j", order="input")
    assert [one.key for one in results] == [key for key, _ in turned]
    assert [one.index for one in results] == list(range(26))
    assert set(server.paid.values()) == {1}


async def test_rows_that_are_gone_from_the_input_were_paid_for_and_are_yielded(tmp_path):
    server = ServerService()
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    for order in ("completed", "input"):
        results = await run(server, ROWS[20:], journal=tmp_path / "j", order=order, resume="rest")
        assert {one.key for one in results} == ({key for key, _ in ROWS} if order == "completed" else set())


async def test_an_item_with_another_content_than_was_sent_is_refused(tmp_path):
    server = ServerService()
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    changed = [*ROWS[:3], ("k3", "another"), *ROWS[4:]]
    with pytest.raises(errors.JournalMismatch, match="row 4, key 'k3' was sent before with another content"):
        await run(server, changed, journal=tmp_path / "j")
    assert len(await run(server, ROWS, journal=tmp_path / "j")) == 25


async def test_the_local_engine_refuses_a_journal_whose_batches_the_service_works_on(tmp_path):
    server = ServerService()
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    with pytest.raises(
        errors.JournalMismatch, match=r"3 batches that the service may be working on \(batches/b1"
    ) as no:
        await run(server, ROWS, journal=tmp_path / "j", engine="local")
    assert "25 items" in str(no.value)
    assert "engine='server'" in str(no.value)


@pytest.mark.parametrize("engines", [("server", "local"), ("local", "server")])
async def test_a_journal_without_open_batches_is_continued_by_either_engine(tmp_path, engines):
    server, local = ServerService(), Service(0.0)
    for count, engine in zip((12, 25), engines, strict=True):
        results = await run(server, ROWS[:count], service=local, journal=tmp_path / "j", engine=engine, order="input")
        assert [one.text for one in results] == [f"re: p{n}" for n in range(count)]
    assert sum(server.paid.values()) + sum(local.asked.values()) == 25


async def test_finish_local_asks_after_a_restart_for_rows_that_the_input_brings_again(tmp_path):
    server = ServerService(shape=lambda lines: [failed(lines[0]), *lines[2:]])
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    local = Service(0.0)
    results = await run(server, ROWS[:-5], service=local, journal=tmp_path / "j", finish="local")
    assert {one.key for one in results} == {key for key, _ in ROWS}
    # Rows 20 and 21 are not in the input any more, so that nobody knows what they ask.
    assert {one.index for one in results if not one.ok} == {20, 21}
    assert set(local.asked) == {"p0", "p1", "p10", "p11"}


async def test_what_failed_at_the_service_is_sent_again_by_the_next_run_or_is_left(tmp_path):
    server = ServerService(shape=lambda lines: [failed(line) for line in lines])
    assert not any(one.ok for one in await run(server, ROWS, journal=tmp_path / "j"))
    server.shape = lambda lines: lines
    left = await run(server, ROWS, journal=tmp_path / "j", retry_failed=False)
    assert [one.replayed for one in left] == [True] * 25
    again = await run(server, ROWS, journal=tmp_path / "j")
    assert all(one.ok and not one.replayed for one in again)
    assert set(server.paid.values()) == {2}


async def test_drain_hands_on_what_is_here_and_waits_for_nothing_at_the_service(tmp_path):
    server = ServerService()
    slow = {"batches/b2": 5000.0}
    found = []
    async with Service().client() as client, server.batch(client, ROWS, journal=tmp_path / "j") as results:
        async for result in results:
            if not found:
                for name, more in slow.items():
                    server.batches[name].ends += more
                results.drain()
            found.append(result)
        elapsed = results.statistics().elapsed
    assert 10 <= len(found) < 25
    assert elapsed < 700
    rest = await run(server, ROWS, journal=tmp_path / "j", resume="rest")
    assert sorted(one.index for one in [*found, *rest]) == list(range(25))
    assert set(server.paid.values()) == {1}


async def test_without_a_journal_the_log_says_that_a_kill_would_lose_what_was_paid_for(caplog, tmp_path):
    await run(ServerService(), ["a"])
    assert "paid for and not collected" in caplog.text
    caplog.clear()
    await run(ServerService(), ["a"], journal=tmp_path / "j")
    assert caplog.text == ""


async def test_a_row_whose_key_was_used_before_fails_and_is_not_sent():
    server = ServerService()
    results = await run(server, [("a", "p"), ("a", "q")], order="input")
    assert [one.ok for one in results] == [True, False]
    assert server.paid == {"p": 1}


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("when", [Before, lambda act: act], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["place", "create", "get", "fetch", "discard"])
async def test_killed_before_or_after_any_operation_the_next_run_pays_for_nothing_again(tmp_path, operation, when, nth):
    server = ServerService()
    life = anyio.CancelScope()

    async def dead():
        # What the next run sees, as after a kill.
        await anyio.to_thread.run_sync(shutil.copyfile, tmp_path / "j", tmp_path / "copy")
        life.cancel()
        await anyio.sleep_forever()

    server.steps[operation].extend([None] * (nth - 1) + [when(dead)])
    with life:
        await run(server, ROWS, journal=tmp_path / "j")
    assert life.cancelled_caught
    found = await run(server, ROWS, journal=tmp_path / "copy")
    assert {one.key: one.text for one in found} == {f"k{n}": f"re: p{n}" for n in range(25)}
    assert set(server.paid.values()) == {1}
    assert len([*read_journal(tmp_path / "copy")]) == 25


def alive():
    return sum(type(thing) in {Item, BatchResult, SentRow, GenerateContentResponse} for thing in gc.get_objects())


@pytest.mark.parametrize("order", ["completed", "input"])
async def test_as_many_things_are_alive_for_6_000_rows_as_fit_into_the_room_for_results(tmp_path, order):
    server = ServerService(limits=attrs.evolve(LIMITS, requests=2500), shape=shuffled(1))
    prompts = (f"p{n}" for n in range(6000))
    gc.collect()
    before, most, seen = alive(), 0, 0
    options = {"journal": tmp_path / "j", "durability": "none", "order": order}
    async with Service().client() as client, server.batch(client, prompts, **options) as results:
        async for _ in results:
            seen += 1
            if seen % 500 == 0:
                await anyio.sleep(1)  # a slow consumer
                most = max(most, alive() - before)
    assert seen == 6000
    # 1,024 results with their replies that wait, the lot that is being read, and a lot of items.
    assert most <= 2 * (1024 + 64) + 3 * 64 + 256


async def test_the_engine_is_not_chosen_anew_while_the_service_works_on_what_was_sent(tmp_path):
    server = ServerService()
    await left_after(server, ROWS, 100, journal=tmp_path / "j")
    results = await run(server, ROWS, journal=tmp_path / "j", engine="auto")
    assert {one.key for one in results} == {key for key, _ in ROWS}
    assert set(server.paid.values()) == {1}
    assert not has_open_parts(tmp_path / "j")
    assert not has_open_parts(tmp_path / "none")


async def test_a_person_sees_how_many_batches_the_service_has(tmp_path):
    server = ServerService(room=2)
    seen = []
    async with Service().client() as client, server.batch(client, ROWS) as results:
        await anyio.sleep(100)
        seen += [results.statistics(), results._as_text(), results._as_html(), results.picture()]
        await collect(results)
        after = results.statistics()
    statistics, text, html, picture = seen
    assert (statistics.jobs, statistics.jobs_waiting, statistics.in_flight) == (2, 1, 20)
    assert "20 in flight · 2 jobs, 1 job waiting" in text
    assert "no room at the service; again in" in text
    assert "2 jobs, 1 job waiting" in html
    assert picture.to_dict()["jobs"] == 2
    assert "  2 jobs, 1 job waiting  " in PlainBatch(lambda: picture).line(120)
    assert (after.jobs, after.jobs_waiting, after.in_flight, after.limit) == (0, 0, 0, "")


class FullDisk:
    """A temporary file on a disk without room."""

    def __init__(self, file, fails):
        self.file, self.fails = file, fails

    def __getattr__(self, name):
        def full(*_):
            raise OSError(28, "No space left on device")

        return full if name == self.fails else getattr(self.file, name)

    def __iter__(self):
        return iter(self.file)


@pytest.mark.parametrize(("fails", "paid"), [("write", 0), ("truncate", 1)])
async def test_a_full_disk_is_said_in_words_and_what_was_paid_for_is_collected_later(
    tmp_path, monkeypatch, fails, paid
):
    server, usual = ServerService(), tempfile.TemporaryFile
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda: FullDisk(usual(), fails))
        with pytest.raises(errors.GemtuneError, match="No space left on device; make room .* TMPDIR"):
            await run(server, ["a", "b"], journal=tmp_path / "j")
    assert len(server.paid) == 2 * paid
    results = await run(server, ["a", "b"], journal=tmp_path / "j")
    assert [one.ok for one in results] == [True, True]
    assert set(server.paid.values()) == {1}
