"""Any faults and kills in any order: each item is paid for once, has one outcome in the journal, and none is lost.

Each rule is one run of the same input with the same journal, with its own bad luck: replies that are lost, refusals,
lines that are missing or strange, and a death at any await. A kill leaves the journal as it is on the disk at that
moment: the bytes of the file are copied there, and the next run opens the copy.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import anyio
import anyio.to_thread
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from batch.server_service import Before, Lost, ServerService, failed, shuffled
from batch.service import Service
from gemtune import errors
from gemtune.batch import read_journal
from virtualtime import VirtualTimeLoop, asyncio_backend

OPERATIONS = ("place", "create", "create", "find", "get", "fetch", "discard")
TROUBLE = {
    "busy": lambda: errors.QuotaExhausted("no room", status=429),
    "down": lambda: errors.Unavailable("down", status=503),
    "late": lambda: errors.DeadlineExceeded("late"),
    "doubt": lambda: errors.AmbiguousOutcome("it may have been created"),
    "lost": lambda: Lost(errors.ConnectionLost("gone")),
    "lost, in doubt": lambda: Lost(errors.AmbiguousOutcome("it may have been created")),
}
DEATHS = ("killed before", "killed after")
LUCK = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from([*TROUBLE, *DEATHS])), min_size=1, max_size=6)


class Runs(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.journal = self.folder / "0"
        self.server = ServerService(seconds=300.0, queue=4)
        self.clock = 0.0
        self.rows = [(f"k{n}", f"p{n}") for n in range(5)]
        self.life = None

    def teardown(self):
        self.run([], None, "completed", 0)
        held = [result.key for result in read_journal(self.journal)]
        assert sorted(held) == sorted(dict(self.rows))
        shutil.rmtree(self.folder)

    @rule(
        more=st.integers(0, 15), luck=LUCK, seconds=st.sampled_from([0, 1, 20, 301, 310, 400, 900]),
        order=st.sampled_from(["completed", "input"]), seed=st.integers(0, 9),
    )  # fmt: skip
    def a_run_with_more_rows_is_killed_if_it_does_not_end_before(self, more, luck, seconds, order, seed):
        self.rows += [(f"k{n}", f"p{n}") for n in range(len(self.rows), len(self.rows) + more)]
        self.run(luck, seconds, order, seed)

    @invariant()
    def each_item_is_paid_for_once(self):
        assert max(self.server.paid.values(), default=0) <= 1

    @invariant()
    def each_item_has_one_outcome(self):
        if self.journal.exists():
            lines = self.journal.read_bytes().splitlines()
            outcomes = Counter(line.split(b'"digest"')[0] for line in lines if b'"attempts":' in line)
            assert max(outcomes.values(), default=0) <= 1

    def run(self, luck, seconds, order, seed):
        self.server.steps.clear()
        for operation, trouble in luck if seconds is not None else [one for one in luck if one[1] in TROUBLE]:
            step = {"killed before": Before(self.dead), "killed after": self.dead}.get(trouble)
            self.server.steps[operation].append(step or TROUBLE[trouble]())
        self.server.shape = strange(seed)
        loop = VirtualTimeLoop()
        loop.now = self.clock
        backend, options = asyncio_backend()
        anyio.run(self.one, seconds, order, backend=backend, backend_options=options | {"loop_factory": lambda: loop})
        self.clock = loop.now

    async def one(self, seconds, order):
        options = {"journal": self.journal, "order": order, "resume": "rest", "retry_failed": False}
        async with Service(0.0).client() as client, anyio.create_task_group() as tasks:
            self.life = tasks.cancel_scope
            if seconds is not None:
                tasks.start_soon(self.die_after, seconds)
            async with self.server.batch(client, self.rows, **options) as results:
                async for _ in results:
                    pass
            self.life.cancel()

    async def die_after(self, seconds):
        await anyio.sleep(seconds)
        await self.dead()

    async def dead(self):
        """Copy the journal as the kernel has it now, and end the run; the next one sees the copy only."""
        await anyio.to_thread.run_sync(self.copy)
        self.life.cancel()
        await anyio.sleep_forever()

    def copy(self):
        copy = self.folder / str(len([*self.folder.iterdir()]) + 1)
        if self.journal.exists():
            copy.write_bytes(self.journal.read_bytes())
        self.journal = copy


def strange(seed):
    def shape(lines):
        lines = shuffled(seed)(lines)
        if seed % 3 == 1:
            lines = [failed(lines[0]), *lines[2:], lines[-1]]
        return lines

    return shape


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=25, stateful_step_count=5)
