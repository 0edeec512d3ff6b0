"""What another call may ask of a sweep that an earlier one has begun."""

import pytest

from gemtune.errors import InvalidInput
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
