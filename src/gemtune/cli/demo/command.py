"""``gemtune demo``: the tuning tutorial from end to end, against the bundled emulator or the real service."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.demo import tutorial
from gemtune.cli.exits import DONE, USAGE
from gemtune.cli.options import Commands, add_command, common_options, open_client, run_async
from gemtune.errors import InvalidInput
from gemtune.show.curve import loss_curve
from gemtune.show.progress import JobView
from gemtune.show.terminal import printable

if TYPE_CHECKING:
    from gemtune.cli.demo.requests import Request
    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.types import TunedModel

_SPEED = 12.0
_FRESHNESS = 0.5
"""How old a snapshot of the emulator's may be, in seconds of its own time; a step takes it 1.2."""

_EXAMPLES = """\
  gemtune demo
  gemtune demo --speed 1          at the pace of the real service, about 46 s
  gemtune demo --json | jq -c 'select(.kind == "snapshot")'
  gemtune demo --live             with your own credentials, on the real service
"""


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("stop following the training after this long (30, 30s, 5m, 2h)")
    parser = add_command(commands, "demo", _run, "run the tuning tutorial from end to end", _EXAMPLES, common=common)
    parser.add_argument(
        "--live", action="store_true", help="on the real service, or at --base-url, with your own credentials"
    )
    parser.add_argument(
        "--speed", type=_speed, metavar="N", help=f"pace of the emulator; 1 is real time (default: {_SPEED:g})"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the emulator's ids and loss curve")
    parser.add_argument(
        "--base", default=tutorial.BASE_MODEL, metavar="MODEL", help="what to tune (default: %(default)s)"
    )


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0, at most 10000")
    return value


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.live:
        if options.speed is not None:
            raise InvalidInput("--speed is the emulator's; the real service has its own pace", field="--speed")
        return run_async(_live, options, console)
    if options.base_url is not None or options.project is not None:
        raise InvalidInput("--base-url and --project go with --live; without it the demo brings its own service")
    from gemtune.emulator import running_emulator

    speed = options.speed or _SPEED
    try:
        with running_emulator(clock=f"scaled:{speed}", seed=options.seed) as server:
            return run_async(_emulated, options, console, server.url, speed)
    except ImportError as missing:
        console.error(str(missing))
        return USAGE


async def _live(options: argparse.Namespace, console: Console) -> int:
    from gemtune.config import WatchPolicy
    from gemtune.settings import DEFAULT_BASE_URL

    async with open_client(options, WatchPolicy(freshness=5)) as client:
        address = client.settings.base_url
        service = "real service" if address == DEFAULT_BASE_URL else f"service at {address}"
        console.print(f"The tuning tutorial on the {service}, with your own credentials:")
        for setting in client.settings:
            console.print(f"  {setting}")
        return await _Demo(client, console, options).run()


async def _emulated(options: argparse.Namespace, console: Console, url: str, speed: float) -> int:
    from gemtune.client import Client
    from gemtune.config import WatchPolicy

    console.print(f"The tuning tutorial against the bundled emulator at {url}, {speed:g} times as fast as real time.")
    console.print("No account, no network, and nothing is learned: the losses are a formula, and every answer is the")
    console.print("output of the training example nearest to the prompt.")
    pause = max(_FRESHNESS / speed, 0.02)
    policy = WatchPolicy(freshness=pause, terminal_freshness=pause, queued_interval=pause, min_interval=pause)
    async with Client(base_url=url, token="emulator", project="demo", watch=policy) as client:  # noqa: S106
        return await _Demo(client, console, options, pace=speed).run()


@attrs.define(eq=False)
class _Demo:
    """The tutorial's steps, each with the requests that it makes.

    Args:
        client: Talks to the service.
        console: Where to print.
        options: The command line.
        pace: Seconds of the service's time in a second of ours.
    """

    client: Client
    console: Console
    options: argparse.Namespace
    pace: float = 1.0
    _step: int = attrs.field(default=0, init=False)
    _latest: tuple[str, str] | None = attrs.field(default=None, init=False)
    _repeats: int = attrs.field(default=0, init=False)

    async def run(self) -> int:
        """Take all steps."""
        from gemtune.cli.demo.requests import tell_requests

        began = time.monotonic()
        tell_requests(self.client, self._request)
        await self._list()
        job = await self._create()
        model = await self._follow(job)
        for prompt in tutorial.PROMPTS:
            await self._generate(model, prompt)
        elapsed = time.monotonic() - began
        self.console.record({"kind": "done", "model": model.name, "seconds": round(elapsed, 3)})
        further = f"gemtune jobs delete {model.name}" if self.options.live else "gemtune demo --live"
        what = "delete the model" if self.options.live else "the same on the real service"
        self.console.print(f"\nDone in {elapsed:.1f} s; {what}: {further}")
        return DONE

    def _begin(self, title: str) -> None:
        self._step += 1
        self._latest = None
        self.console.record({"kind": "step", "number": self._step, "title": title})
        self.console.print("\n" + self.console.paint(f"{self._step}. {title}", "bold"))

    def _request(self, request: Request) -> None:
        """Print a request; one that is repeated is counted."""
        from gemtune.cli.demo.requests import shortened

        body = shortened(request.body)
        self.console.record({"kind": "request", "verb": request.verb, "target": request.target, "body": body})
        if (request.verb, request.target) == self._latest:
            self._repeats += 1
            return
        self._latest, self._repeats = (request.verb, request.target), 1
        for line in _wrapped(request.verb, request.target, body):
            self.console.print("   " + self.console.paint(line, "cyan"))

    def _result(self, text: str) -> None:
        arrow = "→" if self.console.unicode else "->"
        self.console.print(f"   {self.console.paint(arrow, 'green')} {printable(text)}")

    async def _list(self) -> None:
        self._begin("List the tuned models, which checks the credential")
        page = await anext(self.client.tuned_models.list(page_size=10).pages())
        self.console.record({"kind": "listed", "tuned_models": [model.name for model in page]})
        self._result(f"{_count(len(page), 'tuned model')} on the first page; the credential works")

    async def _create(self) -> TuningJob:
        from gemtune.types import Hyperparameters

        self._begin(f"Create a tuned model from {len(tutorial.EXAMPLES)} examples")
        job = await self.client.tune(
            self.options.base,
            tutorial.EXAMPLES,
            display_name=tutorial.DISPLAY_NAME,
            hyperparameters=Hyperparameters(
                epoch_count=tutorial.EPOCHS,
                batch_size=tutorial.BATCH_SIZE,
                learning_rate=tutorial.LEARNING_RATE,
            ),
        )
        self.console.record({"kind": "created", "job": job.name, "operation": job.operation})
        self._result(f"{job.name}, {job.progress.total_steps} steps")
        await self._state(job)
        return job

    async def _state(self, job: TuningJob) -> TunedModel:
        model = await self.client.tuned_models.get(job)
        self.console.record({"kind": "state", "job": model.name, "state": model.state})
        self._result(f"state {model.state}")
        return model

    async def _follow(self, job: TuningJob) -> TunedModel:
        from gemtune.cli.jobs.follow import follow

        self._begin("Follow its snapshots to 100 %")
        left = None if self.options.live else "the emulator and its job end with the demo"
        view = JobView(pace=self.pace)
        await follow(job, self.console, view, timeout=self.options.timeout, indent="   ", left=left)
        await job
        self._result(f"{view.line(unicode=self.console.unicode)}, seen with {_count(self._repeats, 'request')}")
        for line in loss_curve(view.curve, 76, 8, unicode=self.console.unicode):
            self.console.print(f"     {line}")
        return await self._state(job)

    async def _generate(self, model: TunedModel, prompt: str) -> None:
        self._begin(f"Generate with {prompt!r}")
        reply = await self.client.generate_content(model, prompt)
        self.console.record({"kind": "answer", "prompt": prompt, "text": reply.text})
        self._result(reply.text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _wrapped(verb: str, target: str, body: Any) -> list[str]:
    """Return a request as lines of at most 110 columns, as far as words allow."""
    import json
    import textwrap

    lines = [f"{verb} {target}"]
    if body is not None:
        text = json.dumps(body, ensure_ascii=False)
        lines += textwrap.wrap(text, 106, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines
