"""What many users do to one watcher at once, in virtual time: whoever reads loses nothing and is told nothing twice.

While the service shows its disorder, jobs are discarded and added again, subscribers come late, leave and come back
with a cursor, others wait; and the process is ended and goes on from its resume token. ``GEMTUNE_DEEP=100`` plays more.
"""

import random
from collections import Counter, defaultdict

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemtune import events
from gemtune.config import WatchPolicy
from gemtune.events import LostReason
from gemtune.story.cursor import Cursor
from gemtune.watch import Watcher
from gemtune.watch.resume_token import ResumeToken
from watch.test_watcher_histories import BACKENDS, DEEP, EXPECTED, make_service

users = settings(max_examples=60 * DEEP, deadline=None, suppress_health_check=list(HealthCheck))


def is_end(event):
    """Whether nothing can come after an event; a discarded job may be added again."""
    return events.is_terminal(event) and getattr(event, "reason", None) != LostReason.DETACHED


class Story:
    """What one user was told, over all subscriptions and lives."""

    def __init__(self, names):
        self.names = names
        self.told = []

    @property
    def over(self):
        return {event.job for event in self.told if is_end(event)} >= self.names

    def of(self, name):
        return [event for event in self.told if event.job == name]

    def cursor(self, name):
        """The cursor of the last event, or that of somebody who has had nothing."""
        return next((event.cursor for event in reversed(self.told) if event.job == name), str(Cursor(job=name)))


class Play:
    """One service, one watcher after the other, and their users."""

    def __init__(self, seed, *, lives):
        self.dice = random.Random(seed)
        self.service = make_service(self.dice)
        self.names = frozenset(self.service.jobs)
        self.lives = lives
        self.filter = self.dice.choice([None, "owner:me"])
        self.policy = WatchPolicy(max_rps=50, coalesce=self.dice.choice(["auto", "never", "always"]))
        self.main = Story(self.names)
        self.stories = []
        self.back = {name: Story(frozenset([name])) for name in self.dice.sample(sorted(self.names), 1)}
        self.away = set()
        self.unrest = self.dice.choice([20.0, 90.0, 300.0])

    async def run(self):
        resume = ResumeToken.text([], 1.0)  # a watch that began before all jobs, so that a list shows them ended, too
        for life in range(self.lives):
            last = life == self.lives - 1
            jobs = sorted(self.names) if self.filter is None and life == 0 else []
            watcher = Watcher(self.service, jobs, policy=self.policy, filter=self.filter, resume=resume)
            watcher._engine.roster.dice = self.dice.random
            with anyio.move_on_after(1e5 if last else self.dice.uniform(0, 120)) as lifetime:
                async with watcher:
                    main = watcher.subscribe()  # held until the resume token, which waits for those who are there
                    await self.live(watcher, main)
            resume = watcher.resume_token()
            assert self.away == ResumeToken.parse(resume).discarded
            assert self.service.in_flight == 0
            if not lifetime.cancelled_caught:
                return
        assert not lifetime.cancelled_caught, "it does not end"

    async def live(self, watcher, main):
        async with anyio.create_task_group() as group:
            group.start_soon(self.disturb, watcher)
            group.start_soon(self.wait, watcher)
            for name, story in self.back.items():
                group.start_soon(self.come_back, watcher, name, story)
            for _ in range(self.dice.choice([0, 2])):
                group.start_soon(self.join, watcher, group)
            await self.read(main, self.main)
            while self.away or not all(story.over for story in [*self.back.values(), *self.stories]):  # noqa: ASYNC110
                await anyio.sleep(5)
            group.cancel_scope.cancel()
        await anyio.sleep(100)
        while (event := main.next_nowait()) is not None:
            self.main.told.append(event)

    async def read(self, subscription, story):
        """Read to the end, being cancelled at random places on the way."""
        while not story.over:
            with anyio.move_on_after(self.dice.choice([0.0, 0.5, 30.0, 1000.0])):
                async for event in subscription:
                    story.told.append(event)
                    if story.over:
                        break
                    if self.dice.random() < 0.1:
                        await anyio.sleep(self.dice.choice([0.0, 1.0, 40.0]))
            await anyio.sleep(0.5)

    async def disturb(self, watcher):
        """Discard jobs and add them again, for a while, also those that were discarded in an earlier life."""
        until = anyio.current_time() + self.unrest
        while anyio.current_time() < until:
            await anyio.sleep(self.dice.choice([0.05, 2.0, 15.0]))
            name = self.dice.choice(sorted(self.names))
            if name in self.away:
                self.add(watcher, name)
            elif watcher.discard(name):
                self.away.add(name)
            assert ResumeToken.parse(watcher.resume_token()).discarded == self.away
        for name in sorted(self.away):
            self.add(watcher, name)

    def add(self, watcher, name):
        watcher.add(name)
        self.away.discard(name)

    async def come_back(self, watcher, name, story):
        """Be a web client: leave at any time, and come back with the cursor of the last event."""
        while not story.over:
            if name in self.away:
                await anyio.sleep(1.0)
                continue
            with watcher.subscribe([name], since=story.cursor(name), bookmarks=7.0) as subscription:
                for _ in range(self.dice.choice([1, 5, 50])):
                    with anyio.move_on_after(self.dice.choice([1.0, 60.0])):
                        event = await anext(subscription, None)
                        if event is None:
                            break
                        if event.kind == "lost":
                            break  # there is no cursor to come back with from a job that was discarded
                        if not isinstance(event, events.Bookmark):
                            story.told.append(event)
            await anyio.sleep(self.dice.choice([0.1, 10.0]))

    async def wait(self, watcher):
        """Wait for this and that; what comes of it is true."""
        while True:
            wanted = self.dice.sample(sorted(self.names), self.dice.randint(1, len(self.names)))
            wanted = [name for name in wanted if name in watcher.jobs]
            until = self.dice.choice(["all", "any", "first_failure"])
            result = await watcher.wait(wanted, until=until, timeout=self.dice.choice([0.0, 5.0, 100.0]))
            assert result.done.keys() | result.pending == set(wanted)
            for name, event in result.done.items():
                assert event.kind in {"lost", *self.ends(name)}, (event.kind, self.ends(name))
            await anyio.sleep(self.dice.choice([1.0, 30.0]))

    async def join(self, watcher, group):
        """Come late, and leave early or stay."""
        await anyio.sleep(self.dice.uniform(0, 100))
        subscription = watcher.subscribe(sorted(self.names - self.away)) if self.dice.random() < 0.5 else None
        with subscription or watcher.subscribe() as reader:
            if subscription is None or self.lives > 1 or self.away or self.dice.random() < 0.5:
                await reader.next_batch(self.dice.choice([1, 30]), max_wait=20)
            else:
                story = Story(self.names)
                self.stories.append(story)
                await self.read(reader, story)

    def ends(self, name):
        job = self.service.jobs[name]
        # Without its operation nobody knows that a job was cancelled and did not fail.
        known = self.service.expires_after or job.ending == "ACTIVE"
        return {EXPECTED[job.ending]} if known else {EXPECTED[job.ending], "failed"}

    def check(self):
        for story in [self.main, *self.stories, *self.back.values()]:
            for name in story.names:
                self.check_job(name, story, once=story not in self.back.values() and self.lives == 1)

    def check_job(self, name, story, *, once):
        told, job = story.of(name), self.service.jobs[name]
        snapshots = [event for event in told if isinstance(event, events.Snapshot)]
        last_run = {each.compute_time for each in job.snapshots(job.ends + 1)}
        assert last_run <= {event.compute_time for event in snapshots}, "a snapshot was lost"
        ends = [event.kind for event in told if is_end(event)]
        assert set(ends) <= self.ends(name), (name, ends)
        assert len(ends) == 1 or (ends and not once)
        assert is_end(told[-1]), "something came after the end"
        counts = Counter((event.attempt, event.step, event.compute_time) for event in snapshots)
        if once:
            assert max(counts.values(), default=1) == 1, "a snapshot was told twice"
            return
        seen = defaultdict(int)
        for event in snapshots:
            key = event.attempt, event.step, event.compute_time
            seen[key] += 1
            assert seen[key] == 1 or event.replayed, "a snapshot was told again without saying so"


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lives", [1, 4], ids=["one-life", "resumed"])
def test_whatever_users_do_nothing_is_lost_and_nothing_comes_twice(backend, lives):
    @users
    @given(st.integers(0, 2**64))
    def run(seed):
        play = Play(seed, lives=lives)
        name, options = backend()
        anyio.run(play.run, backend=name, backend_options=options)
        play.check()

    run()
