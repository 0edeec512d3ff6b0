"""``gemtune generate``: ask a model."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from gemtune.cli.console import Console
from gemtune.cli.exits import DONE
from gemtune.cli.jobs.vertex import askable
from gemtune.cli.options import MODEL, Commands, add_command, text
from gemtune.cli.running import open_client, run_async
from gemtune.errors import InvalidInput

if TYPE_CHECKING:
    from gemtune.resources.streams import GenerateContentStream
    from gemtune.types import FinishReason, GenerateContentResponse

_EXAMPLES = """\
  gemtune generate "LXIII" --model tunedModels/my-model
  gemtune generate - --model models/gemini-3.7-flash --system "Answer in French." < question.txt
  gemtune generate "Tell me a story" --model models/gemini-3.7-flash --stream --max-output-tokens 500
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "generate", _run, "ask a model and print its answer", _EXAMPLES)
    parser.add_argument("prompt", type=text, metavar="PROMPT", help="what to ask; - reads it from standard input")
    parser.add_argument("--model", required=True, metavar="M", help=MODEL)
    parser.add_argument("--stream", action="store_true", help="print the answer as it arrives")
    parser.add_argument("--system", type=text, metavar="TEXT", help="an instruction that frames the answer")
    parser.add_argument("--temperature", type=float, metavar="X", help="randomness, from 0 to 2")
    parser.add_argument("--max-output-tokens", type=int, metavar="N", help="the most tokens of the answer")


def _run(options: argparse.Namespace, console: Console) -> int:
    # Read before the event loop runs: Ctrl-C cannot end a blocking read inside of it.
    prompt = _standard_input() if options.prompt == "-" else options.prompt
    if not prompt.strip():
        what = "standard input is empty" if options.prompt == "-" else "the prompt is empty"
        raise InvalidInput(f"{what}: there is nothing to ask", field="PROMPT")
    console.check()
    return run_async(_generate, options, console, prompt, limit=options.timeout)


def _standard_input() -> str:
    given = sys.stdin.buffer.read() if sys.stdin is not None else b""
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"standard input is not UTF-8 (byte {error.start}): save it as UTF-8") from None


async def _generate(options: argparse.Namespace, console: Console, prompt: str) -> int:
    from gemtune.types import GenerationConfig

    config = GenerationConfig(temperature=options.temperature, max_output_tokens=options.max_output_tokens)
    chosen = config != GenerationConfig()
    request: dict[str, Any] = {
        "system_instruction": options.system,
        "generation_config": config if chosen else None,
        "timeout": options.timeout,
    }
    async with open_client(options) as client:
        model = await askable(client, options.model)
        if options.stream:
            reason = await _stream(client.stream_generate_content(model, prompt, **request), console)
        else:
            reply = await client.generate_content(model, prompt, **request)
            _record(console, reply)
            console.print(reply.text)
            reason = reply.finish_reason
    if reason not in {None, "STOP"}:
        console.note(f"note: the answer ended early: {reason}")
    return DONE


async def _stream(stream: GenerateContentStream, console: Console) -> FinishReason | None:
    reason = None
    async with stream:
        async for piece in stream:
            _record(console, piece)
            reason = piece.finish_reason or reason
            console.piece(piece.text_or_none or "")
            if reason and not stream.text:
                piece.text  # noqa: B018 - raises the error that names the reason
    console.print()
    return reason


def _record(console: Console, reply: GenerateContentResponse) -> None:
    if console.json:
        from gemtune.protocol.codec import encode

        console.record(encode(reply))
