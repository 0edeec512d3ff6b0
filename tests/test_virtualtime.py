"""Virtual time keeps its promises, on both backends."""

import threading
import time

import anyio
import pytest

import virtualtime

pytestmark = pytest.mark.both_backends


async def test_an_hour_of_sleep_takes_no_real_time(virtual_time):
    began = time.monotonic()
    await anyio.sleep(3600)
    assert virtual_time() == 3600
    assert time.monotonic() - began < 60  # sixty times slack: only a real wait can miss it


async def test_sleepers_wake_in_the_order_of_their_deadlines(virtual_time):
    woken = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((seconds, virtual_time()))

    async with anyio.create_task_group() as group:
        for seconds in (86400 * 3, 0.25, 7200, 1):
            group.start_soon(sleeper, seconds)
    assert woken == [(0.25, 0.25), (1, 1), (7200, 7200), (86400 * 3, 86400 * 3)]


async def test_time_stands_still_while_a_task_can_run(virtual_time):
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 10)
        for _ in range(1000):
            await anyio.lowlevel.checkpoint()
            assert virtual_time() == 0


async def test_a_deadline_cuts_a_wait_exactly(virtual_time):
    with anyio.move_on_after(90) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert virtual_time() == 90


async def test_a_thread_is_waited_for_when_no_timer_is_left(virtual_time):
    assert await anyio.to_thread.run_sync(sum, range(200_000)) == 19_999_900_000
    assert virtual_time() == 0


async def test_time_stands_still_while_a_thread_works(virtual_time):
    with anyio.fail_after(3600):
        await anyio.to_thread.run_sync(threading.Event().wait, 0.01)
    assert virtual_time() == 0
    await anyio.sleep(10)
    assert virtual_time() == 10


@pytest.mark.parametrize("run", [1, 2])
async def test_every_run_starts_its_own_count(virtual_time, run):
    await anyio.sleep(run)
    assert virtual_time() == run


async def test_without_the_fixture_time_is_real(anyio_backend_name):
    assert not virtualtime.in_force(anyio_backend_name)


def test_a_deadlock_is_reported_instead_of_hanging(monkeypatch):
    monkeypatch.setattr(virtualtime, "PATIENCE", 0)
    loop = virtualtime.VirtualTimeLoop()
    try:
        with pytest.raises(RuntimeError, match="deadlock in virtual time"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
