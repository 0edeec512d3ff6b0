"""``show()`` where there is no notebook: lines of text, the same ends as awaiting, and nothing left behind."""

import asyncio
import itertools
import pickle
import sys
import traceback

import anyio
import pytest

from gemtune import errors
from gemtune.config import WatchPolicy
from gemtune.emulator import Fault, JobFate
from gemtune.events import Failed, Succeeded
from gemtune.notebook.live import said_if_left, show_live
from gemtune.notebook.places import Shown
from world import BASE, EXAMPLES, make_app, make_client, sent

pytestmark = pytest.mark.usefixtures("virtual_time")


async def tuned(client, name="numbers", **options):
    return await client.tune(BASE, EXAMPLES, display_name=name, **options)


def fated(fate):
    return make_app(faults=[Fault(method="tunedModels.create", job=fate)])


class Wall:
    """A place that keeps every view that it was shown, and when."""

    def __init__(self):
        self.views = []

    def show(self, view):
        self.views.append((anyio.current_time(), view))


@pytest.mark.both_backends
async def test_a_job_is_shown_in_lines_and_its_model_returned(capsys):
    async with make_client(make_app()) as client:
        job = await tuned(client)
        model = await job.show()
    lines = capsys.readouterr().out.splitlines()
    assert model.name == job.name
    assert lines[0].startswith("numbers: starting, 0 of 19 steps")
    assert "running" in lines[1]
    assert lines[-1].startswith("numbers: succeeded, 19 of 19 steps, loss ")
    assert 4 <= len(lines) <= 13, "a line for each tenth at most"
    assert len(set(lines)) == len(lines)


@pytest.mark.both_backends
async def test_a_job_that_fails_says_so_and_raises_as_awaiting_it_does(capsys):
    app = fated(JobFate(fail_at_step=4, message="bad data"))
    async with make_client(app) as client:
        job = await tuned(client)
        with pytest.raises(errors.TuningFailed, match="bad data") as caught:
            await job.show()
    assert "failed" in capsys.readouterr().out.splitlines()[-1]
    assert caught.value._render_traceback_() == [f"TuningFailed: {caught.value}"], "what IPython asks for"
    assert "bad data" in str(pickle.loads(pickle.dumps(caught.value)))
    assert "test_show_live" in "".join(traceback.format_exception(caught.value)), "elsewhere it is whole"


@pytest.mark.both_backends
async def test_a_display_moves_with_the_clock_twice_a_second_at_most():
    wall, began = Wall(), anyio.current_time()
    app = make_app()
    async with make_client(app) as client:
        job = await tuned(client)

        def clock(note):
            return Shown("", f"{anyio.current_time()} {job.picture().word}")

        await show_live(clock, job._shown_result, left=lambda: "left", place=wall)
    times = [time for time, _ in wall.views]
    gaps = [round(after - before, 3) for before, after in itertools.pairwise(times[:-1])]
    assert set(gaps) == {0.5}
    assert times[0] - began < 0.5
    assert "succeeded" in wall.views[-1][1].text
    assert len(sent(app)) < len(times) / 2, "a view costs no request"


@pytest.mark.both_backends
async def test_a_display_that_is_left_keeps_its_last_view_and_nothing_runs_behind_it(capsys):
    app = make_app()
    async with make_client(app) as client:
        job = await tuned(client)
        with anyio.move_on_after(10):
            await job.show()
        said = capsys.readouterr().out.splitlines()
        made = len(sent(app))
        await anyio.sleep(100)
        assert capsys.readouterr().out == ""
        assert len(sent(app)) == made, "nobody looks any more"
        assert said[-1] == "left; the job continues: await job"
        assert (await job.show()).name == job.name, "and again, from where it is"
    assert "succeeded" in capsys.readouterr().out


async def test_a_job_that_is_watched_is_looked_at_more_often_than_one_that_is_awaited():
    requests = []
    for watched in (False, True):
        app = fated(JobFate(stall_at_step=1))
        async with make_client(
            app, watch=WatchPolicy(freshness=60, terminal_freshness=60, queued_interval=60)
        ) as client:
            job = await tuned(client)
            with anyio.move_on_after(600):
                await (job.show() if watched else job)
            requests.append(len(sent(app)))
    assert requests[1] > 200, "every 2.5 s"
    assert requests[0] < 100


async def test_somebody_who_begins_to_watch_need_not_wait_for_a_look_that_is_far_away(capsys):
    app = fated(JobFate(stall_at_step=1))
    async with make_client(app, watch=WatchPolicy(freshness=300, queued_interval=300)) as client:
        job = await tuned(client)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.wait)
            await anyio.sleep(1000)
            made = len(sent(app))
            with anyio.move_on_after(10):
                await job.show()
            assert len(sent(app)) >= made + 3
            tasks.cancel_scope.cancel()


@pytest.mark.both_backends
async def test_a_watcher_is_shown_until_all_have_ended_and_says_how(capsys):
    app = make_app()
    async with make_client(app) as client:
        jobs = [await tuned(client, f"job {n}") for n in range(3)]
        result = await client.watch(jobs).show()
        assert [job.done for job in jobs] == [True] * 3
    assert {*result.done} == {job.name for job in jobs}
    assert {type(end) for end in result.done.values()} == {Succeeded}
    assert not result.pending
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("job 0: starting, 0 of 19 steps")
    assert [line.split(":")[0] for line in lines if "succeeded" in line] == ["job 0", "job 1", "job 2"]


async def test_a_watcher_that_runs_is_shown_as_often_as_somebody_wants_and_a_failure_is_a_result(capsys):
    app = fated(JobFate(fail_at_step=3, message="bad data"))
    async with make_client(app) as client, client.watch(await tuned(client)) as watcher:
        with anyio.move_on_after(3):
            await watcher.show()
        assert "left; the jobs continue: run the cell again" in capsys.readouterr().out
        (end,) = (await watcher.show()).done.values()
        assert isinstance(end, Failed)
        assert "failed" in capsys.readouterr().out
        async with client.watch(resume=watcher.resume_token()) as later:
            assert [event.kind async for event in later][-1] == "failed", "a display has read nothing for anybody"
        assert (await watcher.show()).done, "and once more after all have ended"
        assert [event.kind async for event in watcher][-1] == "failed", "the watcher's own reader has all events"


async def test_a_watcher_without_jobs_shows_that_and_returns(capsys):
    async with make_client(make_app()) as client:
        result = await client.watch().show()
    assert (dict(result.done), result.pending) == ({}, frozenset())


def test_nothing_of_a_notebook_is_loaded_before_it_is_there():
    assert "IPython" not in sys.modules or "pytest" in sys.modules
    view = Shown("<p>", "text", {"": (1, "line")})
    assert view._repr_mimebundle_() == {"text/plain": "text", "text/html": "<p>"}
    assert view._repr_mimebundle_(include={"text/plain"}) == {"text/plain": "text"}
    assert view._repr_mimebundle_(exclude={"text/plain"}) == {"text/html": "<p>"}


@pytest.mark.parametrize("every", [0, -1, float("nan"), "1"])
async def test_a_wrong_interval_is_refused_before_anything_is_shown(every, capsys):
    async with make_client(make_app()) as client:
        job = await tuned(client)
        with pytest.raises(errors.InvalidInput, match="every"):
            await job.show(every=every)
    assert capsys.readouterr().out == ""


def test_a_coroutine_that_is_closed_after_its_loop_says_nothing():
    def note():
        raise AssertionError("nobody reads it")

    for error in (GeneratorExit, KeyboardInterrupt, ValueError):
        with pytest.raises(error), said_if_left(note):
            raise error
    with pytest.raises(asyncio.CancelledError) as caught, said_if_left(lambda: "left"):
        raise asyncio.CancelledError
    assert caught.value._render_traceback_() == ["left"]
