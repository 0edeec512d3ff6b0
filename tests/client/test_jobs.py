"""Tuning jobs from creation to their end, against the emulator in virtual time."""

import anyio
import pytest

import gemtune
from gemtune import errors, events
from gemtune.emulator import Fault, JobFate
from world import BASE, EXAMPLES, collect, make_app, make_client, sent

HYPERPARAMETERS = gemtune.Hyperparameters(epoch_count=5, batch_size=2, learning_rate=0.001)
pytestmark = pytest.mark.usefixtures("virtual_time")


async def start(client, **options):
    options = {"display_name": "number generator model", "hyperparameters": HYPERPARAMETERS} | options
    return await client.tune(BASE, EXAMPLES, **options)


@pytest.mark.both_backends
async def test_the_tutorial_runs_from_the_first_list_to_the_last_answer():
    app = make_app()
    async with make_client(app) as client:
        assert await client.tuned_models.list().all() == []
        job = await start(client)
        assert job.state == "CREATING"
        assert job.progress.total_steps == 38
        seen = await collect(job.events())
        snapshots = [event for event in seen if isinstance(event, events.Snapshot)]
        assert [event.step for event in snapshots] == list(range(1, 39))
        assert [event.epoch for event in snapshots] == [step * 2 // 15 for step in range(1, 39)]
        states = [(event.old, event.new) for event in seen if isinstance(event, events.StateChanged)]
        assert states == [("UNKNOWN", "CREATING"), ("CREATING", "ACTIVE")]
        assert isinstance(seen[-1], events.Succeeded)
        progress = [event for event in seen if isinstance(event, events.Progress)]
        assert (progress[-1].completed_steps, progress[-1].percent) == (38, 100.0)
        model = await job
        assert model == seen[-1].model
        assert model.state == "ACTIVE"
        for prompt in ("LXIII", "六"):
            reply = await client.generate_content(model, prompt)
            assert reply.text.endswith("(emulator: nearest training example)")
    assert [entry.headers["x-goog-user-project"] for entry in app.requests] == ["my-project"] * len(app.requests)


async def test_tune_returns_at_once_and_a_job_awaited_alone_is_looked_at_every_other_second(virtual_time):
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        assert virtual_time() < 0.1
        await job
        assert 38 * 1.2 <= virtual_time() <= 38 * 1.2 + 3
        assert 20 <= len(sent(app, "tunedModels.operations.get")) <= 38 * 1.2 / 2 + 2


async def test_events_begin_with_added_also_after_a_refresh():
    app = make_app()
    async with make_client(app) as client:
        name = (await start(client)).name
        job = client.job(name)
        await job.refresh()
        kinds = [event.kind for event in await collect(job.events())]
    assert kinds[0] == "added"
    assert kinds.count("added") == 1


async def test_cancelling_a_job_of_another_process_survives_a_failure_to_find_its_operation():
    app = make_app(faults=[Fault(method="tunedModels.operations.list", status=503, times=2)])
    async with make_client(app) as client:
        job = client.job((await start(client)).name)
        await job.cancel()
        with pytest.raises(errors.TuningCancelled):
            await job
    assert len(sent(app, "tunedModels.operations.list")) >= 3


async def test_everybody_who_waits_for_a_job_shares_its_looks():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        results = []

        async def wait():
            results.append(await job)

        async def watch():
            results.append(len([event async for event in job.events() if isinstance(event, events.Snapshot)]))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(wait)
                group.start_soon(watch)
        assert results.count(38) == 5
        assert len(sent(app, "tunedModels.operations.get")) + len(sent(app, "tunedModels.get")) <= 38 * 1.2 / 2 + 2


async def test_leaving_a_wait_never_touches_the_remote_job():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        with pytest.raises(errors.DeadlineExceeded, match="only the waiting has ended"):
            await job.wait(timeout=5)
        with anyio.move_on_after(5):
            await job
        async for event in job.events():
            if isinstance(event, events.Snapshot):
                break
    assert {entry.verb for entry in app.requests} == {"POST", "GET"}
    async with make_client(app) as client:
        model = await client.job(job.name)
        assert model.state == "ACTIVE"


async def test_an_iterator_that_was_left_goes_on_where_it_was():
    app = make_app()
    async with make_client(app) as client:
        iterator = (await start(client)).events()
        steps = []
        for _ in range(400):
            with anyio.move_on_after(1):
                try:
                    event = await anext(iterator)
                except StopAsyncIteration:
                    break
                if isinstance(event, events.Snapshot):
                    steps.append(event.step)
        assert steps == list(range(1, 39))


@pytest.mark.parametrize("by", ["model", "operation", "object"])
async def test_a_job_is_followed_from_another_process_by_either_name(by):
    app = make_app()
    async with make_client(app) as client:
        begun = await start(client)
        name = {"model": begun.name, "operation": begun.operation, "object": begun}[by]
    async with make_client(app) as other:
        before = len(app.requests)
        job = other.job(name)
        assert len(app.requests) == before
        seen = await collect(job.events())
        assert [event.step for event in seen if isinstance(event, events.Snapshot)] == list(range(1, 39))
        assert job.operation == begun.operation
        assert job.progress.total_steps == 38
        assert (await job).name == begun.name


async def test_events_continue_after_a_cursor_and_lose_nothing():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        cursor, steps = None, []
        async for event in job.events():
            if isinstance(event, events.Snapshot):
                steps.append(event.step)
                cursor = event.cursor
            if len(steps) == 10:
                break
    async with make_client(app) as other:
        async for event in other.job(job.name).events(since=cursor):
            if isinstance(event, events.Snapshot):
                steps.append(event.step)
        assert steps == list(range(1, 39))
        with pytest.raises(errors.InvalidInput, match="belongs to"):
            other.job("tunedModels/another").events(since=cursor)


async def test_a_failed_job_raises_with_the_servers_reason_and_its_snapshots_are_told():
    app = make_app(
        faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=11, message="bad \x1b[31mdata"))]
    )
    async with make_client(app) as client:
        job = await start(client)
        seen = await collect(job.events())
        assert [event.step for event in seen if isinstance(event, events.Snapshot)] == list(range(1, 11))
        assert isinstance(seen[-1], events.Failed)
        with pytest.raises(errors.TuningFailed, match="bad data") as caught:
            await job
        assert caught.value.job == job.name
        assert caught.value.reason == "bad data"
        assert caught.value.code


async def test_cancelling_is_asked_of_the_service_and_awaiting_says_so():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        await job.cancel()
        assert [entry.path for entry in sent(app, "tunedModels.operations.cancel")] == [f"/v1/{job.operation}:cancel"]
        with pytest.raises(errors.TuningCancelled):
            await job
        assert sent(app, "tunedModels.delete") == []


async def test_a_service_that_does_not_cancel_is_told_with_the_alternative():
    app = make_app(cancel_supported=False)
    async with make_client(app) as client:
        job = await start(client)
        with pytest.raises(errors.NotSupported, match=r"client\.tuned_models\.delete"):
            await job.cancel()
        assert (await job).state == "ACTIVE"


async def test_a_job_deleted_under_us_is_lost():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        await client.tuned_models.delete(job)
        with pytest.raises(errors.TuningLost, match="deleted"):
            await job


async def test_a_restarted_job_tells_its_snapshots_again_as_a_new_attempt():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(restart_at_step=20))])
    async with make_client(app) as client:
        seen = await collect((await start(client)).events())
        assert [event.attempt for event in seen if isinstance(event, events.Restarted)] == [2]
        second = [event.step for event in seen if isinstance(event, events.Snapshot) and event.attempt == 2]
        assert second == list(range(1, 39))


async def test_an_outage_of_ten_minutes_delays_a_wait_and_does_not_end_it(virtual_time):
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        app.faults.add(*[Fault(method="tunedModels.operations.get", status=503) for _ in range(12)])
        seen = await collect(job.events())
        kinds = [event.kind for event in seen if event.kind in {"degraded", "recovered", "succeeded"}]
        assert kinds == ["degraded", "recovered", "succeeded"]
        assert virtual_time() > 300


async def test_a_refused_credential_ends_a_wait_at_once():
    app = make_app(auth="any")
    async with make_client(app) as client:
        job = await start(client)
        app.faults.add(Fault(method="tunedModels.operations.get", status=401))
        with pytest.raises(errors.CredentialsError):
            await job
        assert (await job).state == "ACTIVE"


async def test_an_expired_operation_leaves_the_model_as_the_truth():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        app.faults.add(Fault(method="tunedModels.operations.get", status=404, times=50))
        assert (await job).state == "ACTIVE"
        assert sent(app, "tunedModels.get")


async def test_a_tuned_model_can_be_tuned_on_from():
    app = make_app()
    async with make_client(app) as client:
        first = await (await start(client))
        second = await (await client.tune(first, EXAMPLES[:3], tuned_model_id="second"))
        assert second.name == "tunedModels/second"
        assert second.tuned_model_source.tuned_model == first.name


@pytest.mark.parametrize("given", ["my-model", "gemini-helper-dzlmi0gswwqb", "tunedModels/my-model"])
async def test_one_rule_for_the_names_of_models_in_all_methods(given):
    app = make_app()
    bare = given.removeprefix("tunedModels/")
    async with make_client(app) as client:
        job = client.job(given)
        await (await client.tune(BASE, EXAMPLES, tuned_model_id=bare))
        assert (await job).name == (await client.tuned_models.get(given)).name == f"tunedModels/{bare}"
        whole = await client.generate_content(given, "LXIII")
        pieces = [piece.text async for piece in client.stream_generate_content(given, "LXIII")]
        [answer] = await client.generate_many(given, ["LXIII"])
        assert whole.text == "".join(pieces) == answer.text
        with pytest.raises(errors.NotSupported, match=f"on tunedModels/{bare}"):
            await client.count_tokens(given, "LXIII")
        further = await (await client.tune(given, EXAMPLES[:3], tuned_model_id="second"))
        assert further.tuned_model_source.tuned_model == job.name


@pytest.mark.parametrize(
    ("given", "other"), [("my-model", "models/my-model"), ("gemini-mine", "tunedModels/gemini-mine")]
)
async def test_a_bare_id_that_leads_nowhere_is_answered_with_the_other_name_that_may_be_meant(given, other):
    async with make_client(make_app()) as client:
        with pytest.raises(errors.NotFound, match=f"if it is a (base|tuned) model, name it in full: {other}$"):
            await client.generate_content(given, "LXIII")


async def test_refreshing_looks_once_and_tells_the_state():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        await anyio.sleep(20)
        before = len(app.requests)
        assert await job.refresh() == "CREATING"
        assert len(app.requests) == before + 1
        assert len(job.snapshots) == job.progress.completed_steps > 10
        assert "CREATING" in repr(job)
        with pytest.raises(errors.NotFound):
            await client.job("tunedModels/missing").refresh()


async def test_an_operation_is_awaited_by_its_own_name():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        with pytest.raises(errors.DeadlineExceeded, match="it continues"):
            await client.operations.wait(job.operation, timeout=3)
        done = await client.operations.wait(job.operation)
        assert done.done
        assert done.response.state == "ACTIVE"
        assert [operation.name async for operation in client.operations.list(job)] == [job.operation]
        with pytest.raises(errors.InvalidInput, match="timeout"):
            await client.operations.wait(job.operation, timeout=-1)


async def test_a_failed_operation_is_returned_with_its_error():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=3, message="bad data"))])
    async with make_client(app) as client:
        done = await client.operations.wait((await start(client)).operation)
        assert done.error.message == "bad data"


async def test_a_wait_that_ends_does_not_claim_what_it_cannot_know():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        app.faults.add(Fault(method="*", status=503, times=1000))
        with pytest.raises(errors.DeadlineExceeded, match="the last look failed: .*HTTP 503") as caught:
            await job.wait(timeout=20)
        assert "job goes on" not in str(caught.value)


async def test_cancelling_a_job_that_cannot_be_asked_about_never_advises_to_delete_it():
    app = make_app()
    async with make_client(app) as client:
        job = await start(client)
        app.faults.add(Fault(method="*", status=503, times=1000))
        with pytest.raises(errors.CallError) as caught:
            await client.job(job.name).cancel()
        assert "delete" not in str(caught.value)
        app.faults.clear()
        with pytest.raises(errors.NotFound):
            await client.job("tunedModels/missing").cancel()
        other = client.job(job.name)
        await other.cancel()
        assert await other.refresh() == "CANCELLED"


async def test_one_refresh_of_a_job_of_another_process_tells_how_it_ended():
    app = make_app(faults=[Fault(method="tunedModels.create", job=JobFate(fail_at_step=3))])
    async with make_client(app) as client:
        job = await start(client)
        await anyio.sleep(100)
        assert await client.job(job.name).refresh() == "FAILED"
        app.faults.add(Fault(method="tunedModels.operations.get", status=404))
        assert await client.job(job.operation).refresh() == "FAILED"
