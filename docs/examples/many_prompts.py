# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Ask a model a thousand things, within the quota, and lose nothing.

    uv run many_prompts.py                          # against the bundled emulator: no account, no network
    uv run many_prompts.py --live gemini-3.7-flash  # on the service of your environment; costs money

Press Ctrl-C in the middle and run it again: the journal knows what has been answered, and only the rest is sent.
"""

import argparse
import asyncio
import contextlib

import gemtune
from gemtune.emulator import running_emulator

# A key of your own makes a result yours: it comes back with it, and the journal knows the prompt by it.
PROMPTS = [(f"number-{n}", f"Write {n} in words.") for n in range(1, 1001)]


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or nothing for the service of the environment."""
    if live:
        yield {}
        return
    with running_emulator() as server:
        yield {"base_url": server.url, "api_key": "anything"}


async def main():
    parser = argparse.ArgumentParser(description="Ask a model a thousand things, within the quota, and lose nothing.")
    parser.add_argument("--live", metavar="MODEL", help="ask MODEL with your own credentials")
    live = parser.parse_args().live
    with service(live) as where:
        async with gemtune.Client(**where) as client:
            model = live or "models/gemini-3.7-flash"
            async with client.batch(model, PROMPTS, journal="many_prompts.journal") as results:
                count = 0
                async for result in results:
                    count += 1
                    if not result.ok:
                        print(result.key, "failed:", result.error)
                    elif count % 200 == 0:
                        print(f"{count} done; {result.key}: {result.text_or_none}")
                print(results.progress.skipped, "were answered in earlier runs")
            lines = await results.export("many_prompts.jsonl")
            print(lines, "answers are in many_prompts.jsonl")


if __name__ == "__main__":
    asyncio.run(main())
