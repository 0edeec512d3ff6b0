"""What stop rules save of a sweep, how often the best point is still found, and what else than a grid finds it.

Sweeps of 24 points, four at a time, on the emulator's response surface (``gemtune/emulator/world/surface.py``): no
service, no client, and the same figures every time. Rules are asked every twelve steps, about ten times a pass.

    python benchmarks/sweep_rules.py [--seeds 20] [--search | --size] [--json FILE]

``--search`` compares a grid, gemtune's sample of ranges and Optuna's TPE (extra ``optuna``) at 24 points each.
``--size`` asks each rule at every one of 300 values of 10, 100 and 1,000 points that run at once: what a value costs
must not grow with the points. ``tests/sweep/test_standings.py`` gates how often a curve is looked at.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import attrs

# In place of this folder, whose modules have names that the tests need.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from gemtune.sweep.chooser import PointCurve
from gemtune.sweep.curves import LossTrack
from gemtune.sweep.rules import RULES, resolve_rules
from gemtune.sweep.sources import points_of
from gemtune.sweep.space import SweepSpace
from gemtune.sweep.standings import CurveField
from sweeping import GRIDS, Played, Training, grid, play

RECOMMENDED = ("forecast", "overfitting", "diverging")
TOLERANCE = 0.1
"""A point whose eval loss is within so much of the best one's is nearly as good."""
RANGES = {"epoch_count": (1, 16), "learning_rate_multiplier": (0.1, 10, "log")}


def figures(sweeps: Sequence[Played]) -> dict[str, Any]:
    found = [sweep.found.number == sweep.best.number for sweep in sweeps]
    near = [sweep.found.final <= (1 + TOLERANCE) * sweep.best.final for sweep in sweeps]
    worst = max(sweep.found.final / sweep.best.final for sweep in sweeps)
    saved = statistics.fmean(sweep.saved for sweep in sweeps)
    return {"saved": saved, "found": sum(found), "near": sum(near), "worst": worst, "sweeps": len(sweeps)}


def rules(seeds: int) -> list[dict[str, Any]]:
    """Return the figures of every rule on every grid, with and without losses on validation data."""
    rows: list[dict[str, Any]] = []
    for name in GRIDS:
        grids = [grid(name, seed) for seed in range(seeds)]
        for stop in ((), *((each,) for each in RULES), RECOMMENDED):
            for how, options in (("", {}), ("all at a time", {"at_a_time": 24}), ("no eval loss", {"measured": False})):
                if how and stop not in {("forecast",), RECOMMENDED}:
                    continue
                sweeps = [play(trainings, resolve_rules(list(stop)), **options) for trainings in grids]
                rows.append({"grid": name, "stop": " + ".join(stop) or "none", "how": how} | figures(sweeps))
                show(rows[-1])
    return rows


def show(row: dict[str, Any]) -> None:
    name = ", ".join(filter(None, (row["stop"], row["how"])))
    print(
        f"| {row['grid']:24} | {name:48} | {row['saved']:4.0%} | {row['found']:2} | {row['near']:2} | "
        f"{row['worst']:5.2f} |",
        flush=True,
    )


async def searched(seed: int, how: str) -> list[Training]:
    """Return the 24 trainings that a way of searching chooses, one after the other."""
    space = SweepSpace.of(RANGES)
    if how == "grid":
        return grid("epochs × rate", seed)
    source: Any
    if how == "sample":
        source = points_of(space, max_jobs=24, seed=seed)
    else:
        import optuna

        from gemtune.sweep.optuna_study import study_points

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        source = study_points(study, space, max_jobs=24, better="lower")
    trainings: list[Training] = []
    told = 0
    for number in range(24):
        # Four at a time: what runs has not been told when the next point is asked for.
        while len(trainings) - told >= 4:
            await source.tell(told, trainings[told].final)
            told += 1
        values = await source.ask(number)
        trainings.append(Training.of(seed, number, values))
    return trainings


def search(seeds: int) -> list[dict[str, Any]]:
    """Return the best eval loss that each way of searching finds with 24 points, and the steps it takes."""
    rows = []
    for how in ("grid", "sample", "tpe"):
        found = [anyio.run(searched, seed, how) for seed in range(seeds)]
        finals = sorted(min(each.final for each in trainings) for trainings in found)
        steps = statistics.fmean(sum(each.total for each in trainings) for trainings in found)
        stopped = [play(trainings, resolve_rules(list(RECOMMENDED))) for trainings in found]
        saved = statistics.fmean(each.saved for each in stopped)
        same = sum(each.found.number == each.best.number for each in stopped)
        rows.append({
            "search": how, "median": statistics.median(finals), "worst": finals[-1], "steps": steps,
            "saved": saved, "found": same,
        })  # fmt: skip
        middle, worst = statistics.median(finals), finals[-1]
        print(f"| {how:6} | {middle:.3f} | {worst:.3f} | {steps:7,.0f} | {saved:.0%} | {same:2} |", flush=True)
    return rows


def size(values: int = 300) -> list[dict[str, Any]]:
    """Return what a new value costs, by rule and number of points: microseconds, and how often a curve is looked at."""
    rows, level = [], LossTrack.level
    for name in RULES:
        for points in (10, 100, 1000):
            # It asks how high all others were at every step; nothing is kept for that.
            if name == "median" and points > 100:
                continue
            field, rule, looks = CurveField(), RULES[name](), 0
            whole = [
                tuple((at, 5 * math.exp(-at / (90 + n % 9))) for at in range(1, values + 1)) for n in range(points)
            ]

            def counted(track: LossTrack, at: float) -> float | None:
                nonlocal looks
                looks += 1
                return level(track, at)

            LossTrack.level = counted  # type: ignore[method-assign]
            begun = time.process_time()
            for step in range(1, values + 1):
                for number, losses in enumerate(whole):
                    # A tenth has ended before the others begin.
                    early = number * 10 < points
                    seen = losses if early else losses[:step]
                    curve = PointCurve(number=number, total=values, losses=seen, eval_losses=seen[9::10], epochs=30)
                    field.put(number, attrs.evolve(curve, ended=True) if early else curve)
                    if not early:
                        rule.verdict(curve, field.others(number))
            taken = (time.process_time() - begun) / points / values
            LossTrack.level = level  # type: ignore[method-assign]
            rows.append({"rule": name, "points": points, "us": taken * 1e6, "looks": looks / points / values})
            print(f"| {name:11} | {points:5,} | {rows[-1]['us']:5.0f} | {rows[-1]['looks']:5.1f} |", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--size", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.search:
        print("| search | best eval loss, median | worst | steps | saved by the rules | best still found |")
        rows = search(options.seeds)
    elif options.size:
        print("| rule | points | µs for each value | looks at a curve |")
        rows = size()
    else:
        print(f"| grid | stop | steps saved | best found of {options.seeds} | within {TOLERANCE:.0%} | worst |")
        rows = rules(options.seeds)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1, default=lambda value: None if math.isnan(value) else value))


if __name__ == "__main__":
    main()
