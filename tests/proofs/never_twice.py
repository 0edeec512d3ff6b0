"""Never twice: what every fault does to every write, as a table.

``PYTHONPATH=tests python -m proofs.never_twice`` plays all cases in virtual time and prints the table that stands in
``never_twice.md``; the tests play them too and compare.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

import anyio
import attrs
import httpx

import gemtune
import virtualtime
from gemtune import errors
from proofs.faulty import BY_NAME, FAULTS, HARMLESS, UNAVAILABLE, Fault, Faulty
from world import BASE, EXAMPLES, TOKEN, make_app

__all__ = ["INTRODUCTION", "POSITIONS", "TABLES", "Case", "Outcome", "Table", "World", "main", "play"]

INTRODUCTION = """\
# Never twice

What comes of a call whose first, second (after a plain 503) or every attempt meets a fault. A cell is the result and
the number of requests sent, with `/n` where the service carried out n of them and not one. Every case has proved that
its faults were met; every creation sends one id and one body, leaves at most one model, and where it ended with an
error, `tune` with that id and `if_exists="adopt"` was called afterwards and led to the job and to one model.
Made by `PYTHONPATH=tests python -m proofs.never_twice`."""

POSITIONS = ("first", "second", "every")


def program(fault: Fault, position: str) -> dict[str, object]:
    """What the first, the second (after a 503 that makes a second) or every attempt meets."""
    if position == "every":
        return {"faults": [], "forever": fault}
    return {"faults": [fault] if position == "first" else [UNAVAILABLE, fault]}


@attrs.frozen
class Case:
    """One scenario, one fault, one position: what is done and what came of it.

    Args:
        scenario: The row of ``CREATES``, ``TAKEN``, ``LOOKS`` or ``WRITES``.
        fault: The fault.
        position: Which attempts meet it.
    """

    scenario: str
    fault: Fault
    position: str


@attrs.frozen
class Outcome:
    """What came of a case.

    Args:
        result: ``job``, ``done``, or the name of the error.
        requests: Requests of the faulty kind that the client sent.
        deeds: How many of them the service carried out.
        error: The error.
    """

    result: str
    requests: int
    deeds: int
    error: errors.GemtuneError | None = None

    def __str__(self) -> str:
        """Return the cell of the table."""
        return f"{self.result} {self.requests}" + (f"/{self.deeds}" if self.deeds != 1 else "")


@attrs.define
class World:
    """One client, one emulator, and a faulty way between them."""

    app: object = attrs.field(factory=lambda: make_app(step_seconds=0.1, queue_seconds=0.0))
    way: Faulty = attrs.field(init=False)
    client: gemtune.Client = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.way = Faulty(httpx.ASGITransport(self.app), [])
        self.client = gemtune.Client(base_url="http://127.0.0.1", token=TOKEN, transport=self.way)

    def arm(self, case: Case, **kind: str) -> None:
        for name, value in (program(case.fault, case.position) | kind).items():
            setattr(self.way, name, value)
        self.way.asked.clear()
        self.way.deeds.clear()
        self.way.used = 0

    def disarm(self) -> None:
        self.way.faults, self.way.forever = [], None

    @property
    def models(self) -> list[str]:
        return sorted(self.app.store.tuned_models)

    async def outcome(self, success: str, act: Callable[[], Awaitable[object]]) -> tuple[object, Outcome]:
        value, error, result = None, None, success
        try:
            value = await act()
        except errors.GemtuneError as caught:
            error, result = caught, type(caught).__name__
        await self.way.catch_up()
        return value, Outcome(result, len(self.way.asked), self.way.done, error)


Tune = dict[str, str]
CREATES: dict[str, Tune] = {
    "generated id": {"display_name": "number generator"},
    "given id": {"tuned_model_id": "mine"},
    "given id, adopt": {"tuned_model_id": "mine", "if_exists": "adopt"},
}


async def create(case: Case) -> Outcome:
    """A new model: every fault meets its creation."""
    world = World()
    async with world.client as client:
        world.arm(case)
        job, outcome = await world.outcome("job", lambda: client.tune(BASE, EXAMPLES, **CREATES[case.scenario]))
        assert world.way.used >= 1
        assert outcome.deeds == len(world.models) <= 1
        ids = {request.url.params["tunedModelId"] for request in world.way.asked}
        assert len(ids) == 1, "every attempt carries the same id"
        assert {request.content for request in world.way.asked} == {world.way.asked[0].content}
        world.disarm()
        name = f"tunedModels/{ids.pop()}"
        if outcome.error is not None:
            # A clear error says what to do: doing it leads to the job, and still to one model.
            assert outcome.error.resource == name
            if isinstance(outcome.error, errors.AmbiguousOutcome):
                assert "if_exists='adopt'" in str(outcome.error)
            job = await client.tune(BASE, EXAMPLES, tuned_model_id=name.partition("/")[2], if_exists="adopt")
        assert world.models == [job.name] == [name]
        assert (await job).state == "ACTIVE"
    return outcome


TAKEN: dict[str, Tune] = {
    "taken, error": {"tuned_model_id": "mine"},
    "taken, adopt": {"tuned_model_id": "mine", "if_exists": "adopt"},
}


async def taken(case: Case) -> Outcome:
    """A model that was there before: every fault meets the look at it, and nothing is ever created."""
    world = World()
    async with world.client as client:
        await client.tune(BASE, EXAMPLES, tuned_model_id="mine", description="the older one")
        world.arm(case, verb="GET")
        job, outcome = await world.outcome("job", lambda: client.tune(BASE, EXAMPLES, **TAKEN[case.scenario]))
        assert world.way.used >= 1
        assert len(world.app.requests.of("tunedModels.create")) == 1
        assert world.models == ["tunedModels/mine"]
        world.disarm()
        assert (await client.tuned_models.get("mine")).description == "the older one"
        if job is not None:
            assert (await job).name == "tunedModels/mine"
    return outcome


LOST = Fault("404 although it is there", lambda: httpx.Response(404, json={"error": {"status": "NOT_FOUND"}}))
HIDDEN = Fault("403", lambda: httpx.Response(403, json={"error": {"status": "PERMISSION_DENIED"}}))
LOOKS = {"look, generated id": CREATES["generated id"], "look, given id": CREATES["given id"]}


async def look(case: Case) -> Outcome:
    """The creation happened, its reply was lost, and then the look for it fails, too."""
    world = World()
    async with world.client as client:
        given = LOOKS[case.scenario]
        lost = BY_NAME["502 HTML, acted"]
        way = Faulty(world.way, [lost])
        client._caller.wire.transport = way
        world.arm(case, verb="GET")
        if "tuned_model_id" in given:
            world.way.faults.insert(0, None)  # the look before the creation finds nothing
        job, outcome = await world.outcome("job", lambda: client.tune(BASE, EXAMPLES, **given))
        assert world.way.used >= 1
        assert way.used == 1
        assert way.done == len(world.models) == 1
        world.disarm()
        if outcome.error is not None:
            assert isinstance(outcome.error, errors.AmbiguousOutcome), outcome.error
            name = outcome.error.resource.partition("/")[2]
            job = await client.tune(BASE, EXAMPLES, tuned_model_id=name, if_exists="adopt")
        assert world.models == [job.name]
        assert (await job).state == "ACTIVE"
        posts = len(way.asked)
    return attrs.evolve(outcome, requests=posts, deeds=1)


Write = tuple[str, str, Callable[[gemtune.Client, str], Awaitable[object]]]
WRITES: dict[str, Write] = {
    "tunedModels.patch": ("PATCH", "/mine", lambda client, _: client.tuned_models.update("mine", description="new")),
    "tunedModels.delete": ("DELETE", "/mine", lambda client, _: client.tuned_models.delete("mine")),
    "transferOwnership": (
        "POST", ":transfer", lambda client, _: client.tuned_models.transfer_ownership("mine", "eve@example.com"),
    ),
    "permissions.create": (
        "POST", "/permissions",
        lambda client, _: client.permissions.create("mine", role="READER", email_address="b@c.d")
    ),
    "permissions.patch": (
        "PATCH", "/permissions/", lambda client, name: client.permissions.update(name, role="WRITER"),
    ),
    "permissions.delete": ("DELETE", "/permissions/", lambda client, name: client.permissions.delete(name)),
    "operations.cancel": ("POST", ":cancel", lambda client, name: client.operations.cancel(name)),
    "generateContent": ("POST", ":generate", lambda client, _: client.generate_content("gemini-3.7-flash", "LXIII")),
}  # fmt: skip
LIE = "503 UNAVAILABLE, acted all the same"


async def write(case: Case) -> Outcome:
    """A change of a model that is there: repeated only where it surely did not happen."""
    world = World()
    async with world.client as client:
        job = await client.tune(BASE, EXAMPLES, tuned_model_id="mine")
        shared = await client.permissions.create("mine", role="READER", email_address="a@example.com")
        verb, part, act = WRITES[case.scenario]
        world.arm(case, verb=verb, part=part)
        name = job.operation if case.scenario.startswith("op") else shared.name
        _, outcome = await world.outcome("done", lambda: act(client, name))
        assert world.way.used >= 1
        if case.scenario != "generateContent":
            if case.fault.name != LIE:
                assert outcome.deeds <= 1
            if isinstance(outcome.error, errors.AmbiguousOutcome):
                assert "read the resource before you repeat it" in str(outcome.error)
        else:
            assert outcome.requests <= 5
            assert outcome.deeds <= 3 or case.fault.name == LIE
        if outcome.error is not None:
            assert outcome.error.resource
    return outcome


Player = Callable[[Case], Awaitable[Outcome]]
Results = dict[tuple[str, str, str], Outcome]


@attrs.frozen
class Table:
    """Scenarios that are played in the same way, with the same faults."""

    title: str
    scenarios: tuple[str, ...]
    faults: tuple[Fault, ...]
    player: Player

    async def play(self) -> Results:
        """Play every scenario with every fault at every position."""
        results = {}
        for case in (Case(*one) for one in itertools.product(self.scenarios, self.faults, POSITIONS)):
            try:
                results[case.scenario, case.fault.name, case.position] = await self.player(case)
            except BaseException as error:
                error.add_note(f"in the case: {case.scenario}, {case.fault.name}, {case.position}")
                raise
        return results

    def render(self, results: Results) -> str:
        """Return the table as Markdown; scenarios whose columns are equal share one."""
        columns: dict[tuple[str, ...], list[str]] = {}
        for scenario in self.scenarios:
            cells = [
                " · ".join(str(results[scenario, fault.name, position]) for position in POSITIONS)
                for fault in self.faults
            ]
            columns.setdefault(tuple(cells), []).append(scenario)
        heads = ["; ".join(names) for names in columns.values()]
        lines = [f"## {self.title}", "", f"| first · second · every | {' | '.join(heads)} |"]
        lines.append("|---" * (len(heads) + 1) + "|")
        lines += [f"| {fault.name} | {' | '.join(row)} |" for fault, *row in zip(self.faults, *columns, strict=True)]
        counts = Counter(outcome.result for outcome in results.values())
        said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        return "\n".join([*lines, "", f"{len(results)} cases: {said}."])


TABLES = (
    Table("tunedModels.create of a new model", tuple(CREATES), FAULTS, create),
    Table("tune where the id is taken: the look before meets the fault", tuple(TAKEN), HARMLESS, taken),
    Table(
        "tune whose reply was lost (502) though the model was created, and the look for it meets the fault",
        tuple(LOOKS), (LOST, HIDDEN, *HARMLESS), look,
    ),
    Table("every other write, and generateContent", tuple(WRITES), FAULTS, write),
)  # fmt: skip


async def play(introduction: str, tables: tuple[Table, ...]) -> str:
    """Play all cases and return all tables."""
    return "\n\n".join([introduction, *[table.render(await table.play()) for table in tables]]) + "\n"


def main(introduction: str, tables: tuple[Table, ...]) -> None:
    """Print the tables."""
    logging.disable()
    backend = virtualtime.asyncio_backend()[1]
    print(anyio.run(play, introduction, tables, backend="asyncio", backend_options=backend), end="")  # noqa: T201


if __name__ == "__main__":
    main(INTRODUCTION, TABLES)
