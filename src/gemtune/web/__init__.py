"""gemtune in a web application (extra ``web``): a lifespan, routes of server-sent events, and a dashboard.

::

    app = FastAPI(lifespan=gemtune.web.lifespan(filter="owner:me"))
    app.mount("/tuning", gemtune.web.dashboard())

One client and one watcher serve all visitors; a visitor costs no request. Everything here is Starlette, so that it
works in FastAPI and in Starlette; nothing imports FastAPI.
"""

from __future__ import annotations

try:
    import sse_starlette as _sse  # noqa: F401
    import starlette as _starlette  # noqa: F401
except ImportError as _missing:
    raise ImportError("gemtune.web needs Starlette and sse-starlette: pip install 'gemtune[web]'") from _missing

from gemtune.web.dashboard import dashboard
from gemtune.web.events import events_response, events_route
from gemtune.web.lifespan import get_client, get_watcher, lifespan

__all__ = ["dashboard", "events_response", "events_route", "get_client", "get_watcher", "lifespan"]
