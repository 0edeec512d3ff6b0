"""A small web backend that tunes a model, tells how far it is, and lets it answer: an example application.

Nothing in it knows about tests: in production the same code talks to the Gemini API.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import gemtune

BASE_MODEL = "models/gemini-1.0-pro-001"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, gemtune.Client]]:
    async with gemtune.Client() as client:  # one for all requests; settings come from the environment
        yield {"client": client}


async def tune(request: Request) -> JSONResponse:
    """POST /models {"id", "examples": [[input, output], ...]}: begin, and answer at once."""
    body = await request.json()
    try:
        job = await request.state.client.tune(
            BASE_MODEL, body["examples"], tuned_model_id=body["id"], if_exists="adopt"
        )
    except gemtune.errors.InvalidInput as error:
        raise HTTPException(422, str(error)) from error
    except gemtune.errors.CallError as error:
        raise HTTPException(503, "Tuning is not possible at the moment.") from error
    return JSONResponse({"id": body["id"], "job": job.name}, status_code=202)


async def progress(request: Request) -> JSONResponse:
    """GET /models/ID: how far it is, and its loss so far."""
    try:
        model = await request.state.client.tuned_models.get(f"tunedModels/{request.path_params['id']}")
    except gemtune.errors.NotFound as error:
        raise HTTPException(404) from error
    losses = [snapshot.mean_loss for snapshot in model.tuning_task.snapshots]
    return JSONResponse({"state": str(model.state), "steps": len(losses), "loss": losses[-1] if losses else None})


async def answer(request: Request) -> JSONResponse:
    """POST /models/ID/answers {"prompt"}: wait until it is tuned, then ask it."""
    client, body = request.state.client, await request.json()
    try:
        model = await client.job(f"tunedModels/{request.path_params['id']}")
    except gemtune.errors.TuningFailed as error:
        raise HTTPException(409, f"The tuning failed: {error}") from error
    reply = await client.generate_content(model, body["prompt"])
    return JSONResponse({"answer": reply.text})


app = Starlette(
    routes=[
        Route("/models", tune, methods=["POST"]),
        Route("/models/{id}", progress),
        Route("/models/{id}/answers", answer, methods=["POST"]),
    ],
    lifespan=lifespan,
)
