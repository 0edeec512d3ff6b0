"""From arguments and the environment to settings, each with the place it was taken from.

Names, order and warnings are those of Google's own SDK, so that an environment that works there works here. A base URL
from the environment is honoured only for loopback addresses and ``*.googleapis.com``: a variable alone must not be able
to send a credential to a stranger.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Never, TypeVar
from urllib.parse import urlsplit

import attrs

from gemtune import checks
from gemtune.errors import SettingsError
from gemtune.remedy import Argument, Remedy

DEFAULT_BASE_URL: Final = "https://generativelanguage.googleapis.com"
_KEYS: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}")
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\.?\Z)"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?"
)
"""A host name: labels of letters, digits and hyphens (RFC 1123; underscores as resolvers allow), none of them empty."""
_PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
_VERTEX: Final = ("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI")

_log = logging.getLogger("gemtune")


class Secret(str):
    """A credential: an ordinary string to whoever sends it, masked for whoever shows it, such as a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'****'"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a credential cannot be pickled")


@attrs.frozen
class Setting:
    """One setting: its value in a form that may be shown, and where it was taken from."""

    name: str
    shown: str
    source: str

    def __str__(self) -> str:
        return f"{self.name:<12} {self.shown}  (from {self.source})"


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a client and where each was taken from. Printing them explains them, with secrets masked.

    Args:
        base_url: Scheme and host of the service, and a path if a gateway stands before it.
        credential: ``api_key``, ``token``, ``credentials`` or ``adc``.
        api_key: The API key, if that is the credential.
        project: The quota project (``x-goog-user-project``), if known.
        trusted_hosts: Hosts to which the credential may go in plain http.
        entries: What to show, in order.
    """

    base_url: str
    credential: str
    api_key: str | None = attrs.field(default=None, repr=False)
    project: str | None = None
    trusted_hosts: frozenset[str] = frozenset()
    entries: tuple[Setting, ...] = ()

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.entries)

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries))


def resolve(
    environ: Mapping[str, str],
    *,
    api_key: str | None = None,
    token: object | None = None,
    credentials: object | None = None,
    project: str | int | None = None,
    base_url: str | None = None,
    trusted_hosts: object = None,
) -> Settings:
    """Return the settings that the arguments and the environment give; arguments win."""
    trusted = checked_hosts(trusted_hosts)
    trusted |= _local_name(base_url, trusted)
    # An empty variable is how shells and container files say "not set".
    env = {key: value.strip() for key, value in environ.items() if value.strip()}
    kind, key, credential = _credential(env, api_key, token, credentials)
    url, url_entry = _base_url(env, base_url, trusted)
    if project is not None:
        quota, source = str(project) if checks.is_whole(project) else project, "argument project"
    elif "GOOGLE_CLOUD_QUOTA_PROJECT" in env:
        quota, source = env["GOOGLE_CLOUD_QUOTA_PROJECT"], "GOOGLE_CLOUD_QUOTA_PROJECT"
    else:
        quota, source = None, "the credentials, if they name one"
    if quota is not None and not (isinstance(quota, str) and _PROJECT.fullmatch(quota)):
        raise SettingsError(f"project must be a project id or number, not {quota!a}", field="project")
    entries = [url_entry, credential, Setting("project", quota or "none", source), *_notes(env)]
    if trusted:
        entries.append(Setting("trusted_hosts", ", ".join(sorted(trusted)), "arguments"))
    return Settings(
        base_url=url, credential=kind, api_key=key, project=quota, trusted_hosts=trusted, entries=tuple(entries)
    )


T = TypeVar("T")


def given(name: str, value: T | None, kind: type[T]) -> T | None:
    """Return an argument of the client's, or refuse one of another type."""
    return None if value is None else checks.instance(name, value, kind, f"a {kind.__name__}", error=SettingsError)


def _credential(
    env: Mapping[str, str], api_key: str | None, token: object | None, credentials: object | None
) -> tuple[str, str | None, Setting]:
    given = {"api_key": api_key, "token": token, "credentials": credentials}
    # Which one was meant cannot be known, and the wrong one may be billed to somebody else.
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise SettingsError(f"give one of {' and '.join(named)}, not both", field=named[1])
    if api_key is not None:
        return "api_key", _checked_key(api_key, "api_key"), Setting("credential", "API key ****", "argument api_key")
    if named:
        return named[0], None, Setting("credential", f"{named[0]} ****", f"argument {named[0]}")
    found = [name for name in _KEYS if name in env]
    # Google's own SDK takes GOOGLE_API_KEY and warns; so does this one, so that nothing changes with the SDK.
    if len(found) > 1 and env[found[0]] != env[found[1]]:
        _log.warning("both %s and %s are set; using %s", found[0], found[1], found[0])
    if found:
        return "api_key", _checked_key(env[found[0]], found[0]), Setting("credential", "API key ****", found[0])
    return "adc", None, Setting("credential", "Application Default Credentials", "no key was given")


def _checked_key(key: object, name: str) -> Secret:
    wrong = odd_secret(key)
    if wrong or not isinstance(key, str):
        raise SettingsError(f"{name} {wrong}", field=name)
    return Secret(key.strip())


_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"


def odd_secret(secret: object) -> str:
    """Return what keeps a key or token from being one, in words that follow its name, masked; "" if nothing does.

    What surrounds it is stripped: keys are pasted with line breaks, and commands that print a token end with one.
    """
    if isinstance(secret, bytes | bytearray):
        return "is bytes and must be a string: decode it"
    if not isinstance(secret, str):
        return f"must be a string, not {type(secret).__name__}"
    text = secret.strip()
    if not text:
        return "is empty"
    known = f"('****', {len(text)} characters)"
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return f"{known} begins or ends with a quotation mark: take the marks away"
    if text[:7].lower() == "bearer ":
        return f"{known} begins with 'Bearer', which is not part of it: take the word away"
    if any(char in "\r\n" for char in text):
        return f"{known} holds a line break: put it on one line"
    if any(char.isspace() for char in text):
        return f"{known} holds a space: copy it again, alone"
    if not text.isascii() or not text.isprintable():
        return f"{known} holds characters that a key or token cannot have: copy it again"
    return ""


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


def _base_url(env: Mapping[str, str], base_url: str | None, trusted: frozenset[str]) -> tuple[str, Setting]:
    if base_url is not None:
        origin = checked_origin(base_url, "base_url", trusted)
        return origin, Setting("base_url", origin, "argument base_url")
    name = "GOOGLE_GEMINI_BASE_URL"
    if name not in env:
        return DEFAULT_BASE_URL, Setting("base_url", DEFAULT_BASE_URL, "default")
    origin = checked_origin(env[name], name, trusted)
    # Whoever can set a process's variables need not be able to read its credentials, and must not come to them so.
    host = urlsplit(origin).hostname or ""
    google = host == "googleapis.com" or host.endswith(".googleapis.com")
    if not (is_loopback(host) or google or _is_trusted(origin, trusted)):
        raise SettingsError(
            f"{name} points to {host}: a variable may only point to this machine or to *.googleapis.com",
            Remedy("if you mean it, trust the host with ", Argument("trusted_hosts", host)),
            Remedy("pass ", Argument("base_url", origin)),
            field=name,
        )
    return origin, Setting("base_url", origin, name)


def _local_name(url: object, trusted: frozenset[str]) -> frozenset[str]:
    """Return the host of an http address that was given as an argument, if it is a name without a dot.

    No name on the internet is. Whoever writes ``http://llm-gateway:4000`` into a program means the network of a compose
    file, a cluster or a company; a variable, which somebody else may have set, is not believed so easily.
    """
    found = re.match(r"http://([a-z](?:[a-z0-9-]*[a-z0-9])?)(?::[0-9]+)?(?:/|\Z)", str(url).lower())
    if found is None or found[1] == "localhost" or found[1] in trusted:
        return frozenset()
    _log.warning("credentials go to %s in plain http; name it in trusted_hosts to say that you mean it", found[1])
    return frozenset({found[1]})


def _is_trusted(origin: str, trusted: frozenset[str]) -> bool:
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
    if parts.scheme == "http" and not is_loopback(host) and not _is_trusted(origin, trusted):
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


def _notes(env: Mapping[str, str]) -> Iterator[Setting]:
    asked = next((name for name in _VERTEX if env.get(name, "").lower() in {"1", "true"}), None)
    if asked is not None:
        _log.warning("%s is set, but this client talks to the Gemini API; it is ignored", asked)
        yield Setting("service", "Gemini API", f"this version has no other; {asked} is ignored")
    else:
        yield Setting("service", "Gemini API", "default")
    if "GOOGLE_GENAI_API_VERSION" in env:
        yield Setting("api_version", "each method's own", "GOOGLE_GENAI_API_VERSION is ignored")
