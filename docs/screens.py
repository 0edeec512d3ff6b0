"""Draws ``docs/pictures/dashboard.webp`` and ``notebook.webp``: the dashboard and a notebook, as a browser shows them.

For the dashboard, four jobs really run on an emulator; one of them fails. The notebook is one of ``docs/notebooks``,
down to its live display. Chromium takes the pictures: Playwright looks for its own, and ``CHROMIUM`` may name another.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nbconvert
import uvicorn
from dashboard_pictures import PACK
from playwright.async_api import Browser, FloatRect, ViewportSize, async_playwright

import gemtune.web
from gemtune.emulator import Emulator, Fault, JobFate, create_app, running_emulator

PICTURES = Path(__file__).parent / "pictures"
NOTEBOOK = Path(__file__).parent / "notebooks" / "compare-learning-rates.ipynb"
DATA = [(str(number), str(number + 1)) for number in range(1, 41)]
RATES = (0.0005, 0.001, 0.002, 0.02)


@contextlib.contextmanager
def emulator() -> Iterator[Emulator]:
    """Serve a Gemini API, and let the environment lead there."""
    app = create_app(seed=3, queue_seconds=0.2, step_seconds=0.4)
    with running_emulator(app) as server:
        os.environ |= {"GOOGLE_GEMINI_BASE_URL": server.url, "GOOGLE_API_KEY": "anything"}
        yield app


@contextlib.asynccontextmanager
async def dashboard(watcher: gemtune.Watcher) -> AsyncIterator[str]:
    """Serve the dashboard of a watcher."""
    server = uvicorn.Server(uvicorn.Config(gemtune.web.dashboard(watcher), port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        await serving


async def draw_dashboard(browser: Browser) -> None:
    """Draw the dashboard while three jobs run and one has failed."""
    with emulator() as app:
        async with gemtune.Client() as client:
            jobs = []
            for rate in RATES:
                if rate == RATES[-1]:
                    fate = JobFate(fail_at_step=22, message="loss diverged at step 22")
                    app.faults.add(Fault(method="tunedModels.create", job=fate))
                rates = gemtune.Hyperparameters(epoch_count=5, batch_size=4, learning_rate=rate)
                base = "models/gemini-1.0-pro-001"
                jobs.append(await client.tune(base, DATA, display_name=f"rate {rate}", hyperparameters=rates))
            async with client.watch(jobs) as watcher, dashboard(watcher) as url:
                while watcher.pictures()[0].completed < 33:
                    await asyncio.sleep(0.1)
                size: ViewportSize = {"width": 1120, "height": 860}
                context = await browser.new_context(viewport=size, device_scale_factor=1.25)
                page = await context.new_page()
                await page.goto(url)
                await page.wait_for_timeout(1500)
                await keep(browser, "dashboard", await page.screenshot())
                await context.close()


async def draw_notebook(browser: Browser) -> None:
    """Draw the notebook that compares learning rates, with the outputs that are saved in it."""
    html, _ = nbconvert.HTMLExporter().from_filename(NOTEBOOK)
    context = await browser.new_context(viewport={"width": 900, "height": 300}, device_scale_factor=1.25)
    page = await context.new_page()
    await page.set_content(html)
    below = page.get_by_role("heading", name="Compare them")
    box = await below.bounding_box()
    assert box is not None
    clip: FloatRect = {"x": 0, "y": 0, "width": 900, "height": box["y"] - 8}
    await keep(browser, "notebook", await page.screenshot(full_page=True, clip=clip))
    await context.close()


async def keep(browser: Browser, name: str, shot: bytes) -> None:
    """Write a picture as WebP, a third of the size."""
    page = await browser.new_page()
    said = await page.evaluate(PACK, "data:image/png;base64," + base64.b64encode(shot).decode())
    await page.close()
    (PICTURES / f"{name}.webp").write_bytes(base64.b64decode(said.partition(",")[2]))


async def main() -> None:
    """Draw both."""
    async with async_playwright() as playwright:
        found = os.environ.get("CHROMIUM")
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        await draw_dashboard(browser)
        await draw_notebook(browser)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
