"""What is the user's own raises in the middle of a sweep: it is said as it is, jobs run on, and the next run ends."""

import pytest

from gemtune.errors import InvalidInput, MetricFailed
from gemtune.sweep import PointState
from sweep.emulated import FACES, ROWS, Wire

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


class Once:
    """Goes wrong once, at its n-th call."""

    def __init__(self, at, wrong):
        self.at, self.wrong = at, wrong

    def call(self, otherwise=None):
        self.at -= 1
        return otherwise if self.at else self.wrong()

    def verdict(self, curve, others):
        del curve, others
        return self.call()

    def score(self, answer, row):
        del answer, row
        return self.call(1.0)


def divide():
    return 1 / 0


@pytest.mark.both_backends
@pytest.mark.parametrize("broken", ["rule raises", "rule says true", "metric raises"])
async def test_what_goes_wrong_in_the_users_code_ends_the_run_and_the_next_one_ends_the_sweep(face, broken, tmp_path):
    once = Once(5, (lambda: True) if "true" in broken else divide)
    options = {"stop": once} if "rule" in broken else {"metrics": once.score, "validation": 0.4}
    options = {"space": {"epoch_count": [1, 2, 3]}, "validation": None, "objective": "loss"} | options
    error = {"rule raises": ZeroDivisionError, "rule says true": InvalidInput, "metric raises": MetricFailed}[broken]
    wire = Wire(face.app())
    async with face.client(wire.app, wire) as client:
        with pytest.raises(error):
            await client.sweep(face.base, ROWS, journal=tmp_path / "sweep", **options).run()
        assert wire.seen["cancel"] == 0
        sweep = client.sweep(face.base, ROWS, journal=tmp_path / "sweep", **options)
        await sweep.run()
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 3
    assert len(face.jobs(wire.app)) == wire.seen["create"] == 3
    if sweep.evaluation is not None:  # what was answered before the error was not asked again
        assert wire.seen["ask"] == len(sweep.evaluation.models) * len(sweep.evaluation.rows)
