"""The points of a sweep from an Optuna study of the user's (extra ``optuna``), by asking it and telling it.

Sampler and pruner are the study's own; nothing here chooses. What it adds is what a sweep needs:

- *One trial for a point, whatever crashes.* A trial carries the user attributes ``gemtune_sweep``, the sweep's id, and
  ``gemtune_point``. A later run finds it in a storage that persists; in a study that was made anew, the trial is made
  again with the values of the journal. A run that dies after the study was asked and before the point is in the journal
  leaves a trial that nobody would ever tell anything: it becomes the next point. (To let it fail would lose a cell of a
  grid, or what the user has put into the study's queue.) Only a trial with this sweep's id is taken.
- *No point twice.* A study may propose the same values again. Such a trial gets the value of the earlier point if that
  is known, and fails otherwise, so that nothing is tuned twice; after some of them in a row there are no more points.
- *No waiting in the loop.* A study blocks, on a database or on a Gaussian process, and may not be used by two threads
  at once: it is asked in a worker thread, one call at a time.

Optuna is not imported before a study is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import anyio
import anyio.to_thread
import attrs

from gemtune import checks
from gemtune.errors import GemtuneError, InvalidInput, SettingsError
from gemtune.remedy import Argument, Remedy
from gemtune.sweep.dimension import ValueList, ValueRange
from gemtune.sweep.space import SweepSpace
from gemtune.types import Hyperparameters

SWEEP: Final = "gemtune_sweep"
"""The user attribute of a trial that says of which sweep it is."""
POINT: Final = "gemtune_point"
"""The user attribute of a trial that says which point it is."""
REPEATS: Final = "gemtune_repeats"
"""The user attribute of a trial that proposes the values of an earlier point, and says of which."""
# A study that has proposed nothing new so many times in a row has nothing new.
_IN_VAIN: Final = 50
T = TypeVar("T")


@attrs.define(eq=False)
class StudyPoints:
    """The points that a study proposes, by number.

    Args:
        study: The study.
        space: What each hyperparameter may be.
        total: How many points there may be.
    """

    study: Any
    space: SweepSpace
    total: int | None
    _sweep: str = attrs.field(default="", init=False)
    _trials: dict[int, _StudyTrial] = attrs.field(factory=dict, init=False, repr=False)
    _lock: anyio.Lock = attrs.field(factory=anyio.Lock, init=False, repr=False)

    def begin(self, sweep: str) -> None:
        """Learn the id of the sweep, by which a later run knows its trials."""
        self._sweep = sweep

    async def ask(self, number: int) -> Mapping[str, float | int] | None:
        """Return the values of the point of a number; None if the study has no more, or there may be no more."""
        if number in self._trials:
            return self._trials[number].values
        if self.total is not None and number >= self.total:
            return None
        return await self._call(f"asked for point {number}", lambda: self._ask(number))

    async def adopt(self, number: int, values: Mapping[str, float | int]) -> None:
        """Take over a point of an earlier run: the trial that is in the storage, or a new one with its values."""
        if number not in self._trials:
            await self._call(f"given point {number} again", lambda: self._adopt(number, values))

    async def report(self, number: int, step: int, value: float) -> str | None:
        """Report a value to the study's pruner; return in words that it gives the point up, or None.

        Only the first value of a step is reported.
        """
        trial = self._trials.get(number)
        if trial is None or trial.finished or step in trial.reported:
            return None
        trial.reported.add(step)
        pruned = await self._call(f"told of point {number}", lambda: trial.report(step, value))
        return f"{type(self.study.pruner).__name__} of the study gives it up" if pruned else None

    async def tell(self, number: int, value: float | None, *, stopped: bool = False) -> None:
        """Tell the study how a point has ended: complete, pruned, or failed."""
        trial = self._trials.get(number)
        if trial is None or trial.finished:
            return
        trial.finished, trial.value = True, value
        # The end of the last point is the end of the sweep, which is cancelled then; the study has to hear of it.
        with anyio.CancelScope(shield=True):
            await self._call(f"told how point {number} ended", lambda: self._finish(trial, value, stopped=stopped))

    async def _call(self, what: str, call: Callable[[], T]) -> T:
        async with self._lock:
            try:
                return await anyio.to_thread.run_sync(call)
            except GemtuneError:
                raise
            except Exception as error:
                raise _failed(what, error) from error

    @cached_property
    def _distributions(self) -> dict[str, Any]:
        return distributions_of(self.space)

    def _ask(self, number: int) -> Mapping[str, float | int] | None:
        tried = {_key(each.values): known for known, each in self._trials.items()}
        for _ in range(_IN_VAIN):
            trial = self._orphan()
            if trial is None:
                exhausted = getattr(self.study.sampler, "is_exhausted", None)
                if exhausted is not None and exhausted(self.study):
                    return None
                trial = self.study.ask()
                # At once: a sampler may think for seconds, and a database fail, before all values are chosen.
                trial.set_user_attr(SWEEP, self._sweep)
            self._choose(trial)
            repeated = tried.get(_key(trial.params))
            if repeated is None:
                trial.set_user_attr(POINT, number)
                self._trials[number] = _StudyTrial(trial, dict(trial.params))
                return self._trials[number].values
            trial.set_user_attr(REPEATS, repeated)
            known = self._trials[repeated]
            self._finish(_StudyTrial(trial, dict(trial.params)), known.value if known.finished else None)
        return None

    def _orphan(self) -> Any:
        """Return a trial of this sweep that no point has, because a run has died too early; None if there is none."""
        from optuna.trial import Trial, TrialState

        if not self._sweep:
            return None
        bound = {each.trial.number for each in self._trials.values() if each.trial is not None}
        for each in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if each.user_attrs.get(SWEEP) == self._sweep and each.number not in bound:
                return Trial(self.study, each._trial_id)
        return None

    def _choose(self, trial: Any) -> None:
        """Have the study choose the values of a trial; what has been chosen stays."""
        for name, each in self._distributions.items():
            if hasattr(each, "choices"):
                trial.suggest_categorical(name, each.choices)
            elif isinstance(each.low, int):
                trial.suggest_int(name, each.low, each.high, step=each.step, log=each.log)
            else:
                trial.suggest_float(name, each.low, each.high, step=each.step, log=each.log)

    def _adopt(self, number: int, values: Mapping[str, float | int]) -> None:
        from optuna.trial import Trial, TrialState, create_trial

        stored = next(
            (
                each
                for each in self.study.get_trials(deepcopy=False)
                if each.user_attrs.get(SWEEP, self._sweep) == self._sweep
                and each.user_attrs.get(POINT) == number
                and _key(each.params) == _key(values)
            ),
            None,
        )
        if stored is None:
            # Not by enqueue_trial: the next trial asked for would be the first in the queue, which may be the user's.
            # "fixed_params" keeps a sampler that counts its trials, such as that of a grid, from counting this one.
            fixed = {"fixed_params": dict(values)}
            made = create_trial(
                state=TrialState.RUNNING,
                params=dict(values),
                distributions=dict(self._distributions),
                user_attrs={SWEEP: self._sweep, POINT: number},
                system_attrs=fixed,
            )
            self.study.add_trial(made)
            stored = self.study.get_trials(deepcopy=False)[-1]
        self._trials[number] = _StudyTrial(
            # To a trial that has ended nothing is told any more, and a sampler must not begin it again.
            None if stored.state.is_finished() else Trial(self.study, stored._trial_id),
            dict(values),
            reported=set(stored.intermediate_values),
            finished=stored.state.is_finished(),
            value=stored.value if stored.state.is_finished() else None,
        )

    def _finish(self, trial: _StudyTrial, value: float | None, *, stopped: bool = False) -> None:
        from optuna.trial import TrialState

        told: dict[str, Any] = {"values": value, "state": TrialState.COMPLETE}
        if stopped:
            told = {"state": TrialState.PRUNED}
        elif value is None or math.isnan(value):
            told = {"state": TrialState.FAIL}
        try:
            self.study.tell(trial.trial, **told)
        except RuntimeError:
            # At the end of its grid a sampler stops the study, which Optuna allows inside optimize() only. By then the
            # trial is finished.
            if not self.study.get_trials(deepcopy=False)[trial.trial.number].state.is_finished():
                raise


@attrs.define(eq=False)
class _StudyTrial:
    """A trial and what the study was told of it."""

    trial: Any
    values: Mapping[str, float | int]
    reported: set[int] = attrs.field(factory=set, kw_only=True)
    finished: bool = attrs.field(default=False, kw_only=True)
    value: float | None = attrs.field(default=None, kw_only=True)

    def report(self, step: int, value: float) -> bool:
        self.trial.report(value, step)
        return bool(self.trial.should_prune())


def study_points(
    study: object,
    space: object,
    *,
    max_jobs: int | None,
    better: Literal["lower", "higher"],
    objective: str = "objective",
    service: Literal["gemini", "vertex"] | None = None,
    shared: Hyperparameters | None = None,
) -> StudyPoints:
    """Return the points that a study proposes.

    Args:
        study: An ``optuna.Study`` with one objective.
        space: What each hyperparameter may be, as for ``SweepSpace.of``; None takes it from the trials that the study
            has already.
        max_jobs: How many points there may be.
        better: Whether a lower or a higher objective is better, which must be the study's direction.
        objective: What it is called, for messages.
        service: The service, which has some hyperparameters and not others.
        shared: What all points have in common.

    Raises:
        InvalidInput: It is no study, has several objectives or another direction, or there is no space.
        SettingsError: Optuna is not installed.
    """
    kind = f"{type(study).__module__}.{type(study).__name__}"
    if not kind.startswith("optuna."):
        checks.refuse("study", "an optuna.Study", study)
    optuna = optuna_module()
    if not isinstance(study, optuna.study.Study):
        checks.refuse("study", "an optuna.Study", study)
    if max_jobs is None:
        raise InvalidInput("a study has no end", Remedy("say how many points to try at most"), field="max_jobs")
    checks.whole("max_jobs", max_jobs)
    _check_direction(study, better, objective)
    if space is None:
        found = _space_of_trials(study)
        if not found:
            between = Remedy("say between which values with ", Argument("space"))
            raise InvalidInput(
                "study: it has no trials yet, so that nothing says what to choose", between, field="study"
            )
        space = found
    chosen = SweepSpace.of(space, service=service, shared=shared)
    if chosen.listed:
        raise InvalidInput("space: a study chooses between limits, and a list of points has none", field="space")
    return StudyPoints(study, chosen, max_jobs)


def distributions_of(space: SweepSpace) -> dict[str, Any]:
    """Return a space in Optuna's distributions."""
    return {name: _distribution(each) for name, each in space.dimensions.items()}


def optuna_module() -> Any:
    """Return Optuna.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        import optuna
    except ImportError:
        what = "a study needs Optuna"
        raise SettingsError(what, Remedy("run pip install 'gemtune[optuna]'"), field="study") from None
    return optuna


def _space_of_trials(study: Any) -> dict[str, Any]:
    """Return what the trials of a study have all chosen from."""
    try:
        found: dict[str, Any] = optuna_module().search_space.intersection_search_space(study.get_trials(deepcopy=False))
    except Exception as error:
        raise _failed("asked for its trials", error) from error
    return found


def _failed(what: str, error: Exception) -> GemtuneError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return GemtuneError(f"the study could not be {what}: {reason}")


def _check_direction(study: Any, better: Literal["lower", "higher"], objective: str) -> None:
    if len(study.directions) != 1:
        what = f"study: it has {len(study.directions)} objectives, and a sweep has one, {objective}"
        raise InvalidInput(what, field="study")
    direction = study.direction.name.lower()
    wanted = "minimize" if better == "lower" else "maximize"
    if direction != wanted:
        what = f"study: its direction is {direction!r}, and a {better} {objective} is better"
        raise InvalidInput(what, Remedy(f"make it with the direction {wanted!r}"), field="study")


def _distribution(dimension: ValueList | ValueRange) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, ValueList):
        return CategoricalDistribution(dimension.values)
    low, high, step = dimension.low, dimension.high, dimension.step
    if step is not None and dimension.size is not None:
        # Optuna warns of a range that is no whole number of steps, and cuts it there.
        high = low + (dimension.size - 1) * step
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=dimension.log, step=1 if step is None else int(step))
    return FloatDistribution(float(low), float(high), log=dimension.log, step=step)


def _key(values: Mapping[str, float | int]) -> frozenset[tuple[str, float | int]]:
    return frozenset(values.items())
