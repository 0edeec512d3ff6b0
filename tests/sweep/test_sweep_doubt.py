"""A creation of which nobody knows whether it happened stays in doubt until its job was surely looked for."""

import contextlib

import anyio
import pytest

from gemtune.errors import GemtuneError
from sweep.emulated import FACES, ROWS, Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


@pytest.mark.parametrize(
    "said",
    [
        "403 PERMISSION_DENIED You may not do this.",
        "429 RESOURCE_EXHAUSTED Quota exceeded for quota metric 'Requests per day'.",
        "401 UNAUTHENTICATED The token was revoked.",
        "400 INVALID_ARGUMENT This cannot be looked for.",
    ],
)
async def test_a_job_that_cannot_be_looked_for_after_a_lost_reply_is_not_created_again_by_the_next_run(
    face, said, tmp_path
):
    lost = False

    def trouble(kind, _count):
        nonlocal lost
        if kind == "create" and not lost:
            lost = True
            return "lost"
        return said if lost and kind in {"look", "create"} else None

    app = face.app()
    grid = {"epoch_count": [1, 2]}
    options = {"space": grid, "objective": "loss", "validation": None, "journal": tmp_path / "sweep"}
    broken = Wire(app, trouble)
    async with face.client(app, broken) as client:
        with contextlib.suppress(GemtuneError):
            async with client.sweep(face.base, ROWS, **options) as sweep:
                with anyio.move_on_after(600):  # it may also wait for a better time, or go on without the point
                    await sweep.run()
    assert len(face.jobs(app)) == 1
    async with face.client(app) as client, client.sweep(face.base, ROWS, **options) as sweep:
        await sweep.run()
    ids = face.jobs(app)
    assert len(ids) == len(set(ids))
    assert sweep.points[0].state == "trained"


async def test_a_sweep_with_a_point_that_the_service_refused_is_resumed_to_its_end(face, tmp_path):
    app = face.app()
    wire = Wire(
        app, lambda kind, count: "400 INVALID_ARGUMENT Not this one." if (kind, count) == ("create", 2) else None
    )
    options = {"space": {"epoch_count": [1, 2]}, "objective": "loss", "validation": None, "journal": tmp_path / "sweep"}
    async with face.client(app, wire) as client, client.sweep(face.base, ROWS, **options) as sweep:
        await sweep.run()
    async with face.client(app) as client, client.sweep(face.base, ROWS, **options) as sweep:
        await sweep.run()
    assert [point.state for point in sweep.points] == ["trained", "failed"]
    assert len(face.jobs(app)) == 1
