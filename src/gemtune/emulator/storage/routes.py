"""Which method answers which URL of Cloud Storage."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import unquote

from gemtune.emulator.storage import buckets, insertion, objects, sessions
from gemtune.emulator.world.route import Route

SCOPE = "https://www.googleapis.com/auth/"
READ_SCOPES = tuple(
    SCOPE + name
    for name in (
        "cloud-platform", "cloud-platform.read-only", "devstorage.full_control", "devstorage.read_only",
        "devstorage.read_write",
    )
)  # fmt: skip
WRITE_SCOPES = tuple(scope for scope in READ_SCOPES if not scope.endswith(("read-only", "read_only")))

_read = partial(Route, versions=("v1",), scopes=READ_SCOPES)
_write = partial(Route, versions=("v1",), scopes=WRITE_SCOPES)
_upload = partial(_write, spools=True, blocks=sessions.is_long, limit="max_object_bytes")

# By the kind of the path: nothing, "upload" or "download" before it, and how much of bucket and object it names.
ROUTES: dict[tuple[str, str], dict[str, Route]] = {
    ("", "b"): {
        "POST": _write("buckets.insert", "POST", "b", handler=buckets.insert, response="Bucket"),
        "GET": _read("buckets.list", "GET", "b", handler=buckets.list_, response="Buckets"),
    },
    ("", "b/B"): {
        "GET": _read("buckets.get", "GET", "b/*", handler=buckets.get, response="Bucket"),
        "DELETE": _write("buckets.delete", "DELETE", "b/*", handler=buckets.delete),
    },
    ("", "b/B/o"): {"GET": _read("objects.list", "GET", "b/*/o", handler=objects.list_, response="Objects")},
    ("", "b/B/o/O"): {
        "GET": _read(
            "objects.get", "GET", "b/*/o/*", handler=objects.get, response="Object", blocks=objects.is_in_file
        ),
        "DELETE": _write("objects.delete", "DELETE", "b/*/o/*", handler=objects.delete),
    },
    ("download", "b/B/o/O"): {
        "GET": _read(
            "objects.get", "GET", "download/b/*/o/*", handler=objects.get, response="Object", blocks=objects.is_in_file
        ),
    },
    ("upload", "b/B/o"): {
        "POST": _upload("objects.insert", "POST", "upload/b/*/o", handler=insertion.insert, response="Object"),
        # The API has one method for all of it; a fault must be able to tell the parts of an upload from its beginning.
        "PUT": _upload("objects.upload", "PUT", "upload/b/*/o", handler=sessions.put, response="Object"),
        "DELETE": _write("objects.cancelUpload", "DELETE", "upload/b/*/o", handler=sessions.cancel),
    },
}
_PATH = re.compile(
    r"/(?:(?:resumable/)?(?P<kind>upload|download)/)?storage/v1/b(?:/(?P<bucket>[^/]+)(?P<o>/o(?:/(?P<object>.+))?)?)?"
)


def find_route(verb: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request, and bucket and object; None if nothing is bound there."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    shape = "b" + "/B" * (match["bucket"] is not None) + "/o" * (match["o"] is not None)
    shape += "/O" * (match["object"] is not None)
    route = ROUTES.get((match["kind"] or "", shape), {}).get(verb)
    named = {name: unquote(match[name]) for name in ("bucket", "object") if match[name] is not None}
    return (route, named) if route else None
