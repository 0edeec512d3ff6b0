# /// script
# requires-python = ">=3.11"
# dependencies = ["gemtune[emulator,web]", "fastapi", "uvicorn"]
# ///
"""A web application that tunes, with a dashboard.

    uv run web_app.py                          # against the bundled emulator: no account, no network
    uv run web_app.py --live gemini-2.5-flash  # on the service of your environment; costs money

Then open http://127.0.0.1:8000/, and start a job from a second terminal:

    curl http://127.0.0.1:8000/jobs --json '[["one", "two"], ["two", "three"], ["three", "four"]]'
"""

import argparse
import contextlib
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse

import gemtune
import gemtune.web
from gemtune.emulator import running_emulator


@contextlib.contextmanager
def service(live):
    """What `gemtune.Client` needs to reach the emulator, or nothing for the service of the environment."""
    if live:
        yield {}
        return
    with running_emulator(queue_seconds=2) as server:
        yield {"base_url": server.url, "api_key": "anything"}


def make_app(base_model, where):
    """The application. One client and one watcher serve all visitors."""
    app = FastAPI(lifespan=gemtune.web.lifespan(make_client=lambda: gemtune.Client(**where)))
    app.mount("/tuning", gemtune.web.dashboard())

    @app.get("/")
    async def home():
        return RedirectResponse("/tuning/")

    @app.post("/jobs", status_code=202)
    async def start(
        examples: list[tuple[str, str]],
        client: Annotated[gemtune.Client, Depends(gemtune.web.get_client)],
        watcher: Annotated[gemtune.Watcher, Depends(gemtune.web.get_watcher)],
    ):
        job = await client.tune(base_model, examples, hyperparameters=gemtune.Hyperparameters(epoch_count=20))
        watcher.add(job)
        return {"name": job.name}

    @app.exception_handler(gemtune.errors.GemtuneError)
    async def explain(request: Request, error: gemtune.errors.GemtuneError):
        wrong = isinstance(error, gemtune.errors.InvalidInput)
        return JSONResponse({"error": str(error)}, 400 if wrong else getattr(error, "status", None) or 502)

    return app


def main():
    parser = argparse.ArgumentParser(description="A web application that tunes, with a dashboard.")
    parser.add_argument("--live", metavar="MODEL", help="tune MODEL with your own credentials")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    with service(options.live) as where:
        app = make_app(options.live or "models/gemini-1.0-pro-001", where)
        print(f"open http://127.0.0.1:{options.port}/, and press Ctrl-C to end", flush=True)
        uvicorn.run(app, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
