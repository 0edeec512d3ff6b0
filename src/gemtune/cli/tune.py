"""``gemtune tune``: start a tuning job, and follow it with ``--wait``."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import DATA_LOG, Console
from gemtune.cli.exits import DONE
from gemtune.cli.options import (
    MODEL,
    Commands,
    add_columns,
    add_command,
    columns_of,
    common_options,
    place_options,
    text,
)
from gemtune.cli.running import open_client, run_async, time_limit, while_somebody_watches
from gemtune.errors import DeadlineExceeded
from gemtune.show.curve import sparkline
from gemtune.show.terminal import encodes_unicode

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.types import Hyperparameters

_WAITING = "JOB_STATE_QUEUED"

_EXAMPLES = """\
  gemtune tune rows.csv --base models/gemini-1.0-pro-001 --wait
  gemtune tune rows.jsonl --base models/gemini-1.0-pro-001 --id my-model --if-exists adopt --wait --timeout 2h
  gemtune tune more.jsonl --base tunedModels/my-model --epochs 3 --learning-rate-multiplier 0.5
  gemtune tune rows.jsonl --vertex --project my-project --bucket my-bucket --base gemini-2.5-flash

  gemtune tune reviews.csv --input-column Review --output-column Rating --base models/gemini-1.0-pro-001

DATA is a CSV, TSV, JSONL or JSON file; - is standard input. On Vertex AI it is uploaded to your bucket, unless it is
there already (gs://bucket/rows.jsonl). The usual names of columns are known, such as text_input and output, prompt and
completion, question and answer. What was read is shown on standard error.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("with --wait, stop waiting after this long (30, 30s, 5m, 2h); the job continues")
    parser = add_command(commands, "tune", _run, "start a tuning job", _EXAMPLES, common=common)
    parser.add_argument("data", metavar="DATA", help="a file of training examples")
    add_columns(parser)
    parser.add_argument("--base", required=True, metavar="MODEL", help=f"the model to tune: {MODEL}")
    parser.add_argument("--display-name", type=text, metavar="TEXT", help="a name for people, at most 40 characters")
    parser.add_argument("--description", type=text, metavar="TEXT", help="what the model is for")
    parser.add_argument("--id", metavar="ID", help="your own id for the tuned model; without it one is made up")
    parser.add_argument(
        "--if-exists", choices=("error", "adopt"), default="error", help="what to do if your id is taken"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes through the data")
    parser.add_argument("--batch-size", type=int, metavar="N", help="examples per step")
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument("--learning-rate", type=float, metavar="X", help="the step size of the training")
    rates.add_argument("--learning-rate-multiplier", type=float, metavar="X", help="a factor of the recommended rate")
    parser.add_argument("--wait", action="store_true", help="follow the job to its end")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the name only, and no progress")
    _add_vertex(parser)


def _add_vertex(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on Vertex AI only")
    group.add_argument("--validation", metavar="DATA", help="a file of examples on which the loss is measured")
    group.add_argument(
        "--method",
        choices=("supervised", "preference"),
        default="supervised",
        help="what DATA holds: answers, or pairs",
    )
    group.add_argument("--adapter-size", type=int, metavar="N", help="the size of the adapter: 1, 2, 4, 8, 16 or 32")
    group.add_argument("--beta", type=float, metavar="X", help="how closely preference tuning keeps to the base model")
    group.add_argument("--checkpoints", choices=("all", "last"), help="which checkpoints to keep")
    group.add_argument(
        "--label", type=label, action="append", metavar="KEY=VALUE", help="a label for the job; can be repeated"
    )
    group.add_argument("--service-account", metavar="EMAIL", help="the account that reads the data")
    group.add_argument("--kms-key", metavar="NAME", help="the key that encrypts the model")
    group.add_argument("--queue", action="store_true", help="wait for a free place if the quota is used up")


def label(text: str) -> tuple[str, str]:
    """Return the two parts of ``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def _run(options: argparse.Namespace, console: Console) -> int:
    console.deed = True
    console.check()
    with _reported_data():
        return run_async(_tune, options, console)


@contextmanager
def _reported_data() -> Iterator[None]:
    """Let the report of the training data be seen as soon as it is read, and then how far its upload is."""
    log = logging.getLogger(DATA_LOG)
    before = log.level
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)


async def _tune(options: argparse.Namespace, console: Console) -> int:
    import anyio

    from gemtune.cli.jobs.follow import follow, look_again
    from gemtune.cli.jobs.known import next_step

    sent: list[str] = []
    watch = while_somebody_watches(1)
    async with open_client(options, watch=watch, on_request=lambda *call: sent.extend(creation(*call))) as client:
        try:
            with time_limit(options.timeout):
                job = await client.tune(options.base, options.data, timeout=options.timeout, **_wanted(options))
        except (anyio.get_cancelled_exc_class(), DeadlineExceeded):
            look = shlex.join(["gemtune", "jobs", "list", *place_options(options)])
            # Reading and uploading the data can take minutes, in which there is nothing to look for.
            console.note(f"the job may have been created; look with: {look}" if sent else "no job was created")
            raise
        name = await _placed(client, job, console) if options.queue and not options.wait else job.name
        if job.adopted:
            console.note(f"{job.name} existed already ({await job.refresh()}); nothing was created")
        kind = "adopted" if job.adopted else "created"
        record = {"kind": kind, "job": name, "operation": job.operation, "state": job.state}
        console.record(record if job.data is None else {**record, "data": attrs.asdict(job.data)})
        if not options.wait:
            console.print(name)
            if not job.done:
                console.note(look_again(name, options))
            return DONE
        left, waits = look_again(job.name, options), job.service_state == _WAITING
        if waits:
            left = f"if it had no place yet, nothing was created; otherwise {left}"
        if not job.done:
            stops = "gives it up while it has no place" if waits else "leaves it running"
            console.note(f"following {job.name}; Ctrl-C {stops}")
        await follow(job, console, timeout=options.timeout, left=left)
        model = await job
        losses = [loss for _, loss in job.picture().losses]
        if losses and not (console.json or console.draws):  # there the last picture shows it
            console.note(f"loss {sparkline(losses, unicode=encodes_unicode(console.err))}")
        console.print(model.name)
        if console.draws:
            console.note(next_step([job.picture()], options))
        return DONE


def creation(method: str, target: str, _: bytes | None) -> list[str]:
    """Return the address of a request if it creates a job."""
    path = target.partition("?")[0]
    return [target] if method == "POST" and path.endswith(("/tunedModels", "/tuningJobs")) else []


async def _placed(client: Client, job: TuningJob, console: Console) -> str:
    """Wait until a creation that was refused for a quota is taken, and return the job's name; nobody else sends it."""
    if job.service_state != _WAITING:
        return job.name
    console.note("the quota is used up: waiting for a place; Ctrl-C gives it up, and nothing is created then")
    async for _ in job.events():
        if job.done or job.service_state != _WAITING:
            break
    return job.name if job.done else (await client.tuning_jobs.get(job)).name


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    return {
        **columns_of(options),
        "display_name": options.display_name,
        "description": options.description,
        "hyperparameters": _hyperparameters(options),
        "tuned_model_id": options.id,
        "if_exists": options.if_exists,
        "validation_data": options.validation,
        "method": options.method,
        "checkpoints": options.checkpoints,
        "labels": dict(options.label) if options.label else None,
        "service_account": options.service_account,
        "kms_key": options.kms_key,
        "queue": options.queue,
    }


def _hyperparameters(options: argparse.Namespace) -> Hyperparameters | None:
    from gemtune.types import Hyperparameters

    chosen = {
        "epoch_count": options.epochs,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "learning_rate_multiplier": options.learning_rate_multiplier,
        "adapter_size": options.adapter_size,
        "beta": options.beta,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return Hyperparameters(**given) if given else None
