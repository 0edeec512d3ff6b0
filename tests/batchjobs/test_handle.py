"""A batch is a job: its handle, its events with counts, its ends, and its results, on a made-up service."""

import asyncio
import json
import threading
from itertools import pairwise

import anyio
import anyio.from_thread
import attrs
import pytest

from batchjobs.played import PlayedBatch, PlayedBatches
from gemtune import errors, events
from gemtune.config import WatchPolicy
from gemtune.events import JobState
from gemtune.jobs.batch import BatchJob
from gemtune.looks.batches import observe_batch
from gemtune.looks.either import JobsOfAllKinds
from gemtune.looks.followers import Followers
from gemtune.show.picture import JobPicture, counted_in, jobs_of
from gemtune.story.history import History
from gemtune.types.batches import BatchCounts, BatchState, GenerateContentBatch
from gemtune.types.operations import Status
from looks import now
from world import collect

NAME = "batches/b0"
pytestmark = [pytest.mark.usefixtures("virtual_time"), pytest.mark.anyio]


def handle(service, name=NAME, *, numbered=False):
    jobs = JobsOfAllKinds(None, lambda: service)
    followers = Followers(jobs, WatchPolicy())
    return BatchJob(followers.find(*jobs.job_names(name)), service, numbered)


def played(**facts):
    return PlayedBatches.of(PlayedBatch(facts.pop("name", NAME), **facts))


@pytest.mark.both_backends
async def test_its_events_say_states_and_counts_and_end_with_completed():
    job = handle(played())
    seen = await collect(job.events())
    assert isinstance(seen[0], events.Added)
    states = [(each.old, each.new, each.service_state) for each in seen if isinstance(each, events.StateChanged)]
    assert states == [
        (JobState.UNKNOWN, JobState.CREATING, "BATCH_STATE_PENDING"),
        (JobState.CREATING, JobState.CREATING, "BATCH_STATE_RUNNING"),
        (JobState.CREATING, JobState.ACTIVE, "BATCH_STATE_SUCCEEDED"),
    ]
    progress = [each for each in seen if isinstance(each, events.Progress)]
    finished = [each.counts.finished for each in progress]
    assert finished == sorted(set(finished))
    assert finished[-1] == 10
    assert [(each.completed_steps, each.total_steps) for each in progress] == [(count, 10) for count in finished]
    assert progress[-1].percent == 100.0
    end = seen[-1]
    assert isinstance(end, events.Completed)
    assert end.kind == "completed"
    assert end.batch.state == BatchState.SUCCEEDED
    assert events.is_terminal(end)
    assert (await job) == end.batch
    assert not [each for each in seen if isinstance(each, events.Snapshot)]


async def test_what_its_events_say_is_json_without_replies():
    job = handle(played(keys=("bad1", "k1")))
    seen = [json.loads(json.dumps(each.to_dict(), allow_nan=False)) for each in await collect(job.events())]
    assert [each for each in seen if each["kind"] == "progress"][-1]["counts"] == {
        "total": 2, "successful": 1, "failed": 1, "pending": 0,
    }  # fmt: skip
    assert seen[-1]["batch"]["state"] == "SUCCEEDED"
    assert seen[-1]["batch"]["counts"]["failed"] == 1
    assert "replies" not in seen[-1]["batch"]


async def test_a_handle_says_how_the_batch_is_as_of_the_last_look(virtual_time):
    job = handle(played(keys=["bad1", *(f"k{n}" for n in range(9))]))
    assert (job.name, job.state, job.batch, job.model, job.done) == (NAME, BatchState.UNSPECIFIED, None, None, False)
    assert repr(job) == "<BatchJob batches/b0 UNSPECIFIED 0/? requests>"
    assert await job.refresh() == BatchState.PENDING
    await anyio.sleep(95)
    assert await job.refresh() == BatchState.RUNNING
    assert (job.counts.total, job.counts.successful, job.counts.failed, job.counts.pending) == (10, 2, 1, 7)
    assert job.service_state == "BATCH_STATE_RUNNING"
    assert (job.model, job.display_name) == ("models/gemini-3.7-flash", "the batch b0")
    assert repr(job) == "<BatchJob batches/b0 RUNNING 3/10 requests, 1 failed>"
    assert job.eta == pytest.approx(7 * 95 / 3, rel=0.05)
    batch = await job
    assert (job.done, job.state, job.batch) == (True, BatchState.SUCCEEDED, batch)
    assert job.eta is None


async def test_a_look_is_one_request_and_they_are_as_often_as_those_at_a_tuning_job(virtual_time):
    service = played(keys=tuple(f"k{n}" for n in range(360)), queue=1800)
    await handle(service)
    times = [at for at, _, _ in service.calls]
    gaps = [later - at for at, later in pairwise(times)]
    waiting = [gap for at, gap in zip(times, gaps, strict=False) if at > 900 and at < 1770]
    running = [gap for at, gap in zip(times, gaps, strict=False) if at > 1800]
    assert min(waiting) > 25
    assert max(waiting) <= 31
    assert max(running) <= 15.1
    assert virtual_time() <= 1800 + 3600 + 15.1


@pytest.mark.parametrize(
    ("facts", "error", "said"),
    [
        ({"fate": BatchState.EXPIRED, "stops": 4}, errors.BatchJobExpired, "did not get to all of batches/b0 in time"),
        (
            {"fate": BatchState.FAILED, "stops": 0, "error": Status(code=3, message="no such model\x1b[2J")},
            errors.BatchJobFailed,
            "batches/b0 failed: no such model",
        ),
        ({"fate": BatchState.FAILED, "stops": 0}, errors.BatchJobFailed, "the service gave no reason"),
        ({"fate": BatchState.CANCELLED, "stops": 3}, errors.BatchJobCancelled, "was cancelled"),
    ],
)
async def test_a_batch_that_did_not_get_to_its_end_is_an_error(facts, error, said, virtual_time):
    job = handle(played(**facts))
    with pytest.raises(error, match=said) as raised:
        await job
    assert virtual_time() < 60 + 10 * 10 + 31, "at once"
    assert isinstance(raised.value, errors.BatchJobError)
    assert isinstance(raised.value, errors.JobError)
    assert not isinstance(raised.value, errors.TuningError)
    assert raised.value.job == NAME
    assert "\x1b" not in str(raised.value)
    last = (await collect(job.events()))[-1]
    assert isinstance(last, events.Failed | events.Cancelled)
    assert last.batch.state == facts["fate"]
    assert job.state == facts["fate"]


@pytest.mark.parametrize("state", [BatchState.SUCCEEDED, BatchState.PARTIALLY_SUCCEEDED])
async def test_failed_requests_are_no_failure_of_the_batch(state):
    job = handle(played(keys=("k1", "bad1"), fate=state))
    assert (await job).state == state
    assert job.error is None


@pytest.mark.parametrize("state", ["CANCELLING", "PAUSED", "HIBERNATING", "ACTIVE", "DELETED"])
async def test_a_state_that_is_no_end_or_new_to_this_version_is_no_end(state):
    job = handle(played(always=BatchState(state)))
    with pytest.raises(errors.DeadlineExceeded, match=state):
        await job.wait(timeout=600)
    assert job.state == BatchState(state)


async def test_cancelling_ends_it_and_keeps_what_was_answered():
    service = played(gap=20)
    job = handle(service)
    with anyio.move_on_after(130):
        await job
    await job.cancel()
    with pytest.raises(errors.BatchJobCancelled):
        await job
    results = await collect(job.results())
    assert sorted(result.key for result in results) == ["k0", "k1", "k2"]


async def test_a_batch_that_is_deleted_meanwhile_is_lost_and_one_that_never_was_is_not_found():
    service = played()
    job = handle(service)
    await job.refresh()
    await job.delete()
    with pytest.raises(errors.BatchJobLost, match="was deleted"):
        await job
    assert isinstance((await collect(job.events()))[-1], events.Deleted)
    with pytest.raises(errors.BatchJobLost, match="not_found"):
        await handle(service, "batches/none")


async def test_a_cursor_resumes_in_another_process_and_nothing_that_ended_is_repeated():
    service = played()
    first = handle(service).events()
    async for event in first:
        if isinstance(event, events.Progress) and event.counts.finished >= 3:
            break
    seen = await collect(handle(service).events(since=event.cursor))
    assert isinstance(seen[0], events.Added)
    assert seen[0].origin == events.Origin.RESUMED
    assert [type(each) for each in seen].count(events.Completed) == 1
    assert await collect(handle(service).events(since=seen[-1].cursor)) == []


def test_a_stale_look_takes_no_request_back():
    def look(seconds, finished):
        counts = BatchCounts(total=10, successful=finished, pending=10 - finished)
        batch = GenerateContentBatch(name=NAME, state=BatchState.RUNNING, counts=counts)
        return history.observe(observe_batch(batch, now(seconds)))

    history = History(NAME, seeks=True)
    assert [event.kind for event in look(0, 3)] == ["state_changed", "progress"]
    assert look(2, 1) == []
    assert history.headway.counts.finished == 3
    assert [event.counts.finished for event in look(4, 7)] == [7]
    assert history.headway.per_request == 1.0


@pytest.mark.parametrize("name", ["batches/b0", "projects/my-project/locations/us-central1/batchPredictionJobs/123"])
async def test_cursors_hold_the_names_of_both_services(name):
    service = played(name=name, queue=0, gap=1)
    seen = await collect(handle(service, name).events())
    assert len(seen[-1].cursor) <= 255
    assert await collect(handle(service, name).events(since=seen[-1].cursor)) == []


async def test_an_outage_is_waited_for(virtual_time):
    service = played()
    service.outage = (50.0, 400.0)
    seen = await collect(handle(service).events())
    kinds = [each.kind for each in seen]
    assert kinds.index("degraded") < kinds.index("recovered") < kinds.index("completed")


@pytest.mark.both_backends
async def test_results_come_by_their_keys_whatever_their_order(virtual_time):
    service = played(keys=("a", "bad1", "c"))
    results = await collect(handle(service).results())
    assert virtual_time() > 90, "it waits for the end"
    assert {result.key: result.text_or_none for result in results} == {"a": "<a>", "bad1": None, "c": "<c>"}
    (failed,) = [result for result in results if not result.ok]
    assert isinstance(failed.error, errors.BadRequest)
    assert str(failed.error) == "request 'bad1' failed: too long"


async def test_keys_that_were_numbers_are_numbers_again_for_whoever_created_the_batch():
    service = played(keys=("0", "1", "2"))
    results = await collect(handle(service, numbered=True).results())
    assert sorted((result.key, result.index) for result in results) == [(0, 0), (1, 1), (2, 2)]
    assert sorted(result.key for result in await collect(handle(service).results())) == ["0", "1", "2"]


async def test_results_are_left_and_continued_and_a_broken_download_is_tried_again():
    service = played()
    service.broken_downloads = 1
    results = handle(service).results()
    with pytest.raises(errors.ConnectionLost):
        await anext(results)
    keys = [(await anext(results)).key]
    async for result in results:
        keys.append(result.key)
        break
    keys += [result.key async for result in results]
    assert sorted(keys) == sorted(f"k{n}" for n in range(10))
    await results.aclose()
    assert [result async for result in results] == []


async def test_results_that_a_thread_reads_while_its_task_is_cancelled_come_next():
    reading, parsed = anyio.Event(), threading.Event()

    @attrs.define(eq=False)
    class SlowToRead(PlayedBatches):
        def read_line(self, line):
            anyio.from_thread.run_sync(reading.set)
            assert parsed.wait(5)
            return super().read_line(line)

    async def first():
        return await anext(results)

    results = handle(SlowToRead.of(PlayedBatch(NAME))).results()
    task = asyncio.create_task(first())
    await reading.wait()
    task.cancel()  # as asyncio.timeout and asyncio.wait_for do it, which the thread does not notice
    with pytest.raises(asyncio.CancelledError):
        await task
    parsed.set()
    assert sorted([result.key async for result in results]) == sorted(f"k{n}" for n in range(10))


async def test_an_expired_batch_has_results_and_one_that_failed_has_its_reason():
    job = handle(played(fate=BatchState.EXPIRED, stops=4))
    assert len(await collect(job.results())) == 4
    job = handle(played(fate=BatchState.FAILED, stops=0, error=Status(code=3, message="no such model")))
    with pytest.raises(errors.BatchJobFailed, match="no such model"):
        await anext(job.results())


async def test_it_is_shown_in_words_and_in_a_notebook():
    service = played(keys=["bad1", *(f"k{n}" for n in range(9))])
    job = handle(service)
    assert job.picture().counts is not None, "it is a batch before anybody has looked"
    await anyio.sleep(95)
    await job.refresh()
    picture = job.picture()
    assert (picture.word, picture.unit, picture.completed, picture.total, picture.failed) == (
        "running", "requests", 3, 10, 1,
    )  # fmt: skip
    assert "3 of 10 requests, 1 failed" in job._repr_mimebundle_()["text/plain"]
    html = job._repr_html_()
    assert "3 of 10 requests, 1 failed" in html
    assert "the first loss" not in html
    assert job.picture().to_dict()["counts"] == {"total": 10, "successful": 2, "failed": 1, "pending": 7}
    assert (await job.show()).state == BatchState.SUCCEEDED
    assert job.picture().word == "succeeded"
    expired = handle(played(fate=BatchState.EXPIRED, stops=4))
    with pytest.raises(errors.BatchJobExpired):
        await expired
    assert (expired.picture().word, expired.picture().reason) == (
        "expired", "the batch expired before all of its requests were answered",
    )  # fmt: skip


def test_columns_and_headings_name_what_they_count():
    tuning, batch = JobPicture(name="t", title="t"), JobPicture(name="b", title="b", counts=BatchCounts())
    assert [jobs_of([tuning]), jobs_of([batch]), jobs_of([batch, batch]), jobs_of([tuning, batch])] == [
        "1 tuning job", "1 batch", "2 batches", "2 jobs",
    ]  # fmt: skip
    assert [counted_in([tuning]), counted_in([batch]), counted_in([tuning, batch])] == ["step", "requests", "count"]
