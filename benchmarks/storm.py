"""Storms and weather: how much of a quota each policy uses, at what price; what chance failures cost us. Virtual time.

Storms are thirty minutes against a simulated service with four quota models, which change under way. The quotas and
error bodies are the emulator's; there are no sockets, so that only decisions are compared. Other policies are our
models of published code with its own numbers, not the code itself.

The weather is a service without a quota that lets a share of the requests fail, or a single one: the goodput of a batch
of 12,000 rows and the age of the snapshots of 200 watched jobs, as parts of those in calm weather. The share that fails
is itself lost to nobody: it is asked again.

    python benchmarks/storm.py [--minutes 30] [--seed 1] [--policy NAME ...] [--json FILE]
    python benchmarks/storm.py --weather [--seeds 3] [--json FILE]
"""

import argparse
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import anyio
import attrs

# In place of this folder, whose modules have names that the tests need.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import storm
import weather
from gemtune.errors import CallError
from gemtune.limiter.limiter import Limiter
from storm import Service, Tally, Worker

WORKERS = 1000
More = Callable[[], bool]


def ours(seed: int) -> Worker:
    """The limiter, all values its own, with a ceiling of all connections."""
    return storm.limited(Limiter(ceiling=WORKERS, dice=random.Random(seed).random))


def google_genai(seed: int) -> Worker:
    """Fixed concurrency with google-genai's retry: 5 attempts, 1 s doubled up to 60 s, jitter 1 s; hints unread."""
    dice = random.Random(seed)

    async def work(service: Service, tally: Tally, more: More) -> None:
        while more():
            for attempt in range(5):
                try:
                    await service.generate()
                except CallError:
                    if attempt < 4:
                        await anyio.sleep(min(60.0, 2.0**attempt + dice.random()))
                else:
                    tally.done += 1
                    break
            else:
                tally.lost += 1

    return work


def hint_each(seed: int) -> Worker:
    """Fixed concurrency, each request waits for the hint it was given (else 1 s doubled up to 60 s), for ever."""
    dice = random.Random(seed)

    async def work(service: Service, tally: Tally, more: More) -> None:
        while more():
            attempt = 0
            while True:
                try:
                    await service.generate()
                except CallError as error:
                    hint = error.retry_after
                    await anyio.sleep(min(60.0, 2.0**attempt) if hint is None else hint + dice.random())
                    attempt += 1
                else:
                    tally.done += 1
                    break

    return work


@attrs.define
class _Pause:
    """A pause for all after a refusal."""

    until: float = 0.0

    async def over(self) -> None:
        while anyio.current_time() < self.until:  # noqa: ASYNC110 - it may be prolonged meanwhile
            await anyio.sleep_until(self.until)


def paused(seconds: float, grows: float = 1.0, most: float = 600.0) -> Callable[[int], Worker]:
    """Fixed concurrency; a refusal pauses everybody for a fixed time, perhaps growing while refusals go on."""

    def make(_: int) -> Worker:
        pause, streak = _Pause(), 0

        async def work(service: Service, tally: Tally, more: More) -> None:
            nonlocal streak
            while more():
                while True:
                    await pause.over()
                    sent = anyio.current_time()
                    try:
                        await service.generate()
                    except CallError:
                        if sent >= pause.until:
                            pause.until = anyio.current_time() + min(most, seconds * grows**streak)
                            streak += 1
                    else:
                        streak = 0
                        tally.done += 1
                        break

        return work

    return make


@attrs.define
class _Halving:
    """Textbook AIMD on concurrency: from 20, doubled per round until the first refusal, then one more per round; halved
    by a refusal, and a pause of 2 s.
    """

    pause: _Pause = attrs.field(factory=_Pause)
    limit: float = 20.0
    busy: int = 0
    successes: int = 0
    slow_start: bool = True
    cut_at: float = 0.0
    waiting: deque[anyio.Event] = attrs.field(factory=deque)

    async def enter(self) -> None:
        while self.busy >= int(self.limit):
            event = anyio.Event()
            self.waiting.append(event)
            await event.wait()
        self.busy += 1

    def leave(self) -> None:
        self.busy -= 1
        for _ in range(min(len(self.waiting), max(0, int(self.limit) - self.busy))):
            self.waiting.popleft().set()

    def refused(self, sent: float) -> None:
        if sent > self.cut_at:
            self.limit, self.successes, self.cut_at = max(1.0, self.limit / 2), 0, anyio.current_time()
            self.slow_start = False
            self.pause.until = self.cut_at + 2.0

    def answered(self) -> None:
        self.successes += 1
        if self.successes >= self.limit:
            self.limit = min(float(WORKERS), self.limit * 2 if self.slow_start else self.limit + 1)
            self.successes = 0

    async def work(self, service: Service, tally: Tally, more: More) -> None:
        while more():
            await self.pause.over()
            await self.enter()
            sent = anyio.current_time()
            try:
                await service.generate()
            except CallError:
                self.refused(sent)
            else:
                tally.done += 1
                self.answered()
            finally:
                self.leave()


POLICIES: dict[str, Callable[[int], Worker]] = {
    "gemtune": ours,
    "fixed 1000, genai retry": google_genai,
    "fixed 1000, own hint each": hint_each,
    "pause 15 s (cookbook)": paused(15.0),
    "pause 300 s x 1.5 up to 600": paused(300.0, 1.5),
    "halving AIMD, pause 2 s": lambda _: _Halving().work,
}


def print_weather(seeds: int) -> list[dict[str, object]]:
    """Print the table of the weather, the worst of so many seeds in each cell, and return its numbers."""
    kept: list[dict[str, object]] = []
    chosen = range(1, seeds + 1)
    calm = {seed: (weather.batch("503", 0.0, seed), weather.watch("503", 0.0, seed)) for seed in chosen}
    speed, age = calm[1][0].speed, calm[1][1].age
    print(f"calm: {speed:.0f} rows a second, snapshots {age:.1f} s old; the worst of {seeds} seeds")
    print("goodput of a batch / rows given up / age of a snapshot\n")
    print(" " * 22 + "".join(f"{name:>20}" for name in weather.SHARES))
    for kind in weather.KINDS:
        cells = []
        for name, share in weather.SHARES.items():
            batches = {seed: weather.batch(kind, share, seed) for seed in chosen}
            watches = {seed: weather.watch(kind, share, seed) for seed in chosen}
            goodput = min(batches[seed].speed / calm[seed][0].speed for seed in chosen)
            older = max(watches[seed].age / calm[seed][1].age for seed in chosen)
            lost = sum(batch.lost + batch.left for batch in batches.values())
            cells.append(f"{goodput:.2f} / {lost} / {older:.2f}")
            kept.append({"kind": kind, "share": name, "goodput": goodput, "lost": lost, "age": older})
        print(f"{kind:<22}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    return kept


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policy", action="append", choices=POLICIES)
    parser.add_argument("--weather", action="store_true", help="chance failures in place of quotas")
    parser.add_argument("--seeds", type=int, default=3, help="of the weather")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = print_weather(given.seeds) if given.weather else print_storms(given)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def print_storms(given: argparse.Namespace) -> list[dict[str, object]]:
    """Print the table of the storms, and return its numbers."""
    scenarios = storm.scenarios()
    about = f"{storm.RPM} requests per minute, {storm.MEAN:g} s an answer, seed {given.seed}"
    print(f"{given.minutes:g} virtual minutes, {about}")
    print("goodput of the ideal / refusals per accepted request / prompts lost\n")
    print(" " * 30 + "".join(f"{scenario.name:>26}" for scenario in scenarios))
    kept: list[dict[str, object]] = []
    for name in given.policy or POLICIES:
        cells, began = [], time.perf_counter()
        for scenario in scenarios:
            tally = storm.run(scenario, POLICIES[name](given.seed), given.minutes * 60, WORKERS, given.seed)
            cells.append(f"{tally.goodput:.3f} / {tally.rejects:.3f} / {tally.lost}")
            kept.append(
                {
                    "policy": name,
                    "scenario": scenario.name,
                    "goodput": tally.goodput,
                    "rejects_per_accepted": tally.rejects,
                    "lost": tally.lost,
                }
            )
        line = f"{name:<30}" + "".join(f"{cell:>26}" for cell in cells)
        print(f"{line}   ({time.perf_counter() - began:.0f} s)", flush=True)
    return kept


if __name__ == "__main__":
    main()
