"""Sweeps played on the emulator's response surface: no service, no client, only who is created and who is given up."""

import itertools
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import attrs

from gemtune.emulator.world.surface import MadeCurve, Recipe, losses
from gemtune.sweep.chooser import PointCurve, StopRule

EXAMPLES = 500
GRIDS = {
    "epochs × rate": {
        "epoch_count": [2, 4, 8, 16],
        "learning_rate_multiplier": [0.1, 0.3, 1, 2, 5, 10],
    },
    "epochs × rate × adapter": {
        "epoch_count": [2, 4, 8],
        "learning_rate_multiplier": [0.5, 1, 2, 4],
        "adapter_size": [4, 8],
    },
    "epochs × rate × batch": {
        "epoch_count": [3, 6, 12],
        "learning_rate_multiplier": [0.25, 1, 3, 8],
        "batch_size": [4, 16],
    },
}
"""Grids of 24 points."""


@attrs.frozen(kw_only=True)
class Training:
    """One point's whole training, as it would go if nobody stopped it."""

    number: int
    values: Mapping[str, float | int]
    curve: MadeCurve

    @classmethod
    def of(cls, seed: int, number: int, values: Mapping[str, float | int]) -> "Training":
        recipe = Recipe(
            seed=seed,
            name=f"point {number}",
            examples=EXAMPLES,
            batch_size=int(values.get("batch_size", 4)),
            rate=float(values.get("learning_rate_multiplier", 1)),
            adapter=int(values.get("adapter_size", 4)),
        )
        return cls(number=number, values=values, curve=losses(recipe, int(values["epoch_count"])))

    @property
    def total(self) -> int:
        return len(self.curve.losses)

    @property
    def final(self) -> float:
        return self.curve.eval_losses[-1][1]

    def until(self, step: int, *, measured: bool = True) -> PointCurve:
        done = bisect_right(self.curve.eval_losses, step, key=lambda each: each[0]) if measured else 0
        return PointCurve(
            number=self.number,
            total=self.total,
            losses=self.curve.losses[:step],
            eval_losses=self.curve.eval_losses[:done],
            epochs=int(self.values["epoch_count"]),
            ended=step == self.total,
        )


@attrs.frozen(kw_only=True)
class Played:
    """How a sweep went: which points trained to their end, and which were stopped, at which step and why."""

    trainings: Sequence[Training]
    trained: Mapping[int, int]
    stopped: Mapping[int, tuple[int, str]]

    @property
    def saved(self) -> float:
        """The share of all steps that was not taken."""
        total = sum(each.total for each in self.trainings)
        return sum(self.trainings[number].total - step for number, (step, _) in self.stopped.items()) / total

    @property
    def best(self) -> Training:
        """The best point, had nobody stopped any."""
        return min(self.trainings, key=lambda each: each.final)

    @property
    def found(self) -> Training:
        """The best of those that trained to their end."""
        return min((self.trainings[number] for number in self.trained), key=lambda each: each.final)


def grid(name: str, seed: int) -> list[Training]:
    """Return all trainings of a grid, in the order of nested loops."""
    axes = GRIDS[name]
    combinations = itertools.product(*axes.values())
    return [Training.of(seed, number, dict(zip(axes, each, strict=True))) for number, each in enumerate(combinations)]


def play(
    trainings: Sequence[Training],
    rules: Sequence[StopRule],
    *,
    at_a_time: int = 4,
    look: int = 12,
    measured: bool = True,
    shuffled: int | None = None,
) -> Played:
    """Run a sweep: a step of every running point takes the same time, and the rules are asked every ``look`` steps."""
    waiting = list(range(len(trainings)))
    if shuffled is not None:
        random.Random(shuffled).shuffle(waiting)
    waiting.reverse()
    running: dict[int, int] = {}
    curves: dict[int, PointCurve] = {}
    trained: dict[int, int] = {}
    stopped: dict[int, tuple[int, str]] = {}
    while waiting or running:
        while waiting and len(running) < at_a_time:
            running[waiting.pop()] = 0
        for number in list(running):
            running[number] = step = min(running[number] + look, trainings[number].total)
            curves[number] = curve = trainings[number].until(step, measured=measured)
            others = [each for other, each in curves.items() if other != number]
            if curve.ended:
                trained[number] = running.pop(number)
            elif (said := next(filter(None, (rule.verdict(curve, others) for rule in rules)), None)) is not None:
                stopped[number] = (running.pop(number), said)
    return Played(trainings=trainings, trained=trained, stopped=stopped)
