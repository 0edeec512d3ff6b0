"""Whole lives of many jobs through the whole watcher: nothing lost, nothing twice, nothing left, whatever disturbs it.

A history is played in virtual time by a service with every disorder at once; readers are cancelled at random places,
and the watcher itself is ended and resumed from its resume token. 1,800 histories gate a change; ``GEMTUNE_DEEP=100``
makes a hundred times as many.
"""

import asyncio
import os
import random
from collections import Counter

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import virtualtime
from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Face, Foundry, Job, Service, named

DEEP = int(os.environ.get("GEMTUNE_DEEP", "1"))
many = settings(max_examples=150 * DEEP, deadline=None, suppress_health_check=list(HealthCheck))
BACKENDS = [
    pytest.param(virtualtime.asyncio_backend, id="asyncio"),
    pytest.param(virtualtime.trio_backend, id="trio"),
]


def make_service(dice):
    service = Service(
        dice=dice,
        latency=dice.choice([0.01, 0.3, 2.0]),
        lag=dice.choice([0.0, 4.0]),
        p_stale=dice.choice([0.0, 0.2]),
        p_holes=dice.choice([0.0, 0.3]),
        p_disorder=dice.choice([0.0, 0.3]),
        p_error=dice.choice([0.0, 0.1, 0.3]),
        p_unlisted=dice.choice([0.0, 0.2]),
        masks=dice.random() < 0.8,
        page_size=dice.choice([3, 1000]),
        expires_after=dice.choice([0.0, 1e9]),
    )
    for number in range(dice.choice([1, 3, 12])):
        service.add(
            Job(
                named(f"job{number}"),
                created=dice.uniform(-100, 0),
                queue=dice.uniform(0.1, 60),
                gap=dice.choice([0.5, 3.0, 20.0]),
                total=dice.randint(1, 12),
                restart_after=dice.choice([0, 0, 3]),
                ending=dice.choice(["ACTIVE", "ACTIVE", "FAILED", "CANCELLED"]),
                evals=dice.choice([0, 1, 3]),
                eval_lag=dice.choice([0.0, 2.0, 15.0]),
                checkpoints=dice.choice([0, 1, 4]),
                deploys=dice.choice([0.0, 10.0]),
            )
        )
    return service


class Reader:
    """A consumer with a story: what it was told, over all its subscriptions."""

    def __init__(self, dice):
        self.dice = dice
        self.told = []

    async def read(self, subscription):
        """Read to the end, being cancelled at random places on the way."""
        while True:
            with anyio.move_on_after(self.dice.choice([0.0, 0.5, 30.0, 1e6])):
                while True:
                    try:
                        event = await anext(subscription)
                    except StopAsyncIteration:
                        return
                    self.told.append(event)
                    if self.dice.random() < 0.1:
                        await anyio.sleep(self.dice.choice([0.0, 1.0, 40.0]))
            await anyio.sleep(0.1)


async def play(seed, *, interrupted):
    dice = random.Random(seed)
    service = make_service(dice)
    policy = WatchPolicy(max_rps=dice.choice([4, 50]), coalesce=dice.choice(["auto", "never", "always"]))
    reader, others, resume = Reader(dice), [Reader(dice) for _ in range(dice.choice([0, 2]))], None
    for life in range(4 if interrupted else 1):
        watcher = Watcher(service, list(service.jobs), policy=policy, resume=resume)
        with anyio.move_on_after(dice.uniform(0, 90) if interrupted and life < 3 else 1e5) as lifetime:
            async with watcher, anyio.create_task_group() as group:
                mine = watcher.subscribe()
                for other in others:
                    group.start_soon(other.read, watcher.subscribe(kinds=[*COVERED, *ENDS]))
                await reader.read(mine)
        resume = watcher.resume_token()
        assert service.in_flight == 0
        if not lifetime.cancelled_caught:
            break
    assert service.peak <= policy.max_in_flight
    check(service, reader.told, interrupted=interrupted)
    if not interrupted:
        for other in others:
            check(service, other.told, interrupted=False)
    if anyio.get_current_task().name and asyncio._get_running_loop() is not None:
        assert len(asyncio.all_tasks()) == 1


COVERED = ("snapshot", "snapshot_updated", "checkpoint_ready")
ENDS = ("succeeded", "failed", "cancelled", "deleted", "lost")
EXPECTED = {"ACTIVE": "succeeded", "FAILED": "failed", "CANCELLED": "cancelled"}


def check(service, told, *, interrupted):
    for name, job in service.jobs.items():
        mine = [event for event in told if event.job == name]
        snapshots = [event for event in mine if isinstance(event, events.Snapshot)]
        keys = Counter((event.attempt, event.step, event.compute_time) for event in snapshots)
        last_run = {each.compute_time for each in job.snapshots(job.ends + 1)}
        assert last_run <= {event.compute_time for event in snapshots}, "a snapshot was lost"
        ends = [event.kind for event in mine if events.is_terminal(event)]
        # Without its operation nobody knows that a job was cancelled and did not fail.
        knows = service.expires_after or job.ending == "ACTIVE" or Face.chosen is Foundry
        expected = EXPECTED[job.ending] if knows else "failed"
        assert set(ends) <= {expected, EXPECTED[job.ending]}
        assert len(ends) == 1 or (interrupted and ends)
        assert events.is_terminal(mine[-1]), "something came after the end"
        if interrupted:
            again = [event for event in snapshots if keys[event.attempt, event.step, event.compute_time] > 1]
            first = {(event.attempt, event.step): event for event in reversed(again)}
            assert all(event.replayed or event is first[event.attempt, event.step] for event in again)
        else:
            assert max(keys.values(), default=1) == 1, "a snapshot was told twice"
            highest = Counter()
            for event in snapshots:
                assert event.late == (event.step < highest[event.attempt])
                highest[event.attempt] = max(highest[event.attempt], event.step)
        if Face.chosen is Foundry:
            check_the_rest(job, mine, interrupted=interrupted)


VALUES = ("accuracy", "eval_loss", "eval_accuracy")


def check_the_rest(job, mine, *, interrupted):
    """Each value of a step is told once, with its snapshot or in an update, and each checkpoint once it is deployed."""
    told, deployed = {}, Counter()
    for event in mine:
        if isinstance(event, events.Snapshot | events.SnapshotUpdated):
            key = (event.attempt, event.step, event.compute_time)
            before = told.setdefault(key, {})
            values = {name: getattr(event, name) for name in VALUES if getattr(event, name) is not None}
            if isinstance(event, events.SnapshotUpdated):
                assert interrupted or values.keys() > before.keys(), "an update without anything new"
                assert before or not before.keys() - values.keys()
            before |= values
        elif isinstance(event, events.CheckpointReady):
            deployed[event.checkpoint.checkpoint_id] += 1
    for each in job.measured(job.ends + 1):
        found = [values for (_, step, time), values in told.items() if (step, time) == (each.step, each.compute_time)]
        missing = {name for name in VALUES if getattr(each, name) is not None} - {key for some in found for key in some}
        assert not missing, f"{missing} of step {each.step} lost"
    assert deployed.keys() == {each.checkpoint_id for each in job.deployed(job.ends + 1) if each.ready}
    assert interrupted or max(deployed.values(), default=1) == 1, "a checkpoint was told twice"


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("interrupted", [False, True], ids=["one-life", "resumed"])
def test_nothing_is_lost_and_nothing_comes_twice(backend, interrupted):
    @many
    @given(st.integers(0, 2**64))
    def run(seed):
        name, options = backend()
        anyio.run(lambda: play(seed, interrupted=interrupted), backend=name, backend_options=options)

    run()


@pytest.mark.parametrize("seed", [973389450672, 80540122244])
def test_nothing_is_lost_where_a_job_restarts_in_holes_between_two_lives(seed):
    name, options = virtualtime.asyncio_backend()
    for _ in range(60):
        anyio.run(lambda: play(seed, interrupted=True), backend=name, backend_options=options)
