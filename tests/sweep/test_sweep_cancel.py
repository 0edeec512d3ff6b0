"""``sweep.cancel()``: from then on nothing is created, and whatever may exist is found and cancelled."""

import anyio
import pytest

from gemtune.errors import JournalError
from gemtune.sweep import PointState
from gemtune.sweep.journal.folder import POINTS, SweepJournal
from gemtune.sweep.journal.lines import point_line
from sweep.emulated import FACES, ROWS, Gemini, Vertex, Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
LOSS = {"objective": "loss", "validation": None}
MANY = [(f"question {at} about item {at * 7}", f"answer {at % 5}") for at in range(144)]
LONG = {"space": {"epoch_count": list(range(20, 40))}, **LOSS}


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


async def doubtful(face, app, folder, real=2):
    """Leave a journal of 20 points of which nobody knows whether they have jobs; the first ones do."""
    wire = Wire(app, lambda _kind, _count: "refused")
    async with face.client(app, wire) as client, client.sweep(face.base, MANY, **LONG, journal=folder) as sweep:
        numbers = [each.point.number for each in sweep.points]
    async with face.client(app) as client:
        for number in range(real):
            await client.tune(face.base, MANY, tuned_model_id=f"{sweep._run.parts.journal.id}-{number}")
    lines = b"".join(point_line(number, "creating") for number in numbers)
    await anyio.Path(folder / POINTS).write_bytes(await anyio.Path(folder / POINTS).read_bytes() + lines)


@pytest.mark.both_backends
@pytest.mark.parametrize("after", [0.0, 5.0])
async def test_jobs_that_may_exist_are_looked_for_and_cancelled_but_none_is_created(face, after, tmp_path):
    app = face.app()
    await doubtful(face, app, tmp_path / "sweep")
    wire = Wire(app)
    async with (
        face.client(app, wire) as client,
        client.sweep(face.base, MANY, **LONG, journal=tmp_path / "sweep") as sweep,
    ):
        await anyio.sleep(after)
        await sweep.cancel()
        before = wire.seen["create"]
        await sweep.run()
    # What was under way when it was cancelled, at most eight, may have been sent already.
    assert wire.seen["create"] == before
    assert {each.state for each in sweep.points} <= {PointState.STOPPED, PointState.PLANNED}
    assert [each.state for each in sweep.points[:2]] == [PointState.STOPPED] * 2
    stopped = [each for each in sweep.points if each.state is PointState.STOPPED]
    assert len(stopped) == len(face.jobs(app)) == wire.seen["cancel"] == 2 + before


async def test_what_could_not_be_looked_for_at_once_is_looked_for_until_the_service_answers(face, tmp_path):
    app = face.app(step_seconds=20.0)
    await doubtful(face, app, tmp_path / "sweep", real=1)
    wire = Wire(app, lambda kind, count: "503" if kind == "look" and count < 25 else None)
    async with (
        face.client(app, wire) as client,
        client.sweep(face.base, MANY, **LONG, journal=tmp_path / "sweep") as sweep,
    ):
        await sweep.cancel()
        await sweep.run()
    assert wire.seen["create"] == 0
    assert sweep.points[0].state is PointState.STOPPED
    assert wire.seen["cancel"] == 1


async def test_a_sweep_that_is_cancelled_while_its_data_is_uploaded_creates_nothing_and_can_be_resumed(tmp_path):
    app, journal = Vertex.app(), tmp_path / "sweep"
    sweeps = []

    def trouble(kind, _count):
        if kind == "upload" and sweeps:
            sweeps.pop().start_soon(sweep.cancel)

    wire = Wire(app, trouble)
    options = {"space": {"epoch_count": [1, 2]}, "journal": journal, **LOSS}
    async with Vertex.client(app, wire) as client, anyio.create_task_group() as tasks:
        sweeps.append(tasks)
        sweep = client.sweep(Vertex.base, ROWS, **options)
        await sweep.run()
    assert wire.seen["upload"] == 1
    assert wire.seen["create"] == 0
    assert [each.state for each in sweep.points] == [PointState.PLANNED] * 2
    async with Vertex.client(app) as client:
        again = client.sweep(Vertex.base, ROWS, **options)
        await again.run()
    assert [each.state for each in again.points] == [PointState.TRAINED] * 2


async def test_a_cancellation_that_cannot_be_written_down_cancels_nothing_and_ends_nothing(tmp_path):
    class Full(SweepJournal):
        full = False

        async def note(self, *lines):
            if self.full and b'"is":"stopping"' in b"".join(lines):
                raise JournalError("the disk is full", path="x")
            await super().note(*lines)

    wire = Wire(Gemini.app())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gemtune.sweep.sweep.SweepJournal", Full)
        async with (
            Gemini.client(wire.app, wire) as client,
            client.sweep(
                Gemini.base, ROWS, space={"epoch_count": [1, 2, 3]}, journal=tmp_path / "sweep", concurrency=2, **LOSS
            ) as sweep,
        ):
            async for event in sweep:
                if event.kind == "point_progress":
                    break
            patch.setattr(Full, "full", True)
            with pytest.raises(JournalError, match="the disk is full"):
                await sweep.cancel()
            await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 3
    assert wire.seen["cancel"] == 0
