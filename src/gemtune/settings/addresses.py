"""Addresses that a credential may go to: what is one, what is this machine, and whom the user trusts.

A credential follows an address, so whatever two parsers of addresses might read differently is refused here.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from gemtune import checks
from gemtune.errors import SettingsError
from gemtune.remedy import Argument, Remedy

GEMINI: Final = "https://generativelanguage.googleapis.com"
"""The Gemini API."""
STORAGE: Final = "https://storage.googleapis.com"
"""Cloud Storage."""
LOCATION: Final = re.compile(r"global|us|eu|[a-z]{1,20}(?:-[a-z]{1,20}){1,3}[0-9]{1,3}")
"""What is a location of Vertex AI: a region such as ``us-central1``, a multi-region, or ``global``."""
PROJECT: Final = re.compile(r"(?:[a-z][a-z0-9.-]{0,62}[a-z0-9]:)?(?:[a-z][a-z0-9-]{0,61}[a-z0-9]|[0-9]{1,20})")
"""What is a project in a resource's name: its number, or its id, with some old ones a domain (``example.com:id``)."""
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\.?\Z)"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?"
)
"""A host name: labels of letters, digits and hyphens (RFC 1123; underscores as resolvers allow), none of them empty."""
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")

_log = logging.getLogger("gemtune")


def aiplatform(location: object) -> str:
    """Return Google's address of Vertex AI in a location.

    Raises:
        InvalidInput: It is no location, and its name could lead to another host.
    """
    if not isinstance(location, str) or not LOCATION.fullmatch(location):
        checks.refuse("location", "a location of Vertex AI such as 'us-central1', 'eu' or 'global'", location)
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in {"us", "eu"}:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def checked_hosts(hosts: object) -> frozenset[str]:
    """Return the hosts that the user trusts, as ``host`` or ``host:port`` in lower case.

    Raises:
        SettingsError: One is no name of a host.
    """
    if hosts is None:
        return frozenset()
    listed = [hosts] if isinstance(hosts, str) else hosts
    if not isinstance(listed, Iterable):
        checks.refuse("trusted_hosts", "a list of names of hosts", hosts, error=SettingsError)
    found = []
    for host in listed:
        if not isinstance(host, str) or not _TRUSTED.fullmatch(host.lower()):
            checks.refuse(
                "trusted_hosts", "names of hosts such as 'gateway' or 'gateway:4000'", host, error=SettingsError
            )
        found.append(host.lower())
    return frozenset(found)


_TRUSTED: Final = re.compile(r"(?:\[[0-9a-f:]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")


def local_name(url: object, trusted: frozenset[str]) -> frozenset[str]:
    """Return the host of an http address that was given as an argument, if it is a name without a dot.

    No name on the internet is. Whoever writes ``http://llm-gateway:4000`` into a program means the network of a compose
    file, a cluster or a company; a variable, which somebody else may have set, is not believed so easily.
    """
    found = re.match(r"http://([a-z](?:[a-z0-9-]*[a-z0-9])?)(?::[0-9]+)?(?:/|\Z)", str(url).lower())
    if found is None or found[1] == "localhost" or found[1] in trusted:
        return frozenset()
    _log.warning("credentials go to %s in plain http; name it in trusted_hosts to say that you mean it", found[1])
    return frozenset({found[1]})


def from_variable(name: str, url: str, trusted: frozenset[str], argument: str | None = None) -> str:
    """Return the address that an environment variable holds.

    Whoever can set a process's variables need not be able to read its credentials, and must not come to them so:
    a variable may only point to this machine, to Google, or to a host that the program trusts.

    Args:
        name: The variable.
        url: What it holds.
        trusted: The hosts that the program trusts.
        argument: The argument of the client's that means the same, if there is one.

    Raises:
        SettingsError: It is no address, or one of somebody else's.
    """
    origin = checked_origin(url, name, trusted)
    host = urlsplit(origin).hostname or ""
    google = host == "googleapis.com" or host.endswith(".googleapis.com")
    if is_loopback(host) or google or is_trusted(origin, trusted):
        return origin
    remedies = [Remedy("if you mean it, trust the host with ", Argument("trusted_hosts", host))]
    if argument is not None:
        remedies.append(Remedy("pass ", Argument(argument, origin)))
    raise SettingsError(
        f"{name} points to {host}: a variable may only point to this machine or to *.googleapis.com",
        *remedies,
        field=name,
    )


def is_trusted(origin: str, trusted: frozenset[str]) -> bool:
    netloc = urlsplit(origin).netloc.lower()
    return netloc in trusted or re.sub(r":[0-9]+\Z", "", netloc) in trusted


def checked_origin(url: object, field: str = "origin", trusted: frozenset[str] = frozenset()) -> str:
    """Return an address in normal form: scheme, host, port and, for a gateway, a path.

    A credential goes there, so that whatever two parsers of addresses might read differently is refused: user names,
    backslashes, percent signs in a host, empty or impossible ports.

    Raises:
        SettingsError: It is not such an address, or is neither https nor on this machine.
    """
    text = str(url)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise SettingsError(f"{field} is not a URL", field=field) from None
    if not all("!" <= char <= "~" for char in text):  # urlsplit drops line breaks without a word
        raise SettingsError(f"{field} holds characters that a URL cannot have", field=field)
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise SettingsError(f"{field} must hold no user, query or fragment, only scheme and host", field=field)
    host, path = parts.hostname or "", parts.path.rstrip("/")
    odd = port == 0 or parts.netloc.endswith(":") or parts.netloc.startswith("[") != (":" in host)
    if parts.scheme not in {"http", "https"} or not _is_host(host) or odd or not _PATH.fullmatch(path):
        raise SettingsError(
            f"{field} must look like 'https://host', 'https://gateway/prefix' or 'http://127.0.0.1:8080'",
            field=field,
        )
    shown = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "") + path
    if parts.scheme == "http" and not is_loopback(host) and not is_trusted(origin, trusted):
        raise SettingsError(
            f"{field} is plain http to {host}: credentials go only to https or to this machine; use https://",
            Remedy("if the network up to there is yours, trust the host with ", Argument("trusted_hosts", host)),
            field=field,
        )
    return origin


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A name whose last label is a number would be read as an address by some, as 127.1 and 0x7f.1 are.
        return _HOST.fullmatch(host) is not None
    return "%" not in host  # a zone of this machine's (RFC 4007) names no host elsewhere


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
