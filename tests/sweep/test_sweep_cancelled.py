"""Cancelled at any step, a sweep leaves a whole journal and touches no job; run again, it creates none twice."""

import anyio
import anyio.lowlevel
import pytest

from gemtune.sweep import PointState
from sweep.emulated import ROWS, Gemini, GiveUp, Wire

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends, pytest.mark.usefixtures("virtual_time")]
STEPS = [*range(1, 60, 14), *range(60, 600, 120), 1200]


def swept(client, folder):
    return client.sweep(
        Gemini.base, ROWS, space={"epoch_count": [1, 2, 9]}, stop=GiveUp(2), metrics="exact_match", objective="loss",
        validation=0.4, journal=folder,
    )  # fmt: skip


async def cancelled_after(wire, folder, steps):
    """Run a sweep, and cancel it after so many turns of the event loop."""

    async def run():
        async with Gemini.client(wire.app, wire) as client:
            await swept(client, folder).run()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for turn in range(steps):
            # Time stands still as long as anybody is ready to run, so somebody has to let it pass.
            await (anyio.sleep(0.05) if turn % 8 == 7 else anyio.lowlevel.checkpoint())
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("steps", STEPS)
async def test_cancelled_at_any_step_and_run_again_no_point_is_tuned_twice(steps, tmp_path):
    wire = Wire(Gemini.app(places=2))
    await cancelled_after(wire, tmp_path / "sweep", steps)
    cancellations = wire.seen["cancel"]
    async with Gemini.client(wire.app, wire) as client:
        sweep = swept(client, tmp_path / "sweep")
        await sweep.run()
    assert len(wire.app.store.tuned_models) == 3
    assert [each.state for each in sweep.points[:2]] == [PointState.TRAINED] * 2
    assert cancellations <= 1
    assert len(sweep.evaluation.models) >= 3
