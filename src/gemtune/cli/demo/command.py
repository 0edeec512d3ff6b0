"""``gemtune demo``: the tuning tutorial from end to end, against the bundled emulator or the real service."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import attrs

from gemtune.cli.console import Console
from gemtune.cli.demo import tutorial
from gemtune.cli.demo.steps import SWEEP_SPEED, DemoSteps, about, counted
from gemtune.cli.drawing import paint_for, print_painted
from gemtune.cli.exits import DONE, USAGE
from gemtune.cli.jobs.vertex import on_vertex
from gemtune.cli.options import Commands, add_command, common_options
from gemtune.cli.running import open_client, run_async
from gemtune.errors import InvalidInput
from gemtune.show.jobs import one
from gemtune.show.picture import JobPicture
from gemtune.show.terminal import width_of, wrapped

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.jobs import TuningJob
    from gemtune.pager import Pager
    from gemtune.types import TunedModel

_SPEED = 12.0
_FRESHNESS = 0.5
"""How old a snapshot may be, in seconds of the emulator's time, in which a step takes 1.2."""

_BUCKET = "gemtune-demo"

_EXAMPLES = """\
  gemtune demo
  gemtune demo --speed 1          as slow as the real service, about 46 s
  gemtune demo --json | jq -c 'select(.kind == "snapshot")'
  gemtune demo --vertex --speed 50
  gemtune demo --sweep            which hyperparameters are best, and is that better than the base model?
  gemtune demo --live             with your own credentials, on the real service
"""


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("stop following the training after this long (30, 30s, 5m, 2h)")
    parser = add_command(commands, "demo", _run, "run the tuning tutorial from end to end", _EXAMPLES, common=common)
    parser.add_argument(
        "--live", action="store_true", help="use the real service, or the one at --base-url, with your own credentials"
    )
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="tune with many hyperparameters instead, on the emulator: as Vertex AI, unless you say --no-vertex",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="N",
        help=f"pace of the emulator's clock; 1 is real time (default: {_SPEED:g}, of a sweep {SWEEP_SPEED:g})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the emulator's ids and losses (default: 0)"
    )
    parser.add_argument(
        "--base",
        metavar="MODEL",
        help=f"the model to tune (default: {tutorial.BASE_MODEL}, on Vertex AI {tutorial.VERTEX_BASE_MODEL})",
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
    if options.sweep:
        from gemtune.cli.demo.sweep import run_sweep

        return run_sweep(options, console)
    if options.live:
        if options.speed is not None:
            raise InvalidInput("--speed sets the emulator's clock; leave it out with --live", field="--speed")
        console.deed = True
        console.check()
        return run_async(_live, options, console)
    elsewhere = ("base_url", "project", "location", "bucket")
    if any(getattr(options, name) is not None for name in elsewhere):
        named = "--base-url, --project, --location and --bucket"
        raise InvalidInput(f"{named} need --live; without it the demo runs a service of its own")
    from gemtune.emulator import running_emulator

    speed = options.speed or _SPEED
    try:
        with running_emulator(clock=f"scaled:{speed}", seed=options.seed, buckets=[_BUCKET]) as server:
            return run_async(_emulated, options, console, server.url, speed)
    except ImportError as missing:
        console.error(str(missing))
        return USAGE


async def _live(options: argparse.Namespace, console: Console) -> int:
    from gemtune.config import WatchPolicy
    from gemtune.settings import DEFAULT_BASE_URL

    demo = _Demo(console, options)
    async with open_client(options, watch=WatchPolicy(freshness=5), on_request=demo.steps.show_request) as client:
        address = client.settings.base_url
        real = address == DEFAULT_BASE_URL or not client.settings.fixed
        service = "real service" if real else f"service at {address}"
        console.print(f"The tuning tutorial on the {service}, with your own credentials:")
        for setting in client.settings:
            console.print(f"  {setting}")
        return await demo.run(client)


async def _emulated(options: argparse.Namespace, console: Console, url: str, speed: float) -> int:
    from gemtune.client import Client
    from gemtune.config import WatchPolicy

    face = " as Vertex AI" if options.vertex else ""
    said = (
        f"The tuning tutorial against the bundled emulator at {url}{face}, {speed:g} times as fast as real time. No "
        "account, no network, and nothing is learned: the losses are a formula, and every answer is the output of the "
        "training example nearest to the prompt."
    )
    about(console, said)
    pause = max(_FRESHNESS / speed, 0.02)
    policy = WatchPolicy(freshness=pause, terminal_freshness=pause, queued_interval=pause, min_interval=pause)
    demo = _Demo(console, options, pace=speed)
    async with Client(
        base_url=url,
        token="emulator",  # noqa: S106 - it takes any
        vertexai=bool(options.vertex),
        project="demo",
        bucket=_BUCKET if options.vertex else None,
        watch=policy,
        on_request=demo.steps.show_request,
    ) as client:
        return await demo.run(client)


@attrs.define(eq=False)
class _Demo:
    """The tutorial's steps, each shown with the requests that it makes.

    Args:
        console: Where to print.
        options: The command line.
        pace: Seconds of the service's time in one of ours.
    """

    console: Console
    options: argparse.Namespace
    pace: float = 1.0
    steps: DemoSteps = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.steps = DemoSteps(self.console)

    async def run(self, client: Client) -> int:
        """Take all steps and return the exit code."""
        began = time.monotonic()
        await self._list(client)
        job = await self._create(client)
        model = await self._follow(client, job)
        for prompt in tutorial.PROMPTS:
            await self._generate(client, model, prompt)
        elapsed = time.monotonic() - began
        self.console.record({"kind": "done", "model": model.name, "seconds": round(elapsed, 3)})
        chosen = " --vertex" if client.settings.service == "vertex" else ""
        further = f"gemtune jobs delete {model.name}{chosen}" if self.options.live else f"gemtune demo{chosen} --live"
        what = "delete the model" if self.options.live else "the same on the real service"
        self.console.print()
        self.console.print(wrapped(f"Done in {elapsed:.1f} s; {what}: {further}", self.console.out))
        return DONE

    async def _list(self, client: Client) -> None:
        what, of = ("tuning job", client.tuning_jobs) if on_vertex(client) else ("tuned model", client.tuned_models)
        self.steps.begin(f"List the {what}s, which checks the credential")
        pager: Pager[Any] = of.list(page_size=10)
        page = await anext(pager.pages())
        self.console.record({"kind": "listed", f"{what}s".replace(" ", "_"): [found.name for found in page]})
        self.steps.result(f"{counted(len(page), what)} on the first page; the credential works")

    async def _create(self, client: Client) -> TuningJob:
        from gemtune.types import Hyperparameters

        vertex = on_vertex(client)
        self.steps.begin(f"Create a tuned model from {len(tutorial.EXAMPLES)} examples")
        job = await client.tune(
            self.options.base or (tutorial.VERTEX_BASE_MODEL if vertex else tutorial.BASE_MODEL),
            tutorial.EXAMPLES,
            display_name=tutorial.DISPLAY_NAME,
            hyperparameters=Hyperparameters(
                epoch_count=tutorial.EPOCHS,
                batch_size=None if vertex else tutorial.BATCH_SIZE,
                learning_rate=None if vertex else tutorial.LEARNING_RATE,
                learning_rate_multiplier=tutorial.MULTIPLIER if vertex else None,
            ),
        )
        self.console.record({"kind": "created", "job": job.name, "operation": job.operation})
        steps = job.progress.total_steps  # the service says how many there are only once it has read the data
        self.steps.result(job.name if steps is None else f"{job.name}, {steps} steps")
        await self._state(client, job)
        return job

    async def _state(self, client: Client, job: TuningJob) -> None:
        of = client.tuning_jobs if on_vertex(client) else client.tuned_models
        found = await of.get(job)
        self.console.record({"kind": "state", "job": found.name, "state": found.state})
        self.steps.result(f"state {found.state}")

    async def _follow(self, client: Client, job: TuningJob) -> TunedModel:
        from gemtune.cli.jobs.follow import follow, look_again

        self.steps.begin("Follow its snapshots to 100 %")
        ends = "the emulator and its job end with the demo"
        left = look_again(job.name, self.options) if self.options.live else ends

        def pictures() -> list[JobPicture]:
            shown = job.picture()
            return [attrs.evolve(shown, eta=shown.eta and shown.eta / self.pace)]

        await follow(
            job, self.console, pictures=pictures, timeout=self.options.timeout, indent="   ", left=left, keep=False
        )
        model = await job
        self.steps.result(f"seen with {counted(self.steps.requests, 'request')}")
        self._draw(attrs.evolve(job.picture(), elapsed=None))  # in the emulator's time, which nobody has spent
        self.steps.shown.clear()
        await self._state(client, job)
        return model

    def _draw(self, picture: JobPicture) -> None:
        width = width_of(self.console.out, 82) - 6
        paint = None if self.console.json else paint_for(self.console, self.console.out)
        if paint is None:
            for row in one(picture, width, 11, unicode=self.console.unicode):
                self.console.print(f"     {row}")
            return
        from gemtune.cli.screen.job import job

        print_painted(self.console, paint, job(picture, width, 12, color=paint.color), indent="   ")

    async def _generate(self, client: Client, model: TunedModel, prompt: str) -> None:
        self.steps.begin(f"Generate with {prompt!r}")
        reply = await client.generate_content(model, prompt)
        self.console.record({"kind": "answer", "prompt": prompt, "text": reply.text})
        self.steps.result(reply.text)
