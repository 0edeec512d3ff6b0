"""The metadata server of Google Cloud: who this machine, container or pod is, and a token for it.

Cloud Run, Cloud Functions, Compute Engine and GKE (workload identity) all have one. google-auth, as of late, can ask it
only if the package ``requests`` is installed, which neither google-auth nor we bring along. So it is always asked here,
in the same way in every installation: two requests, over whatever transport google-auth is given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from google.auth import exceptions
from google.auth.credentials import Credentials

_FLAVOR: Final = {"metadata-flavor": "Google"}
"""Asked for and answered: whatever else listens at that address, in a cafe's network, does not send it."""
_IP: Final = "169.254.169.254"
_HOST: Final = "metadata.google.internal"
_TOKEN: Final = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_SIGNS: Final = ("K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_TARGET", "GAE_SERVICE", "KUBERNETES_SERVICE_HOST")
_PRODUCT: Final = Path("/sys/class/dmi/id/product_name")


Request = Callable[..., Any]
"""google-auth's transport interface: its answers have ``status``, ``headers`` and ``data``."""


class MetadataCredentials(Credentials):
    """The account of this machine, as google-auth's credentials are.

    Args:
        scopes: What its tokens are to be good for.
    """

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked = scopes

    def refresh(self, request: Any) -> None:
        """Get a new token; raise RefreshError or TransportError."""
        host = os.environ.get("GCE_METADATA_HOST") or os.environ.get("GCE_METADATA_ROOT") or _HOST
        url = f"http://{host}{_TOKEN}?scopes={quote(','.join(self.asked), safe='')}"
        answer = request(url, headers=_FLAVOR, timeout=30.0)
        try:
            found = json.loads(answer.data) if answer.status == 200 else {}
            self.token, seconds = str(found["access_token"]), float(found["expires_in"])
        except (ValueError, TypeError, KeyError):
            # 404: no account is attached. Some 403 and 5xx pass, as while a pod's account is being set up.
            passing = answer.status in {403, 429} or answer.status >= 500
            message = f"the metadata server at {host} gave no token (HTTP {answer.status})"
            raise exceptions.RefreshError(message, retryable=passing) from None  # type: ignore[no-untyped-call]
        # google-auth's times are in UTC and naive.
        self.expiry = (datetime.now(UTC) + timedelta(seconds=seconds)).replace(tzinfo=None)


def ending_before(request: Request) -> Request:
    """Return the transport with which ``google.auth.default`` gives up as soon as it would ask the metadata server."""

    def ask(url: str, *args: Any, **options: Any) -> Any:
        # By the path, as the clouds share the address: another one's is asked for an identity that is named in a file.
        path = urlsplit(url).path
        if path in {"", "/"} or path.startswith("/computeMetadata/"):
            # Not a TransportError: google-auth would try again, and then look for Google's name on the machine.
            raise exceptions.DefaultCredentialsError(  # type: ignore[no-untyped-call]
                "neither GOOGLE_APPLICATION_CREDENTIALS nor gcloud names one, and no metadata server answers"
            )
        return request(url, *args, **options)

    return ask


def find(request: Request, scopes: tuple[str, ...]) -> MetadataCredentials | None:
    """Return this machine's account, or None if no metadata server answers.

    The variables are those of google-auth: NO_GCE_CHECK, GCE_METADATA_HOST, GCE_METADATA_IP, GCE_METADATA_TIMEOUT and
    GCE_METADATA_DETECT_RETRIES. Away from Google Cloud, packets to that address often vanish: unless something speaks
    for it, one second has to do.
    """
    if os.environ.get("NO_GCE_CHECK", "").lower() == "true":
        return None
    likely = _is_likely()
    timeout = _number("GCE_METADATA_TIMEOUT", 3 if likely else 1)
    address = os.environ.get("GCE_METADATA_IP") or os.environ.get("GCE_METADATA_HOST") or _IP
    for _ in range(_number("GCE_METADATA_DETECT_RETRIES", 3 if likely else 1)):
        try:
            answer = request(f"http://{address}", headers=_FLAVOR, timeout=timeout)
        except exceptions.TransportError:
            continue
        google = answer.headers.get("metadata-flavor") == "Google"
        return MetadataCredentials(scopes) if google and answer.status == 200 else None
    return None


def _is_likely() -> bool:
    if any(os.environ.get(name) for name in (*_SIGNS, "GCE_METADATA_HOST", "GCE_METADATA_IP")):
        return True
    try:
        return _PRODUCT.read_text(encoding="ascii", errors="replace").startswith("Google")
    except OSError:
        return False


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() and 0 < len(value) < 4 else default
