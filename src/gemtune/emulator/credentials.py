"""A service account that the emulator vouches for, as the file that Google's libraries read.

Vertex AI and Cloud Storage take no API key. An application that signs in by ``GOOGLE_APPLICATION_CREDENTIALS`` signs in
here with a file whose ``token_uri`` is the emulator's own: everything but the address is as in production.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from gemtune.emulator.world.keeping.files import write_whole

_MISSING = "a file of credentials needs a key, and cryptography to make one: pip install cryptography"
_NAME = "emulator"
_BITS = 2048  # what Google's own service accounts have


def write_service_account(path: Path, url: str, project: str) -> None:
    """Write a service account's file, with a key made for it, that only its owner may read.

    Args:
        path: where.
        url: the emulator's address.
        project: the project that the account belongs to.

    Raises:
        ImportError: the package cryptography is not installed.
    """
    facts = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": _NAME,
        "private_key": _private_key(),
        "client_email": f"{_NAME}@{project}.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "token_uri": f"{url}/token",
        "universe_domain": "googleapis.com",
    }
    write_whole(path, json.dumps(facts, indent=2) + "\n")


def check_place(path: Path) -> None:
    """Refuse a path where no file can appear, or where a file lies that no emulator wrote.

    Raises:
        ValueError: it is such a path.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8") or f'{{"private_key_id": "{_NAME}"}}')
    except FileNotFoundError:
        if os.access(path.parent, os.W_OK):
            return
        raise ValueError(f"--credentials {path}: no file can be made there") from None
    except (OSError, ValueError, RecursionError):
        found = None
    # A real account's file is worth more than this one, and cannot be downloaded twice.
    if not isinstance(found, dict) or found.get("private_key_id") != _NAME:
        raise ValueError(f"--credentials {path}: something else is there; remove it, or choose another name")


def _private_key() -> str:
    # Made anew for every file: a key that stood in this one would be reported by every scanner for lost secrets.
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError as error:
        raise ImportError(_MISSING) from error
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
