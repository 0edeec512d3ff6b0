# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Find the best hyperparameters, and find out whether the result is better than the base model.

    uv run find_best_model.py                                    # against the bundled emulator: no account, no network
    uv run find_best_model.py --live gemini-2.5-flash rows.csv   # on the service of your environment; costs money

Run it again after an interruption: the jobs have run on, and neither a job nor an answer is paid for twice. On Vertex
AI, GEMTUNE_BUCKET names your bucket for the data.
"""

import argparse
import asyncio
import contextlib

import gemtune
from gemtune.emulator import running_emulator

QUESTIONS = ("What follows {}?", "What is {} plus one?", "Which number comes after {}?")
ROWS = [(question.format(n), str(n + 1)) for n in range(80) for question in QUESTIONS]
SPACE = {"learning_rate_multiplier": [1, 8], "epoch_count": [8, 4, 2]}  # the usual and the longest first


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or nothing for the service of the environment."""
    if live:
        yield {}
        return
    with running_emulator(queue_seconds=0.1, step_seconds=0.02, knows=ROWS) as server:
        yield {"base_url": server.url, "api_key": "anything"}


async def main():
    parser = argparse.ArgumentParser(description="Find the best hyperparameters, and compare with the base model.")
    parser.add_argument("--live", metavar="MODEL", help="tune MODEL with your own credentials")
    parser.add_argument("rows", nargs="?", help="a file of training examples")
    given = parser.parse_args()
    base = given.live or "models/gemini-1.0-pro-001"
    kept = gemtune.datasets.split(given.rows or ROWS, validation=0.25, seed=1)  # rows that choose nothing
    with service(given.live) as where:
        async with gemtune.Client(**where) as client:
            sweep = client.sweep(
                base,
                kept.train,
                space=SPACE,
                validation=0.25,
                metrics="exact_match",
                stop="forecast",
                concurrency=2,
                journal="find_best_model.sweep" if given.live else None,
            )
            print(await sweep.plan())
            async with sweep:
                async for event in sweep:
                    number = event.point.number
                    if event.kind == "point_stopped":
                        print(f"point {number} stopped, {event.saved_steps} steps saved: {event.reason}")
                    elif event.kind == "point_evaluated":
                        print(f"point {number} scores {event.objective:.2f}")
            print("the best of", len(sweep.points), "points is", dict(sweep.best.point.values))
            evaluation = await client.evaluate(
                {"base": base, "best": sweep.best_model},
                kept.validation,
                metrics="exact_match",
                journal="find_best_model.asked" if given.live else None,
            )
            print(evaluation)


if __name__ == "__main__":
    asyncio.run(main())
