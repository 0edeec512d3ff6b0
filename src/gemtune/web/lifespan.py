"""One client and one watcher for as long as an application runs, and how a request gets at them.

They live in the *lifespan state*, which an ASGI server hands to every request, mounted applications included. So there
is no global, two applications in one process do not meet, and a test that starts the application anew gets new ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeAlias

from starlette.requests import HTTPConnection, Request

from gemtune.client import Client
from gemtune.config import WatchPolicy
from gemtune.errors import MisuseError
from gemtune.resources.given import JobLike
from gemtune.watch import Watcher

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
"""What FastAPI and Starlette take as ``lifespan``."""

_CLIENT: Final = "gemtune_client"
_WATCHER: Final = "gemtune_watcher"


def lifespan(
    inner: Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None,
    *,
    make_client: Callable[[], Client] = Client,
    jobs: JobLike | Iterable[JobLike] = (),
    filter: str | None = None,
    policy: WatchPolicy | None = None,
    resume: str | None = None,
) -> Lifespan:
    """Return a lifespan that opens one client and one watcher: ``FastAPI(lifespan=gemtune.web.lifespan())``.

    A request gets at them with ``get_client`` and ``get_watcher``. At the end both are closed; the jobs continue.

    Args:
        inner: A lifespan of your own. It begins after the watcher and ends before it, finds both in ``app.state`` as
            ``gemtune_client`` and ``gemtune_watcher``, and what it yields is added to the state of requests.
        make_client: Makes the client, such as ``lambda: gemtune.Client(vertexai=True)``.
        jobs: The jobs to watch from the beginning; add more at any time.
        filter: Which jobs to discover automatically, such as ``owner:me`` (``*`` on Vertex AI); None discovers none.
        policy: How often to look; by default the client's.
        resume: The resume token of an earlier watcher.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(make_client())
            watching = client.watch(jobs, policy=policy, filter=filter, resume=resume)
            watcher = await stack.enter_async_context(watching)
            ours = {_CLIENT: client, _WATCHER: watcher}
            for name, value in ours.items():
                setattr(app.state, name, value)
            theirs = await stack.enter_async_context(inner(app)) if inner is not None else None
            yield {**(theirs or {}), **ours}

    return opened


def get_client(request: Request) -> Client:
    """Return the client of the application's lifespan; in FastAPI ``Annotated[Client, Depends(get_client)]``.

    Args:
        request: The request.

    Raises:
        MisuseError: The application does not run with ``gemtune.web.lifespan``.
    """
    client: Client = _found(request, _CLIENT)
    return client


def get_watcher(request: Request) -> Watcher:
    """Return the watcher of the application's lifespan; in FastAPI ``Annotated[Watcher, Depends(get_watcher)]``.

    Args:
        request: The request.

    Raises:
        MisuseError: The application does not run with ``gemtune.web.lifespan``.
    """
    watcher: Watcher = _found(request, _WATCHER)
    return watcher


def _found(request: HTTPConnection, name: str) -> Any:
    found = getattr(request.state, name, None)
    if found is None:
        raise MisuseError(
            "this application has no client of gemtune.web: make it with lifespan=gemtune.web.lifespan(...), and run "
            "it with its lifespan"
        )
    return found
