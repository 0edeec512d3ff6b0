"""What listeners of one watcher cost: requests, memory and CPU of the server, and bytes on the wire.

    python benchmarks/listeners.py --jobs 50 --listeners 200             # each follows all jobs as events
    python benchmarks/listeners.py --jobs 200 --listeners 1 --dashboard  # the stream of a dashboard's page

The service is an emulator in a process of its own, and so is the server, whose memory and CPU are measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import time
from contextlib import asynccontextmanager
from pathlib import Path

from gemtune.emulator import create_app, running_emulator

STEPS = 5.0
"""Seconds a step takes: a job has 400 of them, so that none ends meanwhile."""


def memory() -> int:
    """The memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def server(url: str, jobs: int, told: multiprocessing.Queue[int]) -> None:
    """Serve one watcher's events and dashboard, and say what that costs."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    import gemtune
    import gemtune.web

    os.environ |= {"GOOGLE_GEMINI_BASE_URL": url, "GOOGLE_API_KEY": "x"}

    @asynccontextmanager
    async def with_jobs(app):
        hyper = gemtune.Hyperparameters(epoch_count=400, batch_size=4)
        for number in range(jobs):
            job = await app.state.gemtune_client.tune(
                "models/gemini-1.0-pro-001", [("1", "2")], tuned_model_id=f"job-{number}", hyperparameters=hyper
            )
            app.state.gemtune_watcher.add(job)
        yield

    async def costs(request):
        statistics = gemtune.web.get_watcher(request).statistics()
        return JSONResponse(
            {
                "requests": sum(statistics.requests.values()),
                "subscribers": statistics.subscribers,
                "cpu": time.process_time(),
                "memory": memory(),
            }
        )

    app = Starlette(
        lifespan=gemtune.web.lifespan(with_jobs),
        routes=[
            Route("/costs", costs),
            gemtune.web.events_route("/events"),
            Mount("/tuning", gemtune.web.dashboard()),
        ],
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    told.put(listener.getsockname()[1])
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])


async def ask(port: int, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def costs(port: int) -> dict[str, float]:
    reader, writer = await ask(port, "/costs")
    found = json.loads(await reader.readuntil(b"}"))
    writer.close()
    return found


async def measure(port: int, path: str, listeners: int, seconds: float) -> None:
    read = 0

    async def listen(reader: asyncio.StreamReader) -> None:
        nonlocal read
        while piece := await reader.read(65536):
            read += len(piece)

    (first, writer) = await ask(port, path)  # one listener: what the jobs themselves cost
    tasks = [asyncio.create_task(listen(first))]
    await asyncio.sleep(seconds / 2)
    alone, began, read = await costs(port), time.monotonic(), 0
    await asyncio.sleep(seconds)
    one, took, first_read = await costs(port), time.monotonic() - began, read
    writers = [writer]
    for _ in range(listeners - 1):
        reader, writer = await ask(port, path)
        writers.append(writer)
        tasks.append(asyncio.create_task(listen(reader)))
    await asyncio.sleep(seconds / 2)
    before, began, read = await costs(port), time.monotonic(), 0
    await asyncio.sleep(seconds)
    after, later = await costs(port), time.monotonic() - began
    print(f"1 listener: {(one['requests'] - alone['requests']) / took:.2f} requests/s, "
          f"{(one['cpu'] - alone['cpu']) / took:.1%} CPU, {first_read / took / 1000:.2f} kB/s")  # fmt: skip
    print(f"{listeners} listeners: {(after['requests'] - before['requests']) / later:.2f} requests/s, "
          f"{(after['cpu'] - before['cpu']) / later:.1%} CPU, {read / later / 1000 / listeners:.2f} kB/s each, "
          f"{(after['memory'] - one['memory']) / max(listeners - 1, 1) / 1000:.1f} kB each")  # fmt: skip
    for writer in writers:
        writer.close()
    await asyncio.sleep(2)
    left = await costs(port)
    print(f"after all have left: {left['subscribers']:.0f} subscribers")
    for task in tasks:
        task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--dashboard", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with running_emulator(create_app(step_seconds=STEPS, queue_seconds=0)) as emulator:
        context = multiprocessing.get_context("spawn")
        told = context.Queue()
        process = context.Process(target=server, args=(emulator.url, options.jobs, told), daemon=True)
        process.start()
        path = "/tuning/api/events" if options.dashboard else "/events"
        asyncio.run(measure(told.get(), path, options.listeners, options.seconds))
        began = time.monotonic()
        process.terminate()
        process.join(20)
        print(f"SIGTERM to exit: {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main()
