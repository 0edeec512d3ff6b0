"""A sweep that an Optuna study leads: its sampler chooses the points, its pruner gives them up, and it resumes."""

import optuna
import pytest

from gemtune.errors import GemtuneError
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


class Falls(optuna.samplers.RandomSampler):
    """A sampler, and with ``prune`` a pruner, that breaks once, at its n-th call."""

    def __init__(self, where, at):
        super().__init__(seed=1)
        self.where, self.left = where, at

    def count(self, where):
        self.left -= self.where == where
        if self.where == where and not self.left:
            raise OSError("the database is gone")

    def sample_independent(self, *args):
        self.count("asked")
        return super().sample_independent(*args)

    def after_trial(self, *args):
        self.count("ended")
        return super().after_trial(*args)

    def prune(self, *_):
        self.count("told")
        return False


@pytest.mark.parametrize(("where", "at"), [("asked", 7), ("ended", 2), ("told", 9)])
@pytest.mark.parametrize("persistent", [True, False])
async def test_a_study_that_breaks_ends_the_run_in_our_words_and_the_next_one_loses_nothing(
    where, at, persistent, tmp_path
):
    storage = f"sqlite:///{tmp_path}/study.db" if persistent else None
    broken, wire = Falls(where, at), Wire(Gemini.app())
    options = {"space": SPACE, "max_jobs": 5, "concurrency": 2, "journal": tmp_path / "sweep", **LOSS}

    class Pruner(optuna.pruners.BasePruner):
        def prune(self, *_):
            return broken.prune()

    def study():
        return optuna.create_study(
            storage=storage, study_name="s", load_if_exists=True, sampler=broken, pruner=Pruner()
        )

    async with Gemini.client(wire.app, wire) as client:
        with pytest.raises(GemtuneError, match=r"the study could not be (asked|told) .*: the database is gone"):
            await client.sweep(Gemini.base, ROWS, study=study(), **options).run()
        assert wire.seen["cancel"] == 0
        again = study()
        sweep = client.sweep(Gemini.base, ROWS, study=again, **options)
        await sweep.run()
    assert len(wire.app.store.tuned_models) == wire.seen["create"] == len(sweep.points) == 5
    assert [trial.state.name for trial in again.trials] == ["COMPLETE"] * 5
    assert sorted(trial.value for trial in again.trials) == sorted(each.objective for each in sweep.points)
