"""``gemtune batches results``: the results of a batch as JSON lines, in a file that is whole or on standard output."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED
from gemtune.cli.options import BATCH, Commands, add_command
from gemtune.cli.running import open_client, run_async
from gemtune.wholefile import whole_file

if TYPE_CHECKING:
    from gemtune.types.batches import BatchReply

EXAMPLES = """\
  gemtune batches results "$(gemtune batches list -q | head -n 1)" answers.jsonl
  gemtune batches results "$(gemtune batches list -q | head -n 1)" | jq -r 'select(.error) | .key'
"""
_LOT = 1 << 18
"""Characters that are written at a time."""


def add(actions: Commands) -> None:
    """Add the command to the group of batches."""
    what = "write the results of a batch that has ended as JSON lines with key and response or error, in no order"
    parser = add_command(actions, "results", _results, what, EXAMPLES)
    parser.add_argument("name", metavar="NAME", help=BATCH)
    parser.add_argument(
        "output",
        metavar="OUTPUT",
        nargs="?",
        type=Path,
        help="a file, which appears whole or not at all; without it, standard output",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="do not count at the end")


def _results(options: argparse.Namespace, console: Console) -> int:
    console.deed = True
    return run_async(_written, options, console, limit=options.timeout)


async def _written(options: argparse.Namespace, console: Console) -> int:
    import anyio.to_thread

    from gemtune.resources.uploads.held import held

    found = failed = 0

    async def lots() -> AsyncIterator[str]:
        nonlocal found, failed
        lines, size = list[str](), 0
        async with client.batches.results(options.name) as replies:
            async for reply in replies:
                found, failed = found + 1, failed + (reply.response is None)
                lines.append(_line(reply))
                size += len(lines[-1])
                if size >= _LOT:
                    yield "".join(lines)
                    lines, size = [], 0
        yield "".join(lines)

    async with open_client(options) as client:
        if options.output is None:
            async for lot in lots():
                console.write(lot)
        else:
            # The file is opened and published by threads: a disk may take its time.
            async with held(partial(whole_file, options.output)) as file:
                async for lot in lots():
                    await anyio.to_thread.run_sync(file.write, lot.encode())
            console.record({"output": str(options.output), "results": found, "failed": failed})
    where = "" if options.output is None else f" in {options.output}"
    console.note(f"{found:,} results{where}, {failed:,} failed")
    return FAILED if failed else DONE


def _line(reply: BatchReply) -> str:
    from gemtune.protocol.codec import encode

    said: dict[str, object] = {"key": reply.key}
    if reply.response is not None:
        said["response"] = encode(reply.response)
    else:
        error = reply.error
        said["error"] = {"code": error.code, "message": error.message} if error is not None else {}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n"
