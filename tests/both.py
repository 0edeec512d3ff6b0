"""Both services behind one face, for tests of what handles, watchers and creations promise on either."""

from typing import Any

import httpx

import gemtune
from gemtune.emulator import Emulator
from vertex.service import BASE as VERTEX_BASE
from vertex.service import TRAIN, make_vertex
from world import BASE, EXAMPLES, TOKEN, make_app, make_client

__all__ = ["SERVICES", "OnGemini", "OnVertex", "make_world"]

HYPERPARAMETERS = gemtune.Hyperparameters(epoch_count=3)


class OnGemini:
    """The Gemini API."""

    name = "gemini"
    create = "tunedModels.create"
    look = "tunedModels.operations.get"
    collection = "/tunedModels"
    steps = 12
    everything = ""

    @staticmethod
    def client(app: Emulator, transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> gemtune.Client:
        """Return a client of the emulator."""
        if transport is not None:
            return gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=transport, **options)
        return make_client(app, **options)

    @staticmethod
    async def tune(client: gemtune.Client, **options: Any) -> gemtune.TuningJob:
        """Start a small job."""
        return await client.tune(BASE, EXAMPLES, hyperparameters=HYPERPARAMETERS, **options)

    @staticmethod
    async def alive(app: Emulator) -> list[str]:
        """Return the jobs that nobody has cancelled."""
        return sorted(app.store.tuned_models)


class OnVertex:
    """Vertex AI."""

    name = "vertex"
    create = "tuningJobs.create"
    look = "tuningJobs.get"
    collection = "/tuningJobs"
    steps = 7
    everything = "*"

    @staticmethod
    def client(app: Emulator, transport: httpx.AsyncBaseTransport | None = None, **options: Any) -> gemtune.Client:
        """Return a client of the emulator, which has the data."""
        return make_vertex(app, transport, **options)[1]

    @staticmethod
    async def tune(client: gemtune.Client, **options: Any) -> gemtune.TuningJob:
        """Start a small job."""
        return await client.tune(VERTEX_BASE, TRAIN, hyperparameters=HYPERPARAMETERS, **options)

    @staticmethod
    async def alive(app: Emulator) -> list[str]:
        """Return the jobs that nobody has cancelled."""
        async with make_vertex(app)[1] as client:
            return sorted([job.name async for job in client.tuning_jobs.list() if "CANCEL" not in job.state])


SERVICES = (OnGemini, OnVertex)
"""The services that every test of both runs on."""


def make_world(**options: Any) -> Emulator:
    """Return an emulator."""
    return make_app(**({"step_seconds": 1.0, "queue_seconds": 0.1} | options))
