"""Following a job, event by event."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import attrs

from gemtune import events
from gemtune.cli.console import Console
from gemtune.cli.jobs.follow import follow
from gemtune.show.picture import JobPicture

STAMP = {"job": "tunedModels/a", "cursor": "", "observed_at": datetime(2024, 3, 14, tzinfo=UTC)}


@attrs.frozen
class Job:
    """A job that has told what it has to tell."""

    told: tuple[events.Event, ...]
    name: str = "tunedModels/a"

    def picture(self) -> JobPicture:
        return JobPicture(name=self.name, title="a")

    async def events(self) -> AsyncIterator[events.Event]:
        for event in self.told:
            yield event


async def test_an_outage_is_told_with_how_to_stop_waiting_and_what_becomes_of_the_job():
    outage = events.Degraded(**STAMP, error="ConnectFailed", message="nobody listens", status=None, failures=3)
    err = io.StringIO()
    await follow(Job((outage, events.Cancelled(**STAMP))), Console(io.StringIO(), err))
    assert err.getvalue().splitlines()[0] == (
        "note: no answer about tunedModels/a (nobody listens); still trying. Ctrl-C stops waiting: "
        "the job continues; watch it with: gemtune jobs watch tunedModels/a"
    )
