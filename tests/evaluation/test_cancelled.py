"""Cancelled at any step, an evaluation leaves whole journals, and run again asks for nothing that they hold."""

import anyio
import anyio.lowlevel
import pytest

from evaluation.models import BASE, JUDGE, TUNED, Models, evaluate, judging, says
from gemtune.batch import read_journal
from gemtune.metrics import judge

pytestmark = [pytest.mark.anyio, pytest.mark.both_backends]

ROWS = [(f"q{n}", "x") for n in range(3)]
STEPS = [*range(0, 120, 8), *range(120, 420, 60)]


def make_service():
    service = Models(seconds=0.01)
    service.of_models[TUNED] = lambda text: says(f"tuned: {text}")
    service.of_models[JUDGE] = judging(lambda a, b: "A")
    return service


async def ask(service, folder):
    async def waits(answer, row):
        await anyio.sleep(0.01)
        return 1

    metrics = ["exact_match", waits, judge(JUDGE)]
    return await evaluate(service, data=ROWS, metrics=metrics, journal=folder, on_progress=lambda _: None)


def held(folder):
    """What the journals hold, by model and question; of the judge, how many verdicts."""
    found, verdicts = set(), 0
    for path in folder.glob("*.journal"):
        if not path.stat().st_size:
            continue
        results = list(read_journal(path))
        if path.name.startswith("judge-"):
            verdicts += len(results)
        else:
            model = TUNED if path.name.startswith("abc-") else BASE
            found |= {(model, f"q{result.key - 1}") for result in results}
    return found, verdicts


async def cancelled_after(service, folder, steps):
    """Evaluate, and cancel after so many turns of the event loop; return whether it was done before."""
    done = False

    async def run():
        nonlocal done
        await ask(service, folder)
        done = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for turn in range(steps):
            # Time stands still as long as anybody is ready to run, so somebody has to let it pass.
            await (anyio.sleep(0.005) if turn % 4 == 0 else anyio.lowlevel.checkpoint())
        tasks.cancel_scope.cancel()
    return done


async def test_cancelled_after_any_number_of_turns_it_continues_from_what_it_has(virtual_time, tmp_path):
    outcomes = set()
    for steps in STEPS:
        service, folder = make_service(), tmp_path / str(steps)
        outcomes.add(await cancelled_after(service, folder, steps))
        answers, verdicts = await anyio.to_thread.run_sync(held, folder)
        before = len(service.requests)
        found = await ask(service, folder)
        again = service.requests[before:]
        assert not answers & {(model, text) for model, text in again}, f"asked again after {steps} turns"
        assert sum(model == JUDGE for model, _ in again) == 6 - verdicts
        assert [each.answered for each in found.models] == [3, 3]
        assert found["abc"].reports["judge"].biased == 3
    assert outcomes == {True, False}, "never cancelled, or never done"
