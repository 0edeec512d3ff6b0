"""A sweep that an Optuna study leads: its sampler chooses the points, its pruner gives them up, and it resumes."""

import optuna
import pytest

from gemtune.sweep import PointState
from sweep.emulated import ROWS, Gemini, Wire, kinds

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
SPACE = {"epoch_count": (1, 6), "learning_rate_multiplier": (0.1, 4.0, "log")}
LOSS = {"objective": "loss", "validation": None}


def make_study(pruner=None, seed=3):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=seed), pruner=pruner or optuna.pruners.NopPruner()
    )


@pytest.mark.both_backends
async def test_a_study_is_asked_for_every_point_and_told_how_each_ended():
    study = make_study()
    async with Gemini.client(Gemini.app()) as client:
        sweep = client.sweep(Gemini.base, ROWS, space=SPACE, study=study, max_jobs=6, **LOSS)
        await sweep.run()
    assert len(sweep.points) == len(study.trials) == 6
    assert study.best_value == sweep.best.objective
    assert study.best_params == dict(sweep.best.point.values)


async def test_a_studys_pruner_stops_points():
    study = make_study(optuna.pruners.ThresholdPruner(upper=0.001, n_warmup_steps=2))
    wire = Wire(Gemini.app())
    async with Gemini.client(wire.app, wire) as client:
        sweep = client.sweep(Gemini.base, ROWS * 4, space=SPACE, study=study, max_jobs=3, **LOSS)
        await sweep.run()
    stopped = [each for each in sweep.points if each.state is PointState.STOPPED]
    assert stopped
    assert "ThresholdPruner" in stopped[0].reason
    assert [trial.state.name for trial in study.trials].count("PRUNED") == len(stopped)


async def test_a_resumed_sweep_tells_a_new_study_of_all_that_was_before_it_asks(tmp_path):
    wire = Wire(Gemini.app())
    asked = {"space": SPACE, "max_jobs": 6, "concurrency": 2, "journal": tmp_path / "sweep", **LOSS}
    async with Gemini.client(wire.app, wire) as client:
        async with client.sweep(Gemini.base, ROWS, study=make_study(), **asked) as sweep:
            async for event in sweep:
                if event.kind == "point_ended":
                    break
        study = make_study(seed=4)
        second = client.sweep(Gemini.base, ROWS, study=study, **asked)
        await second.run()
    assert len(study.trials) == len(wire.app.store.tuned_models) == 6
    assert all(trial.state.name == "COMPLETE" for trial in study.trials)
    assert study.trials[0].intermediate_values
    assert study.best_value == second.best.objective


async def test_at_most_four_points_of_a_study_run_at_a_time():
    most = 0
    async with (
        Gemini.client(Gemini.app()) as client,
        client.sweep(Gemini.base, ROWS, space=SPACE, study=make_study(), max_jobs=8, **LOSS) as sweep,
    ):
        async for _ in sweep:
            running = (PointState.RUNNING, PointState.WAITING)
            most = max(most, sum(each.state in running for each in sweep.points))
    assert most == 4
    assert await kinds(sweep) == []
