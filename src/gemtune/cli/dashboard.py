"""``gemtune dashboard``: all your jobs on a page of this machine."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from gemtune._version import __version__
from gemtune.cli.console import Console
from gemtune.cli.exits import INTERRUPTED, TIMED_OUT, USAGE
from gemtune.cli.jobs.vertex import on_vertex
from gemtune.cli.options import JOB, Commands, add_command, common_options
from gemtune.cli.running import open_client, run_async
from gemtune.errors import GemtuneError

if TYPE_CHECKING:
    from gemtune.client import Client
    from gemtune.web.serve import DashboardSite

_EXAMPLES = """\
  gemtune dashboard
  gemtune dashboard my-model another-model --port 8000
  gemtune dashboard --host 0.0.0.0      for other machines, with a link that works once
  gemtune dashboard --allow-asking      ask finished models on the page; each answer costs what it costs
"""
_RECENT = 50
_ENDED = {"ACTIVE", "FAILED"}
_FIELDS = "tunedModels(name,state,createTime),nextPageToken"


def add(commands: Commands) -> None:
    """Add the command."""
    common = common_options("stop after this long (30, 30s, 5m, 2h); by default at Ctrl-C")
    parser = add_command(
        commands, "dashboard", _run, "show all your jobs with live curves in the browser", _EXAMPLES, common=common
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these jobs: {JOB}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port to listen on (default: any free one)")
    parser.add_argument("--no-open", action="store_true", help="do not open a browser")
    parser.add_argument("--allow-asking", action="store_true", help="finished models may be asked on the page")
    parser.add_argument(
        "--recent", type=int, default=_RECENT, metavar="N",
        help="how many jobs that have ended are shown, the newest (default: %(default)s)",
    )  # fmt: skip


def _run(options: argparse.Namespace, console: Console) -> int:
    try:
        from gemtune.web.serve import DashboardSite
    except ImportError as error:
        raise GemtuneError(str(error)) from None
    site = DashboardSite(
        options.host, options.port, lambda link: console.note(f"another browser? {link}"), options.allow_asking
    )
    return run_async(_served, options, console, site)


async def _served(options: argparse.Namespace, console: Console, site: DashboardSite) -> int:
    from gemtune.web.serve import serve

    try:
        listener = site.listen()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        console.error(f"{site.host}:{site.port}: {reason}; choose another with --host and --port")
        return USAGE
    with listener:
        async with open_client(options) as client:
            everything = "*" if on_vertex(client) else "owner:me"
            wanted = options.names or await _ended(client, options.recent)
            async with client.watch(wanted, filter=None if options.names else everything) as watcher:
                app = site.app(watcher, client, "Jobs", allow_asking=options.allow_asking)
                stopped = await serve(app, listener, lambda: _announce(site, options, console), options.timeout)
    console.note("the dashboard has ended; the jobs continue")
    return INTERRUPTED if stopped else TIMED_OUT


def _announce(site: DashboardSite, options: argparse.Namespace, console: Console) -> None:
    from gemtune.web.serve import open_browser, opens_browser

    console.record({"url": site.link, "pid": os.getpid(), "version": __version__})
    console.print(f"The dashboard is at {site.link} (Ctrl-C to stop)")
    if not site.is_loopback:
        console.note("note: other machines can open it with that link, once; what they see travels unencrypted")
    if not (options.no_open or options.json) and opens_browser():
        open_browser(site.link)


async def _ended(client: Client, most: int) -> list[str]:
    """Return the newest jobs that have ended; those that have not are found by the watcher."""
    if on_vertex(client):
        jobs = client.tuning_jobs.list()
        found = [(str(job.create_time or ""), job.name) async for job in jobs if job.state.ended]
    else:
        models = client.tuned_models.list(filter="owner:me", fields=_FIELDS, page_size=1000)
        found = [(str(model.create_time or ""), model.name) async for model in models if str(model.state) in _ENDED]
    newest = sorted(found, reverse=True)[: max(most, 0)]
    return [name for _, name in newest]
