"""The file that GOOGLE_APPLICATION_CREDENTIALS names, looked at before google-auth reads it.

google-auth says "does not have a valid type" of an OAuth client's secret and raises IsADirectoryError for a directory.
Both happen to people who follow a page half way: the downloaded file is not yet a credential.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gemtune.errors import CredentialsError
from gemtune.protocol.advice import Access

VARIABLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_LONGEST: Final = 1 << 20
_AWS: Final = "urn:ietf:params:aws:token-type:aws4_request"


def read(path: str, access: Access) -> dict[str, Any]:
    """Return what a file of credentials holds; raise CredentialsError if it is none, with what it is instead."""
    info = _read(path, access)
    if isinstance(info, str):
        raise CredentialsError(f"{VARIABLE} names {path!r}, which {info}")
    return info


def external_account(info: Mapping[str, Any], access: Access) -> Any:
    """Return the credentials of a workload identity: google.auth.default would want the package requests for them.

    It would also ask for the name of the project, which nobody here needs.
    """
    from google.auth import aws, identity_pool, pluggable

    source = info.get("credential_source")
    kind: Any = identity_pool
    if info.get("subject_token_type") == _AWS:
        kind = aws
    elif isinstance(source, dict) and source.get("executable") is not None:
        kind = pluggable
    return kind.Credentials.from_info(info, scopes=list(access.scopes))


def _read(path: str, access: Access) -> dict[str, Any] | str:
    try:
        with Path(path).open("rb") as file:
            return _parse(path, file.read(_LONGEST), access)
    except FileNotFoundError:
        return "does not exist: correct the path, or unset the variable"
    except IsADirectoryError:
        return "is a directory: name the JSON file in it"
    except OSError as exc:
        return f"cannot be read ({exc.strerror}): check its permissions"
    except ValueError:
        return "is no path"


def _parse(path: str, data: bytes, access: Access) -> dict[str, Any] | str:
    if not data.strip():
        return "is empty: download it again"
    try:
        info = json.loads(data)
    except (ValueError, RecursionError):
        if data.lstrip().startswith(b"AIza"):
            return "holds an API key: put the key itself into GOOGLE_API_KEY"
        return "is not JSON: download it again, whole"
    if not isinstance(info, dict):
        return "is not a JSON object: it is no file of credentials"
    if "installed" in info or "web" in info:
        command = access.login.replace("client_secret.json", path)
        return f"is an OAuth client's secret and not yet a credential: unset the variable and run: {command}"
    return info if "type" in info else "holds no 'type': it is no file of credentials"
