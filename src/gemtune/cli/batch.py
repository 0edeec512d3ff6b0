"""``gemtune batch``: ask a model everything in a file."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Final

import attrs

from gemtune.cli.bar import Bar
from gemtune.cli.console import Console
from gemtune.cli.exits import DONE, FAILED, INTERRUPTED, exit_code
from gemtune.cli.options import Commands, Parser, add_command, open_client, run_async, seconds, text
from gemtune.cli.target import Target
from gemtune.cli.wording import worded
from gemtune.errors import (
    BatchStopped,
    DeadlineExceeded,
    GemtuneError,
    InvalidInput,
    JournalBusy,
    JournalCorrupt,
    JournalMismatch,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.batch import BatchResult, BatchStatistics
    from gemtune.batch.files import FileRows
    from gemtune.batch.index import Places
    from gemtune.types import GenerationConfig

__all__ = ["add"]

_EXAMPLES = """\
  gemtune batch questions.txt answers.jsonl --model tunedModels/my-model
  gemtune batch rows.csv out.jsonl --model models/gemini-3.7-flash --template "Translate {text} to {language}"
  gemtune batch requests.jsonl out.jsonl --model models/gemini-3.7-flash --resume
  gemtune batch requests.jsonl - --model models/gemini-3.7-flash --rpm 600 > out.jsonl
  gemtune batch <(zcat rows.jsonl.gz) out.jsonl --model models/gemini-3.7-flash --format jsonl

INPUT holds one prompt a line, or rows of CSV or JSONL, or {"key", "request"} lines in the form of the service's
own batches; labels beside a prompt or beside contents are not sent. OUTPUT gets {"key", "response"} or
{"key", "error"} lines; until it is whole, what is answered stands in OUTPUT.journal, from which --resume goes on.
"""
_PASSED: Final = ("concurrency", "rpm", "tpm", "rpd", "order", "timeout", "item_timeout")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "batch", _run, "ask a model everything in a file", _EXAMPLES)
    parser.add_argument("input", metavar="INPUT", help="a JSONL, CSV, TSV or text file; - is standard input")
    parser.add_argument("output", metavar="OUTPUT", help="the JSONL file to write; - is standard output")
    parser.add_argument("--model", required=True, metavar="M", help="tunedModels/... or models/...")
    parser.add_argument("--resume", action="store_true", help="go on from OUTPUT.journal, if there is one")
    _add_pace(parser)
    rows = parser.add_argument_group("rows")
    rows.add_argument("--format", choices=("jsonl", "csv", "tsv", "text"), help="of INPUT; else by its suffix")
    rows.add_argument(
        "--delimiter", metavar="C", help="between the columns of a table: ';' (default: a comma, or a tab)"
    )
    rows.add_argument("--prompt-column", metavar="C", help="the column or field with the prompt (default: prompt)")
    rows.add_argument("--key-column", metavar="C", help="the one with the row's key (default: key)")
    rows.add_argument("--template", type=text, metavar="T", help='a prompt made of columns: "Translate {text}"')
    rows.add_argument(
        "--order", choices=("input", "completed"), default="input", help="of OUTPUT (default: that of INPUT)"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--system", type=text, metavar="TEXT", help="an instruction that frames every answer")
    model.add_argument("--temperature", type=_number, metavar="X", help="randomness, 0 to 2")
    model.add_argument("--max-output-tokens", type=_whole, metavar="N", help="the longest answer, in tokens")
    model.add_argument(
        "--generation-config", type=_object, metavar="JSON", help='more of the kind: \'{"topP": 0.9, "seed": 7}\''
    )


def _add_pace(parser: Parser) -> None:
    pace = parser.add_argument_group("pace")
    pace.add_argument(
        "--concurrency", type=_concurrency, default="auto", metavar="N", help="requests in flight: auto, or a number"
    )
    pace.add_argument("--rpm", type=_number, metavar="N", help="requests a minute, at most")
    pace.add_argument("--tpm", type=_number, metavar="N", help="input tokens a minute, at most")
    pace.add_argument("--rpd", type=_whole, metavar="N", help="requests a day, at most; the run ends there")
    pace.add_argument("--item-timeout", type=seconds, metavar="T", help="give up a single prompt after this long")


def _concurrency(given: str) -> int | str:
    if given == "auto":
        return given
    if given.isdecimal():
        return int(given)
    raise argparse.ArgumentTypeError(f"{given!r} is neither auto nor a whole number from 1")


def _number(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value
    raise argparse.ArgumentTypeError(f"{given!r} is not a number")


def _whole(given: str) -> int:
    if given.isdecimal() and int(given):
        return int(given)
    raise argparse.ArgumentTypeError(f"{given!r} is not a whole number from 1")


def _object(given: str) -> dict[str, object]:
    try:
        value = json.loads(given)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    raise argparse.ArgumentTypeError(f"{given!r:.60} is not a JSON object")


def _run(options: argparse.Namespace, console: Console) -> int:
    from gemtune.cli.signals import interruptible

    with interruptible():
        return _batch(options, console)


def _batch(options: argparse.Namespace, console: Console) -> int:
    from gemtune.batch.files import FileRows, Layout

    if options.template is not None and options.prompt_column is not None:
        raise InvalidInput("give --template or --prompt-column, not both")
    layout = Layout(prompt=options.prompt_column, key=options.key_column, template=options.template)
    rows = FileRows(options.input, layout, options.format, options.delimiter)
    target = Target(options.output, resume=options.resume)
    rows.check()
    target.check(options.input)
    bar = Bar(console, quiet_output=target.journal is not None)
    if bar.drawn and rows.again:
        rows.count()
    session = _Session(options, console, rows, target, bar)
    try:
        return session.run()
    except (JournalBusy, JournalCorrupt, JournalMismatch):
        raise  # going on with the same command would meet the same
    except GemtuneError as error:
        late = isinstance(error, DeadlineExceeded) and bar.held_back
        console.error(f"{worded(error)} ({bar.held_back})" if late else worded(error))
        target.leave(console)
        cause = error.__cause__ if isinstance(error, BatchStopped) else None
        return exit_code(cause or error)
    except KeyboardInterrupt:
        target.leave(console)
        console.note("interrupted")
        return INTERRUPTED
    except Exception:
        target.leave(console)
        raise


def _generation_config(options: argparse.Namespace) -> GenerationConfig | None:
    from gemtune.batch.items import request_from_json
    from gemtune.types import GenerationConfig

    given = {"contents": "-", "generation_config": options.generation_config or {}}
    try:
        config = request_from_json(given).generation_config or GenerationConfig()
    except InvalidInput as error:
        what = error.message.partition("$.generationConfig.")[2] or error.message
        raise InvalidInput(f"--generation-config: {what}") from None
    for name in ("temperature", "max_output_tokens"):
        value = getattr(options, name)
        if value is not None:
            config = attrs.evolve(config, **{name: value})
    return None if config == GenerationConfig() else config


@attrs.define(eq=False)
class _Session:
    """One run of the command: ask, then write OUTPUT, then tell."""

    options: argparse.Namespace
    console: Console
    rows: FileRows
    target: Target
    bar: Bar
    stats: BatchStatistics | None = None
    places: Places | None = None
    failure: BatchResult | None = None

    def run(self) -> int:
        """Return the exit code."""
        if run_async(self._ask) == INTERRUPTED or self.stats is None:
            raise KeyboardInterrupt
        if not self.stats.done + self.stats.failed + self.stats.skipped:
            raise self.rows.nothing()
        self._tell(self.stats, self._write())
        return FAILED if self.stats.failed else DONE

    async def _ask(self) -> int:
        from gemtune.cli.signals import until_stopped

        return INTERRUPTED if await until_stopped(self._take) else DONE

    async def _take(self, tasks: TaskGroup) -> None:
        from gemtune.batch.records import output_line

        batch = {name: getattr(self.options, name) for name in _PASSED}
        batch |= {"journal": self.target.journal, "system_instruction": self.options.system}
        batch["generation_config"] = _generation_config(self.options)
        async with (
            open_client(self.options) as client,
            client.batch(self.options.model, self.rows, **batch) as results,
        ):
            tasks.start_soon(self.bar.watch, results)
            async for result in results:
                if result.error is not None and self.failure is None:
                    self.failure = result
                if self.target.journal is None:
                    self._print(output_line(result).decode())
        self.stats, self.places = results.statistics(), results.source.places

    def _print(self, line: str) -> None:
        try:
            self.console.write(line)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise GemtuneError(f"standard output could not be written: {error.strerror}") from None

    def _write(self) -> int | None:
        """Write OUTPUT, outside of the event loop, so that Ctrl-C ends it; return its number of lines."""
        from gemtune.batch import export_journal

        journal, output = self.target.journal, self.target.output
        if journal is None:
            return None
        return export_journal(journal, output, order=self.options.order, places=self.places)

    def _tell(self, stats: BatchStatistics, count: int | None) -> None:
        told = {
            "answered": stats.done,
            "failed": stats.failed,
            "skipped": stats.skipped,
            "requests": stats.requests,
            "prompt_tokens": stats.prompt_tokens,
            "output_tokens": stats.output_tokens,
            "seconds": round(stats.elapsed, 3),
            "output": self.target.output,
        }
        if self.console.json:
            to = self.console.err if count is None else self.console.out
            to.write(f"{json.dumps(told)}\n")
            return
        before = f", {stats.skipped} from before" if stats.skipped else ""
        lines = "line" if count == 1 else "lines"
        where = "" if count is None else f": {count} {lines} in {self.target.output}"
        self.console.note(f"{stats.done} answered, {stats.failed} failed{before}{where}")
        if self.failure is not None:
            self.console.note(f"the first that failed: {_named(self.failure)}")


def _named(result: BatchResult) -> str:
    if isinstance(result.error, InvalidInput) and result.error.row is not None:
        return str(result.error)  # begins with the row
    key = f", key {result.key!r}" if isinstance(result.key, str) else ""
    return f"row {result.index + 1}{key}: {result.error}"
