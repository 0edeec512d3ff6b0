"""What callers may pass to a watcher, and what they are told when it is something else."""

import pytest

import gemtune
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.watch import Watcher
from watch.service import Job, Service, named
from world import collect

pytestmark = pytest.mark.usefixtures("virtual_time")
POLICY = WatchPolicy(max_rps=50)


def watch(*names, **options):
    service = Service()
    jobs = service.add(*(Job(named(f"{name}")) for name in names))
    return Watcher(service, jobs, **{"policy": POLICY} | options)


@pytest.mark.parametrize(
    ("field", "options"),
    [("policy", {"policy": 3}), ("filter", {"filter": ""}), ("filter", {"filter": " "}), ("filter", {"filter": 3})],
)
def test_a_policy_or_a_filter_that_is_none_is_refused_by_name(field, options):
    with pytest.raises(errors.InvalidInput, match=field) as refused:
        watch(**options)
    assert refused.value.field == field


@pytest.mark.parametrize("kinds", [(), [], "", [3], [[]], 3, [events.JobState], ["snapshots"]])
def test_kinds_that_are_none_are_refused_and_the_kinds_that_there_are_are_named(kinds):
    with pytest.raises(errors.InvalidInput, match="snapshot, ") as refused:
        watch().subscribe(kinds=kinds)
    assert refused.value.field == "kinds"


@pytest.mark.parametrize("kinds", [events.Snapshot, [events.Snapshot], ["snapshot"], "snapshot"])
async def test_kinds_are_words_or_the_classes_of_the_events(kinds):
    async with watch("a") as watcher:
        assert {event.kind for event in await collect(watcher.subscribe(kinds=kinds))} == {"snapshot"}


def test_jobs_are_added_one_by_one_or_as_one_list():
    watcher = watch()
    assert watcher.add(["a", "b"]) == [named("a"), named("b")]
    assert watcher.add("c", "d") == [named("c"), named("d")]
    assert watcher.add() == watcher.add([]) == []


async def test_of_no_jobs_there_are_no_ends_to_wait_for():
    async with watch() as watcher:
        assert await collect(watcher.as_completed()) == []
        watcher.add("a")
        assert [type(event) for event in await collect(watcher.as_completed())] == [events.Lost]


@pytest.mark.parametrize("name", ["Subscription", "WaitResult", "WatcherStatistics"])
def test_what_a_watcher_returns_can_be_named(name):
    assert getattr(gemtune, name) is getattr(gemtune.watch, name)
