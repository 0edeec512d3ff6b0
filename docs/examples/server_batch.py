# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Have the service run a batch, at half the price, and lose nothing and pay once when the program is killed.

    uv run server_batch.py                          # against the bundled emulator: no account, no network
    uv run server_batch.py --live gemini-3.7-flash  # on the service of your environment; costs money

Against the emulator it kills itself as soon as its batch exists, and is started again. With --live nothing kills it:
press Ctrl-C, or pull the plug, and run it again. The batch runs on at the service meanwhile.
"""

import argparse
import asyncio
import subprocess
import sys

import gemtune
from gemtune.emulator import create_app, running_emulator

PROMPTS = [(f"number-{n}", f"Write {n} in words.") for n in range(1, 1001)]


async def ask(client, model):
    """Ask everything that the journal does not hold, and write all answers into a file."""
    async with client.batch(model, PROMPTS, engine="server", journal="server_batch.journal") as results:
        async for result in results:
            if not result.ok:
                print(result.key, "failed:", result.error)
    print(await results.export("server_batch.jsonl"), "answers are in server_batch.jsonl")


async def live(model):
    async with gemtune.Client() as client:
        await ask(client, model)


async def at(url):
    async with gemtune.Client(base_url=url, api_key="anything") as client:
        await ask(client, "models/gemini-3.7-flash")


async def batches(url):
    """The names of all batches that the service has."""
    async with gemtune.Client(base_url=url, api_key="anything") as client:
        return [batch.name async for batch in client.batches.list()]


def killed_and_resumed():
    with running_emulator(create_app(batch_queue_seconds=0.5, batch_seconds=2)) as server:
        first = subprocess.Popen([sys.executable, __file__, "--at", server.url])
        while not asyncio.run(batches(server.url)):
            if first.poll() is not None:
                sys.exit("it ended before it had created a batch")
        first.kill()  # SIGKILL: it can do nothing about it
        first.wait()
        print("killed, with a batch under way")
        asyncio.run(at(server.url))
        print(len(asyncio.run(batches(server.url))), "batch was created")


def main():
    parser = argparse.ArgumentParser(description="Have the service run a batch, and lose nothing when killed.")
    parser.add_argument("--live", metavar="MODEL", help="ask MODEL with your own credentials")
    parser.add_argument("--at", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.live:
        asyncio.run(live(options.live))
    elif options.at:
        asyncio.run(at(options.at))
    else:
        killed_and_resumed()


if __name__ == "__main__":
    main()
