# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Tune with three learning rates at once, follow all three, keep the best.

    uv run compare_rates.py                          # against the bundled emulator: no account, no network
    uv run compare_rates.py --live gemini-2.5-flash  # on the service of your environment; costs money

Run it again after an interruption: jobs that exist already are found by their id, and no second one is started.
"""

import argparse
import asyncio
import contextlib
import itertools

import gemtune
from gemtune.emulator import running_emulator

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
DATA = list(itertools.pairwise(NUMBERS))  # each number and the next one
MULTIPLIERS = (0.5, 1.0, 4.0)  # of the rate that the service recommends
BARS = "▁▂▃▄▅▆▇█"


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or nothing for the service of the environment."""
    if live:
        yield {}
        return
    with running_emulator(queue_seconds=0.5, step_seconds=0.1) as server:
        yield {"base_url": server.url, "api_key": "anything"}


def sparkline(losses, width=24):
    """The curve of a job in one line."""
    thinned = losses[:: max(1, len(losses) // width)]
    low, high = min(losses), max(losses)
    return "".join(BARS[round((loss - low) / ((high - low) or 1) * 7)] for loss in thinned)


async def main():
    parser = argparse.ArgumentParser(description="Tune with three learning rates at once, keep the best.")
    parser.add_argument("--live", metavar="MODEL", help="tune MODEL with your own credentials")
    live = parser.parse_args().live
    with service(live) as where:
        async with gemtune.Client(**where) as client:
            jobs = [
                await client.tune(
                    live or "models/gemini-1.0-pro-001",
                    DATA,
                    tuned_model_id=f"rate-{multiplier:g}".replace(".", "-"),
                    if_exists="adopt",
                    display_name=f"{multiplier:g} x the usual rate",
                    queue=bool(live),  # Vertex AI runs one job at a time, unless you ask for more
                    hyperparameters=gemtune.Hyperparameters(epoch_count=5, learning_rate_multiplier=multiplier),
                )
                for multiplier in MULTIPLIERS
            ]
            async with client.watch(jobs) as watcher:
                async for event in watcher:
                    if event.kind in {"succeeded", "failed", "cancelled", "lost"}:
                        print(client.job(event.job).display_name, event.kind)
            done = [job for job in jobs if job.snapshots]
            for job in done:
                losses = [snapshot.mean_loss for snapshot in job.snapshots]
                print(f"{job.display_name:24} loss {losses[-1]:8.4g}  {sparkline(losses)}")
            best = min(done, key=lambda job: job.snapshots[-1].mean_loss)
            print("the best is", best.display_name, "with", best.name)


if __name__ == "__main__":
    asyncio.run(main())
