"""Which host serves a resource of Vertex AI, and the only addresses that a client's calls may go to.

A resource lives in a location, and its location has a host of its own. One client therefore talks to several: a Gemini
3.x job runs in ``us-central1``, its tuned model is served at the multi-region ``us``, and its data lies in Cloud
Storage.

Names of resources come from replies and arguments, and each of these hosts is sent the credential. So an address is
never taken from a name as it stands. It is derived from a location of a known form (``location_of``), and derived once
more by the settings' ``Routes`` before a connection is made; whatever does not come out of that is refused.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput
from gemtune.settings.addresses import LOCATION, STORAGE, aiplatform

_NAME: Final = re.compile(r"projects/[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}/locations/([^/]*)(?:/.*)?", re.DOTALL)
_AIPLATFORM: Final = re.compile(r"https://(?:([a-z0-9-]+)-)?aiplatform\.(?:([a-z]+)\.rep\.)?googleapis\.com")


def location_of(name: str, *, field: str = "name") -> str:
    """Return the location in a resource name, ``projects/P/locations/L/...``.

    Raises:
        InvalidInput: It holds none, or what stands there is no location.
    """
    found = _NAME.fullmatch(name)
    if found is None or not LOCATION.fullmatch(found[1]):
        checks.refuse(field, "a name such as 'projects/my-project/locations/us-central1/...'", name)
    return found[1]


def origin_of(name: str, *, field: str = "name") -> str:
    """Return Google's address of the host that serves a resource: that of its location.

    Raises:
        InvalidInput: The name holds no location.
    """
    return aiplatform(location_of(name, field=field))


@attrs.frozen(kw_only=True)
class Routes:
    """Where the calls of one client go, as its settings have it.

    Args:
        base_url: Where calls go that name no origin.
        fixed: Whether calls to other hosts of the same service go there as well: it is an emulator or a gateway.
        storage: Where calls of Cloud Storage go; None if this client makes none.
        vertex: Whether the service has a host for each location at all.
    """

    base_url: str
    fixed: bool = True
    storage: str | None = None
    vertex: bool = False

    def to(self, origin: str | None) -> str:
        """Return the address to which a call for one of Google's origins goes.

        Raises:
            InvalidInput: This client has no business there, and its credential does not go there.
        """
        if origin is None:
            return self.base_url
        if origin == STORAGE and self.storage is not None:
            return self.storage
        if self.vertex and _is_aiplatform(origin):
            return self.base_url if self.fixed else origin
        raise InvalidInput(f"this client's credential does not go to {checks.shown(origin)}", field="origin")


def _is_aiplatform(origin: str) -> bool:
    found = _AIPLATFORM.fullmatch(origin)
    location = (found[1] or found[2] or "global") if found is not None else ""
    # Derived anew rather than trusted: the pattern only finds the location.
    return LOCATION.fullmatch(location) is not None and aiplatform(location) == origin
