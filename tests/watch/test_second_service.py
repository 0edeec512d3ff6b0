"""A second service slots in behind ``gemtune.looks``: what is true of the made-up workshop alone."""

import anyio
import pytest

from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.jobs import TuningJob
from gemtune.looks.follower import Follower
from gemtune.watch import Watcher
from watch.service import Face, Job, Service, Workshop, named
from world import collect

pytestmark = [pytest.mark.usefixtures("virtual_time"), pytest.mark.gemini]


@pytest.fixture(autouse=True)
def workshop(monkeypatch):
    monkeypatch.setattr(Face, "chosen", Workshop)


def handle(service, **options):
    service.add(Job(named("job0"), **options))
    return TuningJob(Follower.attach(service, WatchPolicy(), named("job0")))


async def test_a_handle_follows_a_job_of_the_second_service_to_its_end():
    service = Service()
    job = handle(service, gap=5.0, total=8)
    seen = await collect(job.events())
    assert [event.step for event in seen if isinstance(event, events.Snapshot)] == list(range(1, 9))
    assert (await job).state == "ACTIVE"
    assert {method for _, method, _ in service.calls} == {"job"}, "nobody looks for an operation"


async def test_a_job_without_an_operation_gives_the_reason_of_its_failure_itself():
    with pytest.raises(errors.TuningFailed, match=f"{named('job0')} failed: bad data"):
        await handle(Service(), ending="FAILED")
    with pytest.raises(errors.TuningCancelled):
        await handle(Service(), ending="CANCELLED")


def test_names_of_the_other_service_are_refused():
    with pytest.raises(errors.InvalidInput, match="in any workshop"):
        Watcher(Service(), ["tunedModels/job0"], policy=WatchPolicy())


async def test_a_service_whose_looks_take_several_requests_pays_for_each_of_them(monkeypatch):
    async def look(self, job, work, source, ask):
        for method in ("experiment", "series"):
            ask.requests[method] += 1
            await self.service._request(method, job)
        return await plain(self, job, work, source, ask)

    plain = Workshop.look
    monkeypatch.setattr(Workshop, "look", look)
    service = Service()
    service.add(*(Job(named(f"job{number}"), gap=20.0, total=100) for number in range(60)))
    policy = WatchPolicy(coalesce="never", max_rps=5, burst=5)
    async with Watcher(service, list(service.jobs), policy=policy) as watcher:
        await anyio.sleep(60)
        assert watcher.statistics().requests["experiment"] > 50
    assert len(service.calls) <= 60 * 5 + 3 * policy.max_in_flight + 5
