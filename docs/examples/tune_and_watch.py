# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Tune a model, watch its loss fall, ask it.

uv run tune_and_watch.py                          # against the bundled emulator: no account, no network
uv run tune_and_watch.py --live gemini-2.5-flash  # on the service of your environment; costs money
"""

import argparse
import asyncio
import contextlib
import itertools

import gemtune
from gemtune import events
from gemtune.emulator import running_emulator

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
DATA = list(itertools.pairwise(NUMBERS))  # each number and the next one


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or nothing for the service of the environment."""
    if live:
        yield {}
        return
    with running_emulator(queue_seconds=0.5, step_seconds=0.1) as server:
        yield {"base_url": server.url, "api_key": "anything"}


async def main():
    parser = argparse.ArgumentParser(description="Tune a model, watch its loss fall, ask it.")
    parser.add_argument("--live", metavar="MODEL", help="tune MODEL with your own credentials")
    live = parser.parse_args().live
    with service(live) as where:
        async with gemtune.Client(**where) as client:
            job = await client.tune(
                live or "models/gemini-1.0-pro-001",
                DATA,
                display_name="what comes next",
                hyperparameters=gemtune.Hyperparameters(epoch_count=5),
            )
            print(f"{job.name}: you may stop with Ctrl-C, it keeps running")
            async for event in job.events():
                match event:
                    case events.Snapshot(step=step, mean_loss=loss):
                        print(f"step {step:3}  loss {loss:.4g}")
                    case events.Failed() | events.Cancelled() | events.Lost():
                        print(event)
            reply = await client.generate_content(await job, "seven")
            print("seven ->", reply.text)


if __name__ == "__main__":
    asyncio.run(main())
