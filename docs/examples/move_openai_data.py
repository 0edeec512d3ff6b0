# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator]"]
# ///
"""Move a fine-tuning data set of OpenAI's to Gemini: check it, convert it, tune with it.

    uv run move_openai_data.py                    # a small data set is made up, the bundled emulator tunes
    uv run move_openai_data.py CHATS.jsonl        # your data set, checked and converted; the emulator tunes
    uv run move_openai_data.py CHATS.jsonl --live gemini-2.5-flash
                                                  # tunes on Vertex AI with your credentials; costs money

With --live set GOOGLE_CLOUD_PROJECT and GEMTUNE_BUCKET; the data is uploaded to that bucket.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path

import gemtune
from gemtune import datasets
from gemtune.emulator import running_emulator

CAPITALS = {"France": "Paris", "Turkey": "Ankara", "Japan": "Tokyo", "Kenya": "Nairobi", "Peru": "Lima"}


def made_up(path):
    """A data set as OpenAI wants it. Its last chat is broken: nobody answers."""
    chats = [
        [
            {"role": "system", "content": "Answer with one word."},
            {"role": "user", "content": f"What is the capital of {country}?"},
            {"role": "assistant", "content": capital},
        ]
        for country, capital in CAPITALS.items()
    ]
    chats.append([{"role": "user", "content": "What is the capital of Chad?"}])
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), encoding="utf-8")
    return path


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or Vertex AI with the settings of the environment."""
    if live:
        yield {"vertexai": True}
        return
    with running_emulator(buckets=["my-bucket"], queue_seconds=0.5, step_seconds=0.1) as server:
        yield {
            "vertexai": True,
            "project": "my-project",
            "bucket": "my-bucket",
            "base_url": server.url,
            "token": "anything",
        }


async def tune(data, live):
    with service(live) as where:
        async with gemtune.Client(**where) as client:
            job = await client.tune(live or "gemini-2.5-flash", data, display_name=data.stem)
            print(f"{job.name} learns {job.data}")
            model = await job
            print(f"{model.name} is ready")
            print((await client.generate_content(model, "What is the capital of Japan?")).text)


def main():
    parser = argparse.ArgumentParser(description="Move a fine-tuning data set of OpenAI's to Gemini.")
    parser.add_argument("chats", nargs="?", type=Path, help="a JSONL file of OpenAI's fine-tuning")
    parser.add_argument("--live", metavar="MODEL", help="tune MODEL on Vertex AI with your own credentials")
    options = parser.parse_args()

    source = options.chats or made_up(Path("openai.jsonl"))
    print(datasets.check(source))  # everything that is wrong, by row and place
    target = source.with_name(f"{source.stem}.gemini.jsonl")
    print(datasets.convert(source, to="vertex").write(target))  # what cannot be converted is left out
    if options.live and input(f"tune {options.live} with {target}? [y/N] ").lower() != "y":
        sys.exit("nothing was tuned")
    asyncio.run(tune(target, options.live))


if __name__ == "__main__":
    main()
