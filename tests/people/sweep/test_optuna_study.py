"""A study chooses the points: one trial for a point whatever crashes, no point twice, and nothing of Optuna leaks."""

import contextlib
import math
import subprocess
import sys
import threading

import anyio
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from gemtune.errors import GemtuneError, InvalidInput, SettingsError
from gemtune.sweep.optuna_study import POINT, REPEATS, SWEEP, distributions_of, study_points
from gemtune.sweep.space import SweepSpace

SPACE = SweepSpace.of({"epoch_count": (1, 8), "learning_rate_multiplier": (0.1, 10, "log")})


def study_of(seed=1, *, pruner=None, storage=None, sampler=None, direction="minimize"):
    return optuna.create_study(
        sampler=sampler or optuna.samplers.TPESampler(seed=seed),
        pruner=pruner,
        storage=storage,
        study_name="mine",
        load_if_exists=True,
        direction=direction,
    )


def points(study, space=SPACE, max_jobs=24, better="lower"):
    return study_points(study, space, max_jobs=max_jobs, better=better)


def loss(values):
    return math.log(values["learning_rate_multiplier"]) ** 2 + (values["epoch_count"] - 5) ** 2 / 10


def states(study):
    return [each.state.name for each in study.get_trials()]


def test_our_ranges_and_optunas_own_distributions_mean_the_same():
    own = {
        "epoch_count": IntDistribution(1, 8),
        "learning_rate_multiplier": FloatDistribution(0.1, 10, log=True),
        "adapter_size": CategoricalDistribution([4, 8]),
    }
    ours = {"epoch_count": (1, 8), "learning_rate_multiplier": (0.1, 10, "log"), "adapter_size": [4, 8]}
    assert SweepSpace.of(own) == SweepSpace.of(ours)
    assert distributions_of(SweepSpace.of(ours)) == own
    stepped = SweepSpace.of({"epoch_count": {"low": 2, "high": 9, "step": 2}})
    assert distributions_of(stepped) == {"epoch_count": IntDistribution(2, 8, step=2)}  # Optuna would warn of 9
    with pytest.raises(InvalidInput, match="epoch_count is a whole number: give an IntDistribution"):
        SweepSpace.of({"epoch_count": FloatDistribution(1, 8)})


async def test_a_study_is_asked_and_told_and_learns():
    study = study_of()
    source = points(study)
    for number in range(24):
        values = await source.ask(number)
        assert await source.ask(number) == values
        await source.tell(number, loss(values))
    assert await source.ask(24) is None
    assert states(study) == ["COMPLETE"] * 24
    assert [each.user_attrs[POINT] for each in study.get_trials()] == list(range(24))
    assert study.best_value < 0.1


async def test_a_point_ends_complete_pruned_or_failed_and_is_told_once():
    study = study_of()
    source = points(study)
    for number in range(4):
        await source.ask(number)
    assert await source.report(1, 10, 3.0) is None
    await source.tell(0, 0.5)
    await source.tell(1, 3.0, stopped=True)
    await source.tell(2, None)
    await source.tell(3, math.nan)
    await source.tell(0, 0.9)
    assert states(study) == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert [each.value for each in study.get_trials()] == [0.5, 3.0, None, None]
    assert await source.report(0, 20, 1.0) is None


async def test_the_studys_pruner_gives_a_point_up_in_words():
    study = study_of(pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    source = points(study)
    await source.ask(0)
    await source.ask(1)
    for step in (10, 20):
        assert await source.report(0, step, 1.0) is None
    await source.tell(0, 1.0)
    assert await source.report(1, 10, 5.0) == "MedianPruner of the study gives it up"
    assert await source.report(1, 10, 9.0) is None  # a step is reported once
    assert study.get_trials()[1].intermediate_values == {10: 5.0}


async def test_a_study_made_anew_gets_the_trials_of_the_journal_and_not_the_users_queue():
    first = points(study_of())
    earlier = {number: await first.ask(number) for number in range(3)}
    study = study_of()
    study.enqueue_trial({"epoch_count": 7, "learning_rate_multiplier": 2.0})
    second = points(study)
    for number, values in earlier.items():
        await second.adopt(number, values)
        await second.adopt(number, values)
    assert {number: await second.ask(number) for number in earlier} == earlier
    await second.report(1, 10, 2.0)
    await second.tell(1, 2.0)
    assert await second.ask(3) == {"epoch_count": 7, "learning_rate_multiplier": 2.0}
    mine = {each.user_attrs[POINT]: each for each in study.get_trials() if POINT in each.user_attrs}
    assert {number: trial.params for number, trial in mine.items() if number < 3} == earlier
    assert (mine[1].state, mine[1].value, mine[1].intermediate_values) == (TrialState.COMPLETE, 2.0, {10: 2.0})
    assert len(study.get_trials()) == 4


async def test_a_persistent_study_has_one_trial_for_a_point_after_any_number_of_runs(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    first = points(study_of(storage=storage))
    earlier = {number: await first.ask(number) for number in range(3)}
    await first.report(0, 10, 4.0)
    await first.tell(0, 0.5)
    await first.report(1, 10, 4.0)
    for _ in range(2):
        study = study_of(storage=storage)
        later = points(study)
        for number, values in earlier.items():
            await later.adopt(number, values)
        assert await later.report(1, 10, 4.0) is None
        await later.report(1, 20, 3.0)
        await later.tell(0, 0.7)  # it was told before
        assert states(study) == ["COMPLETE", "RUNNING", "RUNNING"]
    await later.tell(1, 2.0)
    await later.tell(2, 1.0, stopped=True)
    assert states(study) == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert study.get_trials()[0].value == 0.5
    assert study.get_trials()[1].intermediate_values == {10: 4.0, 20: 3.0}


class Dies(optuna.samplers.RandomSampler):
    """Dies at one of the values that it is asked for."""

    def __init__(self, at, seed=1):
        super().__init__(seed=seed)
        self.left = at

    def sample_independent(self, *args):
        self.left -= 1
        if not self.left:
            raise OSError("the database is gone")
        return super().sample_independent(*args)


@pytest.mark.parametrize("at", [3, 4])
async def test_a_trial_that_was_asked_for_and_is_in_no_journal_becomes_the_next_point(at, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study_of(storage=storage).ask()  # somebody else's
    another = points(study_of(storage=storage))
    another.begin("sweep-2")
    await another.ask(0)
    first = points(study_of(storage=storage, sampler=Dies(at)))
    first.begin("sweep-1")
    known = await first.ask(0)
    with pytest.raises(GemtuneError, match="the study could not be asked for point 1: the database is gone"):
        await first.ask(1)
    study = study_of(2, storage=storage)
    later = points(study)
    later.begin("sweep-1")
    await later.adopt(0, known)
    found = [await later.ask(number) for number in (1, 2)]
    for number in range(3):
        await later.tell(number, 1.0)
    assert set(found[0]) == set(SPACE.dimensions)
    assert states(study) == ["RUNNING", "RUNNING", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert [each.user_attrs.get(SWEEP) for each in study.get_trials()] == [None, "sweep-2", *["sweep-1"] * 3]
    assert [each.user_attrs[POINT] for each in study.get_trials()[2:]] == [0, 1, 2]


async def test_a_run_that_dies_before_its_journal_loses_no_cell_of_a_grid_and_nothing_of_the_users_queue(tmp_path):
    grid, storage = {"epoch_count": [2, 4], "learning_rate_multiplier": [0.5, 1.0]}, f"sqlite:///{tmp_path}/study.db"

    def again():
        study = study_of(storage=storage, sampler=optuna.samplers.GridSampler(grid))
        source = points(study, SweepSpace.of(grid), max_jobs=10)
        source.begin("sweep-1")
        return study, source

    study, source = again()
    study.enqueue_trial({"epoch_count": 4, "learning_rate_multiplier": 1.0})
    queued = await source.ask(0)  # and the run dies
    study, source = again()
    found = [await source.ask(number) for number in range(4)]
    assert found[0] == queued == {"epoch_count": 4, "learning_rate_multiplier": 1.0}
    assert len({tuple(values.items()) for values in found}) == 4
    for number in range(4):
        await source.tell(number, 1.0)
    assert {each.state for each in study.get_trials() if REPEATS not in each.user_attrs} == {TrialState.COMPLETE}


async def test_a_point_is_not_the_trial_that_another_sweep_has_with_the_same_values():
    study, values = study_of(), {"epoch_count": 2, "learning_rate_multiplier": 1.0}
    for sweep in ("sweep-1", "sweep-2"):
        source = points(study)
        source.begin(sweep)
        await source.adopt(0, values)
        await source.tell(0, 1.0)
    assert [each.user_attrs[SWEEP] for each in study.get_trials()] == ["sweep-1", "sweep-2"]


async def test_a_storage_that_cannot_be_read_is_an_error_of_ours_where_the_study_is_given(tmp_path):
    study = study_of(storage=f"sqlite:///{tmp_path}/study.db")
    (tmp_path / "study.db").write_bytes(b"something else")
    with pytest.raises(GemtuneError, match="the study could not be asked for its trials: "):
        points(study, None)


async def test_values_that_the_study_proposes_again_are_not_tuned_again():
    space = SweepSpace.of({"epoch_count": [2, 4], "adapter_size": [4, 8]})
    study = study_of(sampler=optuna.samplers.RandomSampler(seed=1))
    source = points(study, space)
    found = []
    while (values := await source.ask(len(found))) is not None:
        await source.tell(len(found), float(values["epoch_count"]))
        found.append(values)
    assert len(found) == 4
    assert len({tuple(values.items()) for values in found}) == 4
    repeats = [each for each in study.get_trials() if REPEATS in each.user_attrs]
    assert len(repeats) >= 50
    assert all(each.value == each.params["epoch_count"] for each in repeats)


async def test_a_grid_sampler_ends_without_the_error_that_optuna_raises_then():
    grid = {"epoch_count": [2, 4], "learning_rate_multiplier": [0.5, 1.0]}
    study = study_of(sampler=optuna.samplers.GridSampler(grid))
    source = points(study, SweepSpace.of(grid), max_jobs=10)
    for number in range(4):
        assert await source.ask(number) is not None
    assert await source.ask(4) is None
    for number in range(4):
        await source.tell(number, 1.0)
    assert await source.ask(4) is None
    assert [each.state for each in study.get_trials() if POINT in each.user_attrs] == [TrialState.COMPLETE] * 4


async def test_a_higher_objective_goes_to_a_study_that_maximizes():
    source = points(study_of(direction="maximize"), better="higher")
    await source.ask(0)
    await source.tell(0, 0.9)
    assert source.study.best_value == 0.9


async def test_without_a_space_it_is_that_of_the_studys_own_trials():
    study = study_of()
    first = points(study)
    await first.ask(0)
    await first.tell(0, 1.0)
    again = points(study, None)
    assert {*await again.ask(1)} == {"epoch_count", "learning_rate_multiplier"}


async def test_a_study_is_asked_in_a_worker_thread_and_never_by_two_at_once():
    threads, together, pair = [], [], threading.Barrier(2)

    class Slow(optuna.samplers.RandomSampler):
        def sample_independent(self, *args):
            threads.append(threading.get_ident())
            if len(threads) == 1 or together:
                # Whoever else is in here meets this thread; nobody comes.
                with contextlib.suppress(threading.BrokenBarrierError):
                    together.append(pair.wait(0.2))
            elif pair.n_waiting:
                pair.wait(0.2)
            return super().sample_independent(*args)

    source = points(study_of(sampler=Slow(seed=1)))
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(source.ask, number)
    assert len(threads) == 16
    assert together == []
    assert threading.get_ident() not in threads


async def test_a_study_hears_of_an_end_whatever_is_cancelled_meanwhile():
    study = study_of()
    source = points(study)
    await source.ask(0)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await source.tell(0, 0.5)
    assert study.get_trials()[0].value == 0.5


async def test_what_optuna_raises_is_an_error_of_ours():
    class Broken(optuna.samplers.RandomSampler):
        def sample_independent(self, *args):
            raise KeyError("the database\nis gone")

    source = points(study_of(sampler=Broken()))
    with pytest.raises(GemtuneError, match=r"the study could not be asked for point 0: 'the database\\nis gone'"):
        await source.ask(0)


async def test_optuna_says_nothing_on_the_users_terminal(capfd):
    source = points(study_of(pruner=optuna.pruners.MedianPruner()))
    capfd.readouterr()
    for number in range(6):
        values = await source.ask(number)
        await source.report(number, 10, loss(values))
        await source.tell(number, loss(values), stopped=number % 2 == 0)
    assert capfd.readouterr() == ("", "")


WRONG = [
    (lambda: points(3), "study must be an optuna.Study, not 3"),
    (lambda: points(optuna.samplers.RandomSampler()), "study must be an optuna.Study, not RandomSampler"),
    (
        lambda: points(optuna.create_study(directions=["minimize", "maximize"])),
        "study: it has 2 objectives, and a sweep has one, objective",
    ),
    (
        lambda: points(study_of(direction="maximize")),
        ("study: its direction is 'maximize', and a lower objective is better; make it with the direction 'minimize'"),
    ),
    (lambda: points(study_of(), max_jobs=None), "a study has no end; say how many points to try at most"),
    (
        lambda: points(study_of(), None),
        "study: it has no trials yet, so that nothing says what to choose; say between which values with space",
    ),
    (
        lambda: points(study_of(), SweepSpace.of([{"epoch_count": 2}])),
        "space: a study chooses between limits, and a list of points has none",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_a_study_that_does_not_fit_is_refused_before_anything_is_tuned(call, message):
    with pytest.raises(InvalidInput) as raised:
        call()
    assert str(raised.value) == message


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    study = study_of()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingsError, match=r"a study needs Optuna; run pip install 'gemtune\[optuna\]'"):
        points(study)


def test_a_space_and_its_points_do_not_import_optuna():
    program = "import sys, gemtune.sweep.optuna_study, gemtune.sweep.sources; print('optuna' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
