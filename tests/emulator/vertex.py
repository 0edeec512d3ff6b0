"""The requests of the Vertex face's tests: Api's, and what a tuning job there needs."""

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import attrs

from emulator.emulated import GOLDEN, PAIRS, Api
from gemtune.emulator import Emulator
from gemtune.emulator.world.objects import StoredBucket, StoredObject

OBSERVED = {
    sample["id"]: sample["body"]
    for sample in json.loads((GOLDEN / "vertex_observed.json").read_text(encoding="utf-8"))["samples"]
}
PARENT = "projects/123456789012/locations/us-central1"
JOBS = f"/v1/{PARENT}/tuningJobs"
BETA_JOBS = f"/v1beta1/{PARENT}/tuningJobs"
TRAIN, CHECK, PREFER = (f"gs://my-bucket/{name}.jsonl" for name in ("train", "check", "prefer"))


def turns(*texts: str) -> list[dict[str, Any]]:
    roles = ("user", "model")
    return [{"role": roles[number % 2], "parts": [{"text": text}]} for number, text in enumerate(texts)]


def supervised(pairs: Any = PAIRS) -> list[Any]:
    return [{"contents": turns(text, output)} for text, output in pairs]


def preferences(pairs: Any = PAIRS) -> list[Any]:
    return [
        {
            "contents": turns(text),
            "completions": [
                {"score": 1, "completion": {"role": "model", "parts": [{"text": output}]}},
                {"score": 0, "completion": {"role": "model", "parts": [{"text": "no idea"}]}},
            ],
        }
        for text, output in pairs
    ]


def job_body(*, base: str | None = "gemini-2.5-flash", spec: Any = None, **fields: Any) -> dict[str, Any]:
    """A TuningJob to create."""
    given = {"trainingDatasetUri": TRAIN} | (spec or {})
    return ({"baseModel": base} if base else {}) | {"supervisedTuningSpec": given} | fields


def put(app: Emulator, lines: Any, uri: str = TRAIN) -> None:
    """Lay a dataset into the emulated Cloud Storage: lines as JSON, or bytes as they are."""
    raw = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    objects, now = app.store.objects, app.clock.now()
    if bucket not in objects.buckets:
        objects.add_bucket(StoredBucket(name=bucket, created=now))
    scratch = objects.depot.scratch()
    scratch.append(raw)
    generation, content = objects.settle(scratch, now)
    objects.put(StoredObject(bucket=bucket, name=name, generation=generation, created=now, content=content))


async def copied(state: Path) -> Path:
    """Copy a state file, which belongs to its emulator, with its objects; return the copy."""
    copy = state.with_name("copy.json")
    await anyio.to_thread.run_sync(shutil.copy, state, copy)
    await anyio.to_thread.run_sync(shutil.copytree, f"{state}.objects", f"{copy}.objects")
    return copy


@attrs.define
class Vertex(Api):
    """One emulator, asked as Vertex AI."""

    def put(self, lines: Any, uri: str = TRAIN) -> None:
        put(self.app, lines, uri)

    async def tune(self, body: Any = None, *, path: str = JOBS, **options: Any) -> Any:
        """A new job, as create shows it."""
        reply = await self.call("POST", path, body or job_body(), **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def look(self, job: Any, version: str = "v1") -> Any:
        return await self.get(f"/{version}/{job['name']}")

    async def tuned_job(self, body: Any = None, **options: Any) -> Any:
        """A job that is over."""
        job = await self.tune(body, **options)
        self.app.advance(100_000)
        return await self.look(job)
