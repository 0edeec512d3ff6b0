"""Freshness is what the requests can buy: a job watched alone is seen at once, hundreds share; in virtual time."""

import anyio
import pytest

import fresh
from gemtune.config import WatchPolicy
from gemtune.jobs import TuningJob
from gemtune.looks.followers import Followers
from gemtune.watch import Watcher
from watch.service import Job, Service, named


@pytest.mark.gemini
@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handle"])
def test_a_job_followed_alone_is_seen_within_two_seconds_at_a_request_every_other_second(handles):
    found = fresh.follow(1, handles=handles)
    assert found.age <= 1.5
    assert found.p95 <= 2.5
    assert found.most == 1
    assert found.first <= 2.0


@pytest.mark.gemini
@pytest.mark.parametrize("gap", [0.5, 30.0, 90.0])
def test_it_is_so_whatever_the_pace_of_its_steps(gap):
    found = fresh.follow(1, gap=gap)
    assert found.age <= 2.0
    assert found.most == 1


@pytest.mark.gemini
@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handles"])
@pytest.mark.parametrize(("jobs", "age", "rps"), [(4, 2.0, 2.0), (20, 5.0, 3.5)])
def test_a_handful_is_fresh_and_leaves_requests_for_others(jobs, age, rps, handles):
    found = fresh.follow(jobs, handles=handles)
    assert found.age <= age
    assert found.rps <= rps


@pytest.mark.gemini
@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handles"])
def test_two_hundred_share_what_the_policy_allows(handles):
    found = fresh.follow(200, handles=handles)
    assert 3.5 <= found.rps <= WatchPolicy().max_rps + 0.01
    assert found.age <= 30.0
    assert found.most <= 2 * WatchPolicy().max_rps + WatchPolicy().burst


@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("handles", [False, True], ids=["watcher", "handles"])
async def test_a_burst_of_jobs_that_begin_at_once_keeps_to_the_rate(handles):
    policy, service = WatchPolicy(), Service()
    service.add(*(Job(named(f"job{number}"), total=1000) for number in range(300)))
    with anyio.move_on_after(60):
        if handles:
            followers = Followers(service, policy)
            async with anyio.create_task_group() as tasks:
                for name in service.jobs:
                    tasks.start_soon(TuningJob(followers.find(name)).wait)
        else:
            async with Watcher(service, list(service.jobs), policy=policy) as watcher:
                async for _ in watcher:
                    pass
    assert len(service.calls) <= policy.burst + 60 * policy.max_rps + 1
    assert len({name for _, _, name in service.calls}) >= 200, "and nobody is left out"


@pytest.mark.usefixtures("virtual_time")
async def test_waits_that_are_cancelled_use_up_no_turn():
    service = Service()
    service.add(Job(named("job0"), total=1000))
    followers = Followers(service, WatchPolicy())
    job = TuningJob(followers.find(named("job0")))
    for _ in range(200):
        with anyio.move_on_after(0.01):
            await job
    began = len(service.calls)
    with anyio.move_on_after(20):
        await job
    assert len(service.calls) - began >= 9
