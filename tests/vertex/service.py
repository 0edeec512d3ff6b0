"""A client of Vertex AI and the emulator in one process; every request is checked against the discovery documents."""

import json

import httpx

import gemtune
from discovery import check_request
from gemtune.emulator import Emulator
from gemtune.emulator.world.objects import StoredBucket, StoredObject
from world import TOKEN, make_app

__all__ = ["BASE", "PLACE", "TRAIN", "VALIDATION", "Checked", "make_vertex", "put"]

BASE = "gemini-2.5-flash"
PLACE = "projects/my-project/locations/us-central1"
TRAIN = "gs://my-bucket/train.jsonl"
VALIDATION = "gs://my-bucket/validation.jsonl"
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class Checked:
    """Refuses what the documents do not know, and remembers the methods that were called."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def __call__(self, verb: str, target: str, body: bytes | None) -> None:
        self.methods.append(check_request(verb, target, body))


def put(app: Emulator, uri: str = TRAIN, count: int = 9) -> None:
    """Put lines of pairs where a job reads them."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    lines = [
        {
            "contents": [
                {"role": "user", "parts": [{"text": NUMBERS[at % 10]}]},
                {"role": "model", "parts": [{"text": NUMBERS[(at + 1) % 10]}]},
            ]
        }
        for at in range(count)
    ]
    objects, now = app.store.objects, app.clock.now()
    if bucket not in objects.buckets:
        objects.add_bucket(StoredBucket(name=bucket, created=now))
    scratch = objects.depot.scratch()
    scratch.append("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    generation, content = objects.settle(scratch, now)
    objects.put(StoredObject(bucket=bucket, name=name, generation=generation, created=now, content=content))


def make_vertex(app: Emulator | None = None, transport: httpx.AsyncBaseTransport | None = None, **options: object):
    """Return an emulator with data, and a client of it."""
    app = app or make_app(step_seconds=1.0, queue_seconds=0.1)
    put(app)
    put(app, VALIDATION, 3)
    options = {"token": TOKEN, "project": "my-project", "on_request": Checked()} | options
    client = gemtune.Client(
        vertexai=True,
        location="us-central1",
        base_url="http://127.0.0.1",
        transport=transport or httpx.ASGITransport(app),
        **options,
    )
    return app, client
