"""Whole lives of a batch, in virtual time: whatever the service does, however often it is interrupted and gone on with
from its journal, every item has one outcome in the end, none is lost, and none that was answered is asked again.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtualtime
from batch.service import MODEL, Service, envelope, quota
from gemtune import errors
from gemtune.batch import read_journal

STEPS = {
    "throttled with a time": lambda: quota("GenerateRequestsPerMinutePerProjectPerModel", "600", "3s"),
    "throttled without": lambda: envelope(429, "RESOURCE_EXHAUSTED"),
    "overloaded": lambda: envelope(503, "UNAVAILABLE"),
    "broken": lambda: envelope(500, "INTERNAL"),
    "reset": lambda: httpx.ReadError("reset"),
    "refused": lambda: httpx.ConnectError("refused"),
    "wrong": lambda: envelope(400, "INVALID_ARGUMENT", "too hot"),
}
DOWN = ("overloaded", "reset", "refused")


@attrs.frozen
class Life:
    """One run of a batch over the input.

    Args:
        ends: How it ends before the input does, or ``complete``.
        after: Virtual seconds until then.
        pause: Seconds that the consumer takes for a result.
        options: Of ``client.batch``.
    """

    ends: str
    after: float
    pause: float
    options: dict[str, Any]


@attrs.frozen
class Story:
    """What is asked, and what the service does.

    Args:
        keyed: Whether the rows bring their keys.
        rows: For each row the seconds of its answer, and what comes before it.
        outage: From when to when nothing is answered.
        lives: The runs, one after the other; a last one completes it.
    """

    keyed: bool
    rows: list[tuple[float, list[str]]]
    outage: tuple[float, float]
    lives: list[Life]

    def inputs(self) -> list[Any]:
        return [(f"k{n}", f"p{n}") if self.keyed else f"p{n}" for n in range(len(self.rows))]


def lives(ends):
    options = st.fixed_dictionaries(
        {
            "concurrency": st.sampled_from([1, 3, 8, "auto"]),
            "order": st.sampled_from(["completed", "input"]),
            "durability": st.sampled_from(["batch", "sync", "none"]),
            "retry_failed": st.booleans(),
            "item_timeout": st.sampled_from([None, None, 4.0]),
            "resume": st.sampled_from(["all", "rest"]),
        }
    )
    moments = st.one_of(st.floats(0, 3), st.floats(0, 120))
    return st.builds(Life, st.sampled_from(ends), moments, st.sampled_from([0.0, 0.0, 0.05, 4.0]), options)


stories = st.builds(
    Story,
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.01, 1.0, 1.0, 6.0]), st.lists(st.sampled_from([*STEPS]), max_size=4)),
        min_size=1,
        max_size=25,
    ),
    st.tuples(st.floats(0, 20), st.sampled_from([0.0, 0.0, 5.0, 60.0])).map(lambda at: (at[0], at[0] + at[1])),
    st.lists(lives(["abort", "break", "cancel", "drain"]), max_size=3),
)


class Watched(Service):
    """The service of a story; counts the answers that were given and not taken back by a cancellation."""

    def __init__(self, story):
        super().__init__()
        self.given: Counter[str] = Counter()
        self.began = anyio.current_time()
        self.outage = story.outage
        self.always = self.out
        self.outs = 0
        for n, (seconds, steps) in enumerate(story.rows):
            self.seconds[f"p{n}"] = seconds
            self.steps[f"p{n}"].extend(STEPS[name]() for name in steps)

    def out(self):
        if self.outage[0] <= anyio.current_time() - self.began < self.outage[1]:
            self.outs += 1
            return STEPS[DOWN[self.outs % 3]]()
        return None

    async def __call__(self, request):
        reply = await super().__call__(request)
        if reply.status_code == 200:
            self.given[reply.json()["candidates"][0]["content"]["parts"][0]["text"]] += 1
        return reply


async def live(client, story, life, path, took):
    """Run once; returns the statistics at its end."""
    batch = client.batch(MODEL, story.inputs(), journal=path, **life.options)

    async def take():
        async with batch as results:
            async for result in results:
                took(result)
                await anyio.sleep(life.pause)
                if life.ends == "break" and anyio.current_time() >= began + life.after:
                    return

    async def drain():
        await anyio.sleep(life.after)
        batch.drain()

    began = anyio.current_time()
    if life.ends == "cancel":
        with anyio.move_on_after(life.after):
            await take()
    elif life.ends == "abort":
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take)
                await anyio.sleep(life.after)
                scope.cancel()
    elif life.ends == "drain":
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(drain)
    else:
        await take()
    return batch.statistics()


async def recorded(path):
    """The outcomes in the journal, by their names."""
    found = await anyio.to_thread.run_sync(lambda: list(read_journal(path)) if path.exists() else [])
    assert len({result.key for result in found}) == len(found), "an item has two outcomes in the journal"
    return {result.key: result for result in found}


async def play(story, folder):
    service, path = Watched(story), Path(folder) / "journal"
    names = {f"k{n}" if story.keyed else n: f"p{n}" for n in range(len(story.rows))}
    answered: set[Any] = set()  # published as answers, in whichever life
    async with service.client() as client:
        for life in [*story.lives, Life("complete", 0.0, 0.0, {"concurrency": 4})]:
            held = await recorded(path)
            done = {name for name, result in held.items() if result.ok or not life.options.get("retry_failed", True)}
            asked = service.asked.copy()
            published: dict[Any, Any] = {}
            rest = life.options.get("resume") == "rest"

            def took(result, published=published, done=done, rest=rest):
                assert result.key not in published, "published twice"
                assert not (rest and result.key in done), "published although the journal had it"
                assert result.replayed is (result.key in done)
                published[result.key] = result

            stats = await live(client, story, life, path, took)
            assert service.in_flight == 0, "a request outlived its run"
            now = await recorded(path)
            assert published.keys() <= now.keys(), "published and not in the journal"
            assert all(result.ok == now[name].ok for name, result in published.items())
            assert held.keys() <= now.keys(), "the journal lost an outcome"
            again = {prompt for prompt, count in service.asked.items() if count > asked[prompt]}
            assert not again & {names[name] for name in done}, "asked although the journal had it"
            assert (stats.in_flight, stats.parked) == (0, 0)
            if life.ends in {"complete", "drain"}:
                replayed = sum(result.replayed for result in published.values())
                assert stats.done + stats.failed == len(published) - replayed, "an outcome was not published"
                assert replayed == (0 if rest else stats.skipped)
            answered |= {name for name, result in published.items() if result.ok}
        assert len(published) == len(names)
    assert now.keys() == names.keys(), "an item has no outcome"
    assert answered <= {name for name, result in now.items() if result.ok}, "an answer was lost"
    for name, result in now.items():
        told = service.given[f"re: {names[name]}"]
        assert 1 <= told <= 1 + len(story.lives) if result.ok else told == 0
        if result.ok:
            assert result.text == f"re: {names[name]}"
        else:
            assert isinstance(result.error, errors.CallError)


@pytest.mark.slow
@pytest.mark.parametrize("backend", [virtualtime.asyncio_backend, virtualtime.trio_backend], ids=["asyncio", "trio"])
@settings(max_examples=60, deadline=None)
@given(story=stories)
def test_every_item_has_one_outcome_whatever_happens_and_however_often_it_is_interrupted(backend, story):
    name, options = backend()
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(play, story, folder, backend=name, backend_options=options)
