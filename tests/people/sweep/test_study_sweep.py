"""A sweep of a study, on the emulator: the study's pruner stops points, and a run that was left continues."""

import optuna
import pytest

from gemtune.errors import InvalidInput
from gemtune.sweep import PointState
from gemtune.sweep.optuna_study import POINT
from sweep.emulated import Gemini, Vertex

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
ROWS = [(f"question {at} about item {at * 7}", f"answer {at % 5}") for at in range(40)]
SPACE = {"epoch_count": (1, 6), "learning_rate_multiplier": (0.1, 10, "log")}


def study_of(storage=None, seed=3, **more):
    given = {"pruner": optuna.pruners.NopPruner(), "direction": "minimize"} | more
    return optuna.create_study(
        storage=storage, study_name="s", load_if_exists=True, sampler=optuna.samplers.TPESampler(seed=seed), **given
    )


async def test_a_study_learns_from_the_eval_losses_of_its_points():
    app, study = Vertex.app(), study_of()
    async with Vertex.client(app) as client:
        sweep = client.sweep(Vertex.base, ROWS, study=study, space=SPACE, max_jobs=6, validation=0.3, title="s")
        picture = await sweep.run()
    assert len(Vertex.jobs(app)) == 6
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 6
    assert [trial.value for trial in study.trials] == [each.objective for each in sweep.points]
    assert [trial.params for trial in study.trials] == [dict(each.point.values) for each in sweep.points]
    assert picture.best.point.values == study.best_params
    assert all(trial.intermediate_values for trial in study.trials)


async def test_points_that_the_studys_pruner_gives_up_are_stopped_and_pruned():
    app = Vertex.app()
    study = study_of(pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=10))
    async with Vertex.client(app) as client:
        sweep = client.sweep(Vertex.base, ROWS, study=study, space=SPACE, max_jobs=10, validation=0.3)
        await sweep.run()
    stopped = [each for each in sweep.points if each.state is PointState.STOPPED]
    assert stopped
    assert {each.reason for each in stopped} == {"MedianPruner of the study gives it up"}
    pruned = [trial.user_attrs[POINT] for trial in study.trials if trial.state.name == "PRUNED"]
    assert pruned == [each.point.number for each in stopped]
    assert sum(each.saved_steps for each in stopped) > 0


@pytest.mark.parametrize("persistent", [True, False])
async def test_a_sweep_of_a_study_that_was_left_continues_with_one_trial_for_a_point(persistent, tmp_path):
    app = Gemini.app()
    storage = f"sqlite:///{tmp_path}/study.db" if persistent else None
    given = {"space": SPACE, "max_jobs": 8, "concurrency": 2, "objective": "loss", "validation": None}
    for left_after in (3, 6, None):
        study = study_of(storage)
        async with Gemini.client(app) as client:
            sweep = client.sweep(Gemini.base, ROWS, study=study, journal=tmp_path / "sweep", **given)
            async with sweep:
                ended = 0
                async for event in sweep:
                    ended += event.kind == "point_ended" and not event.replayed
                    if left_after is not None and ended == left_after:
                        break
    assert len(Gemini.jobs(app)) == 8
    assert [each.state for each in sweep.points] == [PointState.TRAINED] * 8
    trials = [trial for trial in study.trials if POINT in trial.user_attrs]
    assert sorted(trial.user_attrs[POINT] for trial in trials) == list(range(8))
    values = {trial.user_attrs[POINT]: (trial.params, trial.value) for trial in trials}
    assert values == {each.point.number: (dict(each.point.values), each.objective) for each in sweep.points}


async def test_a_study_that_does_not_fit_the_sweep_is_refused_before_anything_is_sent():
    app = Gemini.app()
    async with Gemini.client(app) as client:
        with pytest.raises(InvalidInput, match="its direction is 'minimize', and a higher exact_match is better"):
            client.sweep(Gemini.base, ROWS, study=study_of(), space=SPACE, max_jobs=4)
        with pytest.raises(InvalidInput, match="adapter_size is a hyperparameter of Vertex AI"):
            client.sweep(
                Gemini.base, ROWS, study=study_of(), space={"adapter_size": [4, 8]}, max_jobs=4, objective="loss"
            )
    assert not app.requests
