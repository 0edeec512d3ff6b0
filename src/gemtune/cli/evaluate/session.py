"""One run of ``gemtune evaluate``: it asks, shows the table, and writes what was asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.evaluate.output import records, show, write_rows
from gemtune.cli.evaluate.progress import EvaluationBar
from gemtune.cli.exits import DONE, FAILED, INTERRUPTED, exit_code
from gemtune.cli.jobs.vertex import askable
from gemtune.cli.remedies import worded
from gemtune.cli.running import open_client, run_async
from gemtune.errors import BatchStopped, DeadlineExceeded, GemtuneError

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from gemtune.evaluation.result import Evaluation


@attrs.define(eq=False)
class EvaluateSession:
    """Asks all models, then reports.

    Args:
        options: Of the command line.
        console: Where to report.
        given: Arguments of ``client.evaluate``.
        output: The file for rows and answers; None for none.
    """

    options: argparse.Namespace
    console: Console
    given: Mapping[str, Any]
    output: Path | None
    _bar: EvaluationBar | None = attrs.field(default=None, init=False)
    _found: Evaluation | None = attrs.field(default=None, init=False)

    def run(self) -> int:
        """Return the exit code."""
        try:
            if run_async(self._ask) == INTERRUPTED or self._found is None:
                raise KeyboardInterrupt
        except GemtuneError as error:
            held = self._bar.held_back if self._bar is not None and isinstance(error, DeadlineExceeded) else ""
            said = worded(error, self.options)
            self.console.error(said if held in said else f"{said} ({held})")
            self._leave()
            return exit_code((error.__cause__ if isinstance(error, BatchStopped) else None) or error)
        except KeyboardInterrupt:
            self._leave()
            raise
        return self._report(self._found)

    async def _ask(self) -> int:
        from gemtune.cli.signals import until_stopped

        return INTERRUPTED if await until_stopped(self._evaluate) else DONE

    async def _evaluate(self, tasks: TaskGroup) -> None:
        bar = self._bar = EvaluationBar(self.console)
        async with open_client(self.options) as client:
            named = [(label or name, await askable(client, name)) for label, name in self.options.model]
            labelled = any(label for label, _ in self.options.model)
            tasks.start_soon(bar.watch)
            self._found = await client.evaluate(
                dict(named) if labelled else [model for _, model in named],
                self.options.data,
                baseline=self.options.baseline,
                on_progress=bar.take,
                **self.given,
            )

    def _leave(self) -> None:
        """Say what is left of an evaluation that has not reached its end."""
        journal = self.options.journal
        if self._bar is None or not self._bar.seen.done:
            return
        if journal is None:
            self.console.note("nothing was kept: with --journal FOLDER, an evaluation can be resumed")
        else:
            how = "the same command" if self.options.resume else "the same command and --resume"
            self.console.note(f"what was answered is in {journal}; resume with {how}")

    def _report(self, found: Evaluation) -> int:
        unwritten: GemtuneError | None = None
        if self.output is not None:
            try:
                write_rows(found, self.output)
            except GemtuneError as error:  # the answers are paid for, and what they say is shown in any case
                unwritten = error
        for record in records(found, self.options.changed):
            self.console.record(record)
        if not self.console.json:
            show(found, self.console, self.options.changed)
        if unwritten is not None:
            raise unwritten
        if self.output is not None:
            self.console.note(f"{len(found.rows):,} rows with their answers are in {self.output}")
        failed = sum(model.failed for model in found.models)
        if failed:
            asked = sum(model.failed + model.answered for model in found.models)
            self.console.note(f"{failed:,} of {asked:,} answers could not be had{self._again()}")
        return FAILED if failed else DONE

    def _again(self) -> str:
        return "" if self.options.journal is None else "; the same command and --resume asks for them again"
