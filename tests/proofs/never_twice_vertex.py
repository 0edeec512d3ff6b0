"""Never twice on Vertex AI, where no name can be chosen: what every fault does to the creation and to the cancelling.

``PYTHONPATH=tests python -m proofs.never_twice_vertex`` plays all cases in virtual time and prints the tables that
stand in ``never_twice_vertex.md``; the tests play them too and compare.
"""

import json

import anyio
import attrs
import httpx

import gemtune
from gemtune import errors
from gemtune.emulator import Emulator
from gemtune.protocol.vertex_names import label_of
from gemtune.resources.batches.service import BatchService
from gemtune.resources.mirror import batches_of
from gemtune.resources.vertex.labels import LABEL
from proofs.faulty import FAULTS, HARMLESS, Faulty
from proofs.never_twice import Case, Outcome, Table, World, main, program
from vertex.service import BASE, TRAIN, make_vertex
from world import make_app

__all__ = ["INTRODUCTION", "TABLES", "VertexWorld"]

INTRODUCTION = """\
# Never twice on Vertex AI

The service lets nobody choose a name, so that a label tells a job of ours, and a list has to be searched for it. A cell
is the result and the number of requests of that kind, with `/n` where the service carried out n of them and not one.
Every case has proved that its faults were met. Every creation sends one label and one body. Where two jobs came to be,
because the service acted on an attempt after everybody had looked, the younger one is cancelled: at most one is left,
and where a creation ended with an error, `tune` with the id that it names and `if_exists="adopt"` was called afterwards
and led to one job. A batch is created by the same rules, with its mark as the label; whoever looks for it leaves one.
Made by `PYTHONPATH=tests python -m proofs.never_twice_vertex`."""


@attrs.define
class VertexWorld(World):
    """One client, one emulator, and a faulty way between them; made in a running loop."""

    app: Emulator = attrs.field(factory=lambda: make_app(step_seconds=1000.0, queue_seconds=0.0))

    def __attrs_post_init__(self) -> None:
        self.way = Faulty(httpx.ASGITransport(self.app), [], part="/tuningJobs", ends=True)
        _, self.client = make_vertex(self.app, self.way)

    async def jobs(self) -> dict[str, str]:
        """The state of every job of the project, by name."""
        async with VertexWorld(self.app).client as client:
            return {job.name: str(job.state) async for job in client.tuning_jobs.list()}

    async def alive(self) -> list[str]:
        """The jobs that nobody has cancelled."""
        return [name for name, state in (await self.jobs()).items() if "CANCEL" not in state]


CREATES = {
    "generated id": {"display_name": "number generator"},
    "given id": {"tuned_model_id": "mine"},
    "given id, adopt": {"tuned_model_id": "mine", "if_exists": "adopt"},
}


def sent_id(world: VertexWorld, error: errors.GemtuneError | None, given: dict[str, str]) -> str | None:
    """The id that a call had, as the caller knows it: chosen, or named by the error."""
    if "tuned_model_id" in given:
        return given["tuned_model_id"]
    named = [
        word for remedy in error.remedies for word in remedy.words if getattr(word, "name", "") == "tuned_model_id"
    ]
    return named[0].value if named else None


async def create(case: Case) -> Outcome:
    """A new job: every fault meets its creation."""
    world = VertexWorld()
    async with world.client as client:
        world.arm(case)
        given = CREATES[case.scenario]
        job, outcome = await world.outcome("job", lambda: client.tune(BASE, TRAIN, **given))
        assert world.way.used >= 1
        assert len({request.content for request in world.way.asked}) == 1, "one body, and so one label"
        world.disarm()
        names = await world.jobs()
        assert outcome.deeds == len(names)
        # What the service does after the call has ended, only the next call can see.
        late = case.fault.acts == "late" and case.position == "every"
        assert len(await world.alive()) <= (2 if late else 1)
        if outcome.error is not None or late:
            mine = sent_id(world, outcome.error, given) if outcome.error is not None else given.get("tuned_model_id")
            if isinstance(outcome.error, errors.AmbiguousOutcome):
                assert mine is not None
                assert "if_exists='adopt'" in str(outcome.error)
            if mine is not None:
                assert not names or f'"{label_of(mine)}"'.encode() in world.way.asked[0].content
                job = await client.tune(BASE, TRAIN, tuned_model_id=mine, if_exists="adopt")
        if job is not None:
            assert job.name in await world.alive()
            assert await world.alive() == [job.name] or late
            assert LABEL in (await client.tuning_jobs.get(job)).labels
    return outcome


async def taken(case: Case) -> Outcome:
    """A job that was there before: every fault meets the search for it, and nothing is ever created."""
    world = VertexWorld()
    async with world.client as client:
        first = await client.tune(BASE, TRAIN, tuned_model_id="mine", description="the older one")
        world.arm(case, verb="GET")
        if_exists = "adopt" if case.scenario == "taken, adopt" else "error"
        job, outcome = await world.outcome(
            "job", lambda: client.tune(BASE, TRAIN, tuned_model_id="mine", if_exists=if_exists)
        )
        assert world.way.used >= 1
        assert await world.alive() == [first.name]
        if job is not None:
            assert job.name == first.name
    return outcome


async def cancelling(case: Case) -> Outcome:
    """Every fault meets the cancelling of a running job, or of one that has ended."""
    world = VertexWorld()
    async with world.client as client:
        job = await client.tune(BASE, TRAIN)
        if case.scenario == "has ended":
            await client.tuning_jobs.cancel(job)
            await anyio.sleep(10_000)
            assert (await client.tuning_jobs.get(job)).state == "JOB_STATE_CANCELLED"
        world.arm(case, part=":cancel")
        _, outcome = await world.outcome("done", job.cancel)
        assert world.way.used >= 1
        if outcome.error is None or outcome.deeds:
            assert "CANCEL" in (await world.jobs())[job.name]
        if outcome.error is not None:
            world.disarm()
            await job.cancel()
            assert "CANCEL" in (await world.jobs())[job.name]
    return outcome


async def batch(case: Case) -> Outcome:
    """A new batch: every fault meets its creation."""
    app = make_app(batch_queue_seconds=10_000.0, batch_seconds=10_000.0)
    way = Faulty(httpx.ASGITransport(app), part="/batchPredictionJobs", ends=True, **program(case.fault, case.position))
    _, client = make_vertex(app, way, bucket="my-bucket", on_request=None)
    made, error, result = None, None, "batch"
    async with client:
        try:
            made = await client.batches.create(BASE, [("a", "x"), ("b", "y")])
        except errors.GemtuneError as caught:
            error, result = caught, type(caught).__name__
        await way.catch_up()
    assert way.used >= 1
    assert len({request.content for request in way.asked}) == 1, "one body, and so one label"
    async with make_vertex(app, bucket="my-bucket", on_request=None)[1] as onlooker:
        every = await onlooker.batches.list().all()
        left = [each.name for each in every if not each.done and each.state != "CANCELLING"]
        # What the service does after the call has ended, only the next call can see; it is the same for all that look.
        late = case.fault.acts == "late" and case.position == "every"
        assert len(left) <= (2 if late else 1)
        mark = json.loads(way.asked[0].content)["labels"][LABEL]
        found = await service_of(onlooker).find(mark)
        if made is not None:
            assert made.name == found.name
        elif isinstance(error, errors.AmbiguousOutcome):
            assert f"{LABEL}={mark}" in str(error), "it says how to find out"
        else:
            assert found is None, "an error that leaves nothing open leaves nothing behind"
        every = await onlooker.batches.list().all()
        assert [each.name for each in every if "CANCEL" not in str(each.state)] == ([found.name] if found else [])
    return Outcome(result, len(way.asked), len(every), error)


def service_of(client: gemtune.Client) -> BatchService:
    """The seam behind ``client.batches``, as an engine has it."""
    return batches_of(client._caller, client.settings)


TABLES = (
    Table("tuningJobs.create of a new job", tuple(CREATES), FAULTS, create),
    Table(
        "tune where the id is taken: the search before meets the fault",
        ("taken, error", "taken, adopt"),
        HARMLESS,
        taken,
    ),
    Table("tuningJobs.cancel", ("runs", "has ended"), FAULTS, cancelling),
    Table("batchPredictionJobs.create of a new batch", ("batch",), FAULTS, batch),
)


if __name__ == "__main__":
    main(INTRODUCTION, TABLES)
