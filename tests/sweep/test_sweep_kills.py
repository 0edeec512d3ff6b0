"""A sweep that is killed anywhere and resumed: never a point twice, nothing lost, nobody cancelled by accident."""

import os
from collections import Counter

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtualtime
from gemtune.errors import CallError
from gemtune.sweep import PointState
from gemtune.sweep.journal.folder import SweepJournal
from sweep.emulated import FACES, ROWS, Gemini, GiveUp, Vertex, Wire, kind_of

DEEP = int(os.environ.get("GEMTUNE_DEEP", "1"))
SPACE = {"epoch_count": [2, 3, 9]}
CREATION = ("kill before", "kill after", "lost", "refused", "503", "503 after", "429 RESOURCE_EXHAUSTED all are taken")
CANCELLATION = ("kill before", "kill after", "lost", "503", "400 FAILED_PRECONDITION it is over")
QUESTION = ("kill before", "kill after", "503")
LOOK = ("kill before", "503", "lost")


@attrs.define
class Killer:
    """Ends a run as a kill would: from that moment nothing is written, and nothing is sent."""

    wire: Wire
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    killed: bool = False

    def kill(self) -> None:
        self.killed = self.wire.dead = True
        self.scope.cancel()


async def run_once(face, wire, folder, *, at_line=None, torn=0):
    """Run a sweep until it ends or is killed; return it once it is through, else None."""
    killer = Killer(wire)
    wire.on_kill, wire.dead = killer.kill, False
    lines = 0

    class Dying(SweepJournal):
        async def note(self, *written):
            nonlocal lines
            lines += 1
            if killer.killed:
                await anyio.sleep_forever()
            if at_line == (lines, "before"):
                killer.kill()
                await anyio.sleep_forever()
            await super().note(*written)
            if at_line == (lines, "after"):
                killer.kill()
                await anyio.sleep_forever()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gemtune.sweep.sweep.SweepJournal", Dying)
        with killer.scope:
            async with face.client(wire.app, wire) as client:
                sweep = client.sweep(
                    face.base, ROWS, space=SPACE, journal=folder, stop=GiveUp(2), metrics="exact_match",
                    objective="loss", validation=0.4, concurrency=2,
                )  # fmt: skip
                try:
                    await sweep.run()
                except CallError:
                    return None
    if killer.killed and torn and at_line is not None and at_line[1] == "before":
        # The line that was being written is torn: what would have followed from it was not sent.
        with (folder / "points.journal").open("ab") as journal:
            journal.write(b'{"point":0,"is":"creating","crc":"'[:torn])
    return None if killer.killed else sweep


async def play(face, tmp_path, plans):
    """Run a sweep as often as it takes, with one plan of faults and one kill for each run; then without any."""
    app, folder = face.app(places=2), tmp_path / "sweep"
    wire = Wire(app)
    for faults, at_line, torn in plans:
        counts = dict(wire.seen)
        wire.trouble = lambda kind, count, faults=faults, counts=counts: faults.get((kind, count - counts.get(kind, 0)))
        if await run_once(face, wire, folder, at_line=at_line, torn=torn) is not None:
            break
    wire.trouble = lambda _kind, _count: None
    sweep = await run_once(face, wire, folder)
    assert sweep is not None
    return sweep, wire


def check(face, sweep, wire):
    ids = face.jobs(wire.app)
    assert len(ids) == len(set(ids)) == 3, ids
    states = [each.state for each in sweep.points]
    assert states[:2] == [PointState.TRAINED, PointState.TRAINED]
    assert states[2] in (PointState.STOPPED, PointState.TRAINED)  # it may have ended while nobody was there
    assert {each.label for each in sweep.evaluation.models} >= {"base", "point 0", "point 1"}
    assert sweep.best.point.number in (0, 1, 2)
    assert len(face.jobs(wire.app)) == 3


@st.composite
def plans(draw):
    """Up to three runs: for each what happens to which request, and at which line of the journal it is killed."""
    by_kind = {"create": CREATION, "cancel": CANCELLATION, "ask": QUESTION, "look": LOOK}
    found = []
    for _ in range(draw(st.integers(1, 3))):
        faults = {
            (kind, number): draw(st.sampled_from(by_kind[kind]))
            for kind, number in draw(
                st.sets(
                    st.tuples(st.sampled_from(("create", "create", "cancel", "ask", "look")), st.integers(1, 6)),
                    max_size=4,
                )
            )
        }
        at_line = draw(st.none() | st.tuples(st.integers(1, 14), st.sampled_from(("before", "after"))))
        found.append((faults, at_line, draw(st.integers(0, 20))))
    return found


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
@pytest.mark.parametrize("backend", [virtualtime.asyncio_backend], ids=["asyncio"])
def test_whatever_fails_and_whenever_it_is_killed_no_point_is_tuned_twice_or_lost(face, backend, tmp_path_factory):
    @settings(max_examples=(10 if face is Gemini else 3) * DEEP)
    @given(plans())
    def play_all(drawn):
        async def main():
            sweep, wire = await play(face, tmp_path_factory.mktemp("played"), drawn)
            check(face, sweep, wire)

        name, options = backend()
        anyio.run(main, backend=name, backend_options=options)

    play_all()


STAGES = {
    "before the line": ({}, (2, "before")),
    "after the line": ({}, (2, "after")),
    "before the creation": ({("create", 1): "kill before"}, None),
    "during the creation": ({("create", 1): "kill after"}, None),
    "after the creation": ({}, (3, "before")),
    "after its line": ({}, (3, "after")),
    "at the second creation": ({("create", 2): "kill after"}, None),
    "before the cancellation": ({("cancel", 1): "kill before"}, None),
    "during the cancellation": ({("cancel", 1): "kill after"}, None),
    "during the evaluation": ({("ask", 3): "kill after"}, None),
    "as nothing but the header is there": ({}, (1, "before")),
}


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("face", "stage"),
    [(Gemini, stage) for stage in STAGES] + [(Vertex, stage) for stage in STAGES if "during" in stage or DEEP > 1],
    ids=lambda each: getattr(each, "name", each),
)
async def test_a_sweep_is_killed_at_every_stage_and_resumed(face, stage, tmp_path):
    faults, at_line = STAGES[stage]
    sweep, wire = await play(face, tmp_path, [(faults, at_line, 0)])
    check(face, sweep, wire)


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize(
    ("kind", "line"), [("create", b'{"point":0,"is":"creating"'), ("cancel", b'{"point":2,"is":"stopping"')]
)
async def test_what_must_not_happen_twice_is_on_the_disk_before_it_is_sent(kind, line, tmp_path):
    wire, folder = Wire(Gemini.app()), tmp_path / "sweep"
    wire.trouble = lambda seen, _: "kill before" if seen == kind else None
    assert await run_once(Gemini, wire, folder) is None
    assert line in await anyio.Path(folder / "points.journal").read_bytes()


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
async def test_what_is_adopted_is_not_created_again_and_is_said(tmp_path):
    wire = Wire(Vertex.app())
    folder = tmp_path / "sweep"
    wire.trouble = lambda kind, count: "kill after" if (kind, count) == ("create", 1) else None
    assert await run_once(Vertex, wire, folder) is None
    wire.trouble, wire.dead = lambda _kind, _count: None, False
    async with (
        Vertex.client(wire.app, wire) as client,
        client.sweep(
            Vertex.base, ROWS, space=SPACE, journal=folder, metrics="exact_match", objective="loss", validation=0.4
        ) as sweep,
    ):
        adopted = {event.point.number: event.adopted async for event in sweep if event.kind == "point_started"}
    assert adopted == {0: True, 1: False, 2: False}
    assert wire.seen["create"] == 3


@attrs.define
class Asking(Wire):
    """Keeps in mind which questions were asked, and which of them were answered."""

    asked: Counter = attrs.field(factory=Counter)
    answered: set = attrs.field(factory=set)

    async def handle_async_request(self, request):
        question = (request.url.path, request.content) if kind_of(request) == "ask" and not self.dead else None
        self.asked[question] += 1
        reply = await super().handle_async_request(request)
        self.answered.add(question)
        return reply


@pytest.mark.anyio
@pytest.mark.usefixtures("virtual_time")
@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
@pytest.mark.parametrize(
    ("ask", "fault"), [(7, "kill after"), (11, "kill after"), (13, "kill before"), (15, "kill after")]
)
async def test_killed_while_the_survivors_or_the_base_model_are_asked_it_asks_nothing_twice_that_was_answered(
    face, ask, fault, tmp_path
):
    wire, options = Asking(face.app()), {"metrics": "exact_match", "validation": 0.4, "objective": "loss"}
    options |= {"space": {"epoch_count": [1, 2]}, "journal": tmp_path / "sweep"}
    wire.trouble = lambda kind, count: fault if (kind, count) == ("ask", ask) else None
    killer = Killer(wire)
    wire.on_kill = killer.kill
    with killer.scope:
        async with face.client(wire.app, wire) as client:
            await client.sweep(face.base, ROWS, **options).run()
    assert killer.killed
    answered, before = set(wire.answered), Counter(wire.asked)
    wire.trouble, wire.dead = lambda _kind, _count: None, False
    async with face.client(wire.app, wire) as client:
        sweep = client.sweep(face.base, ROWS, **options)
        await sweep.run()
        again = set(wire.asked - before) - {None}
        assert again.isdisjoint(answered)
        assert len(again | answered - {None}) == 3 * len(sweep.evaluation.rows)
        # The same models and rows, asked from the beginning: what was put together from two runs is no other result.
        models = {"base": face.base} | {f"point {each.point.number}": each.job for each in sweep.points}
        whole = await client.evaluate(models, sweep._data.validation)
    for each in whole.models:
        assert sweep.evaluation[each.label].scores == each.scores
    best = f"point {sweep.best.point.number}"
    assert sweep.picture().comparisons == [whole.compare(best, "base")]
