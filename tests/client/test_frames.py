"""Loss curves as every tuning notebook draws them: a data frame of the snapshots, whose columns are their fields."""

import dataclasses

import pytest

from gemtune import errors
from world import BASE, EXAMPLES, collect, make_app, make_client

pytestmark = pytest.mark.usefixtures("virtual_time")
COLUMNS = ["step", "epoch", "mean_loss", "compute_time"]


async def finished():
    async with make_client(make_app()) as client:
        job = await client.tune(BASE, EXAMPLES)
        seen = await collect(job.events())
        return job, await job, [event for event in seen if event.kind == "snapshot"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
async def test_a_frame_of_snapshots_has_their_fields_for_columns(library):
    make_frame = pytest.importorskip(library).DataFrame
    job, model, shown = await finished()
    for snapshots in (job.snapshots, list(job.snapshots), model.tuning_task.snapshots, job.snapshots.to_dicts()):
        frame = make_frame(snapshots)
        assert list(frame.columns) == COLUMNS
        assert list(frame["step"]) == list(range(1, len(shown) + 1))
        assert list(frame["mean_loss"]) == [snapshot.mean_loss for snapshot in job.snapshots]
    assert list(make_frame(shown).columns) == ["job", *COLUMNS, "attempt"]


async def test_what_a_frame_is_made_of_needs_no_library():
    job, model, shown = await finished()
    rows = [dataclasses.asdict(snapshot) for snapshot in model.tuning_task.snapshots]
    assert [list(row) for row in rows] == [COLUMNS] * len(job.snapshots)
    assert rows[0]["compute_time"] == job.snapshots[0].compute_time
    assert [field.name for field in dataclasses.fields(shown[0])] == ["job", *COLUMNS, "attempt"]
    (first, *_), whole = job.snapshots.to_dicts(), job.snapshots[0]
    time = whole.compute_time.to_datetime()
    assert first == {"step": 1, "epoch": whole.epoch, "mean_loss": whole.mean_loss, "compute_time": time}


async def test_a_frame_of_no_snapshots_is_empty():
    pandas = pytest.importorskip("pandas")
    async with make_client(make_app()) as client:
        assert len(pandas.DataFrame(client.job("new").snapshots)) == 0


LISTS = {
    "tuned_models": lambda client: client.tuned_models.list(),
    "models": lambda client: client.models.list(),
    "operations": lambda client: client.operations.list("tunedModels/x"),
    "permissions": lambda client: client.permissions.list("tunedModels/x"),
    "pages": lambda client: client.tuned_models.list().pages(),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_that_is_awaited_or_read_with_for_says_how_it_is_read(name):
    async with make_client(make_app()) as client:
        with pytest.raises(errors.MisuseError, match="async for"):
            await LISTS[name](client)
        with pytest.raises(errors.MisuseError, match="async for"):
            list(LISTS[name](client))


@pytest.mark.parametrize(("role", "kind"), [("reader", "everyone"), ("Writer", "Everyone"), ("READER", "EVERYONE")])
async def test_roles_and_grantees_are_understood_in_letters_of_either_case(role, kind):
    async with make_client(make_app()) as client:
        model = await (await client.tune(BASE, EXAMPLES))
        made = await client.permissions.create(model, role=role, grantee_type=kind)
        assert (made.role, made.grantee_type) == (role.upper(), "EVERYONE")
        assert (await client.permissions.update(made, role="reader")).role == "READER"
        with pytest.raises(errors.InvalidInput, match="READER, WRITER or OWNER, not 'boss'"):
            await client.permissions.update(made, role="boss")
