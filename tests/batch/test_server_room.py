"""A queue that is smaller than one part: parts are halved until they fit, and a single item fails with words."""

import shutil

import anyio
import anyio.to_thread
import pytest

from batch.server_service import Before, ServerService, shuffled
from batch.service import Service, collect
from gemtune import errors
from gemtune.batch import read_journal

pytestmark = pytest.mark.usefixtures("virtual_time")
ROWS = [(f"k{n}", f"p{n}") for n in range(25)]
ALL = {f"k{n}": f"re: p{n}" for n in range(25)}


async def run(server, inputs, **options):
    async with Service(0.0).client() as client, server.batch(client, inputs, **options) as results:
        return await collect(results)


@pytest.mark.parametrize("order", ["completed", "input"])
@pytest.mark.parametrize("journal", [False, True])
async def test_a_part_that_never_fits_is_sent_in_halves_as_is_what_follows(tmp_path, order, journal):
    server = ServerService(queue=3, shape=shuffled(3))
    options = {"journal": tmp_path / "j"} if journal else {}
    rows = [*ROWS[:5], ("bad", ""), *ROWS[5:]]
    results = await run(server, rows, order=order, **options)
    assert {one.key: one.text for one in results if one.ok} == ALL
    assert [one.key for one in results if not one.ok] == ["bad"]
    assert order == "completed" or [one.index for one in results] == list(range(26))
    assert set(server.paid.values()) == {1}
    assert max(len(one.requests) for one in server.batches.values()) == 3
    assert server.files == {}
    if journal:
        assert len([*read_journal(tmp_path / "j")]) == 26


async def test_with_another_batch_in_the_queue_a_part_is_waited_with_and_not_halved():
    server = ServerService(room=1, seconds=3600)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, server, ["somebody else's"])
        await anyio.sleep(100)
        results = await run(server, ROWS[:10])
    assert len(results) == 10
    assert sorted(len(one.requests) for one in server.batches.values()) == [1, 10]
    assert server.refused > 3


@pytest.mark.parametrize("order", ["completed", "input"])
async def test_a_single_item_for_which_there_is_never_room_fails_with_words(tmp_path, order):
    results = await run(ServerService(queue=0), ROWS[:2], journal=tmp_path / "j", order=order)
    assert [one.key for one in results] == ["k0", "k1"]
    for one in results:
        assert isinstance(one.error, errors.NotAnswered)
        assert "no room for it, although nothing else is in its queue" in one.error.message
    again = await run(ServerService(), ROWS[:2], journal=tmp_path / "j")
    assert {one.key: one.text for one in again} == {"k0": "re: p0", "k1": "re: p1"}


@pytest.mark.parametrize("order", ["completed", "input"])
async def test_finish_local_asks_from_here_for_what_never_fits(order):
    server, local = ServerService(queue=0), Service(0.0)
    async with local.client() as client, server.batch(client, ROWS[:5], finish="local", order=order) as results:
        found = await collect(results)
    assert [(one.key, one.ok) for one in found] == [(f"k{n}", True) for n in range(5)]
    assert [one.text[-2:] for one in found] == [f"p{n}" for n in range(5)]


@pytest.mark.parametrize("order", ["completed", "input"])
@pytest.mark.parametrize("when", [Before, lambda act: act], ids=["before", "after"])
@pytest.mark.parametrize("operation", ["place", "create", "list", "discard"])
async def test_killed_while_parts_are_halved_the_next_run_pays_for_nothing_again(tmp_path, operation, when, order):
    killed = 0
    for nth in (1, 2, 4, 7, 8):  # three refusals and two halvings stand before the first that is created
        server, life = ServerService(queue=2), anyio.CancelScope()
        journal, copy = tmp_path / f"j{nth}", tmp_path / f"copy{nth}"

        async def dead(life=life, journal=journal, copy=copy):
            # What the next run sees, as after a kill.
            await anyio.to_thread.run_sync(shutil.copyfile, journal, copy)
            life.cancel()
            await anyio.sleep_forever()

        server.steps[operation].extend([None] * (nth - 1) + [when(dead)])
        with life:
            await run(server, ROWS[:8], journal=journal, order=order)
        if not life.cancelled_caught:
            continue
        killed += 1
        found = await run(server, ROWS[:8], journal=copy, order=order)
        assert {one.key: one.text for one in found} == {f"k{n}": f"re: p{n}" for n in range(8)}
        assert set(server.paid.values()) == {1}
        assert len([*read_journal(copy)]) == 8
    assert killed
