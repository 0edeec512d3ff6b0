"""What another call may ask of a sweep that an earlier one has begun."""

import pytest

from sweep.emulated import FACES, ROWS, Gemini, Vertex

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


@pytest.mark.parametrize(
    ("face", "before", "after"),
    [(Gemini, "exact_match", "loss"), (Vertex, "loss", "eval_loss")],
    ids=lambda each: getattr(each, "name", each),
)
async def test_a_sweep_that_is_resumed_with_another_objective_ranks_all_points_by_it(face, before, after, tmp_path):
    options = {"space": {"epoch_count": [1, 3]}, "validation": 0.4, "journal": tmp_path / "sweep"}
    async with face.client(face.app()) as client:
        await client.sweep(face.base, ROWS, objective=before, **options).run()
        sweep = client.sweep(face.base, ROWS, objective=after, **options)
        picture = await sweep.run()
    assert sweep.best is not None
    for point in picture.points:
        curve = point.picture.eval_losses if after == "eval_loss" else point.picture.losses
        assert point.objective == curve[-1][1]


async def test_a_lower_max_jobs_holds_for_the_points_that_an_earlier_run_has_only_planned(face, tmp_path):
    app, grid = face.app(), {"epoch_count": [1, 2, 3, 4, 5]}
    options = {"space": grid, "validation": None, "objective": "loss", "journal": tmp_path / "sweep"}
    async with face.client(app) as client:
        async with client.sweep(face.base, ROWS, concurrency=1, **options) as sweep:
            async for event in sweep:
                if event.kind == "point_started":
                    break
        picture = await client.sweep(face.base, ROWS, max_jobs=2, **options).run()
    assert [point.state for point in picture.points] == ["trained", "trained"]
    assert len(face.jobs(app)) == 2
