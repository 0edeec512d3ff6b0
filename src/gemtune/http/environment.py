"""What the machine says about the network: trusted roots and proxies. Everything here may block.

Variables are set once, by somebody else, and go stale: conda's SSL_CERT_FILE survives its environment, a password gets
a ``#``. So each is checked here, and an error names the variable, what it holds, and what to do.
"""

from __future__ import annotations

import os
import re
import ssl
import urllib.request
from pathlib import Path
from typing import Final, Never
from urllib.parse import urlsplit

from gemtune.errors import SettingsError
from gemtune.http._httpx import httpx
from gemtune.remedy import Argument, Remedy
from gemtune.settings import Secret
from gemtune.settings.addresses import is_loopback

_FILE: Final = "SSL_CERT_FILE"
_FOLDER: Final = "SSL_CERT_DIR"
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""The names by which OpenSSL finds certificates in a directory (``openssl rehash``)."""
_PEM: Final = b"-----BEGIN "


def make_ssl_context(trust_env: bool) -> ssl.SSLContext:
    """Return a context that trusts SSL_CERT_FILE or SSL_CERT_DIR if they are set, and the machine's roots.

    Raises:
        SettingsError: One of the two variables names nothing that holds certificates.
    """
    file = os.environ.get(_FILE, "").strip() if trust_env else ""
    folders = os.environ.get(_FOLDER, "").strip() if trust_env else ""
    if file or folders:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if file:
            _trust_file(context, file)
        if folders:
            _trust_folders(context, folders)
    else:
        context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _refuse(name: str, value: str, wrong: str) -> Never:
    # Outside of an except block, or the library's own error would be shown first.
    raise SettingsError(f"{name} names {value[:300]!r}, which {wrong}, or unset the variable", field=name) from None


def _trust_file(context: ssl.SSLContext, path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            data = file.read(1 << 26)
    except FileNotFoundError:
        _refuse(_FILE, path, "does not exist: correct the path")
    except IsADirectoryError:
        _refuse(_FILE, path, f"is a directory: name it in {_FOLDER} instead")
    except (OSError, ValueError) as exc:
        _refuse(_FILE, path, f"cannot be read ({getattr(exc, 'strerror', None) or 'no path'}): check its permissions")
    if not data.strip():
        _refuse(_FILE, path, "is empty: name a file of certificates")
    if _PEM not in data:
        how = f"convert it with: openssl x509 -inform der -in {path} -out {path}.pem"
        _refuse(_FILE, path, f"is not in PEM format{': ' + how if data[:1] == b'0' else ': convert it'}")
    try:
        context.load_verify_locations(cadata=_certificates(data))
    except (ssl.SSLError, ValueError):
        _refuse(_FILE, path, "holds no certificate that can be read: name another file")


def _certificates(data: bytes) -> str:
    return data.decode("ascii", "replace")


def _trust_folders(context: ssl.SSLContext, value: str) -> None:
    folders = [Path(part) for part in value.split(os.pathsep) if part.strip()]
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        file = any(folder.is_file() for folder in folders)
        _refuse(
            _FOLDER, value, f"is a file: name it in {_FILE} instead" if file else "does not exist: correct the path"
        )
    found = False
    for folder in there:
        entries = _entries(folder, value)
        if any(_HASHED.fullmatch(entry.name) for entry in entries):
            context.load_verify_locations(capath=str(folder))
            found = True
        else:  # other programs read every file of such a directory, whatever its name
            found = sum(_trust_if_possible(context, entry) for entry in entries) > 0 or found
    if not found:
        _refuse(_FOLDER, value, "holds no certificate in PEM format: name another directory")


def _entries(folder: Path, value: str) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as exc:
        _refuse(_FOLDER, value, f"cannot be read ({exc.strerror}): check its permissions")


def _trust_if_possible(context: ssl.SSLContext, path: Path) -> bool:
    try:
        data = path.read_bytes() if path.is_file() else b""
        if _PEM in data:
            context.load_verify_locations(cadata=_certificates(data))
            return True
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        pass
    return False


def find_proxy(origin: str) -> str | None:
    """Return the proxy for an origin from HTTPS_PROXY, ALL_PROXY and NO_PROXY or the system's settings.

    Raises:
        SettingsError: It is no address of a proxy, or of a kind that is not supported; the message does not show its
            credentials.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    kind = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = Secret(proxies.get(kind, "").strip())
    del proxies  # they may hold a password, which no traceback is to show
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else Secret(f"http://{proxy}")
    error = _proxy_error(proxy, _variable(kind))
    if error is not None:
        raise error  # here, where no frame shows the parts of a password
    return proxy


def _variable(kind: str) -> str:
    """Return the name of the variable that is set: HTTPS_PROXY or https_proxy."""
    lower = f"{kind}_proxy"
    return next((name for name in (lower, lower.upper()) if os.environ.get(name)), lower.upper())


def _proxy_error(proxy: Secret, variable: str) -> SettingsError | None:
    scheme, _, rest = proxy.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    masked = f"{scheme}://{'****@' if '@' in rest else ''}{rest.rpartition('@')[2]}"
    if rest.count("@") > authority.count("@") or authority.count("@") > 1:
        # Where the password ends is a guess, and two parsers would guess differently.
        return SettingsError(
            f"{variable} is {masked!r} with a user name or password that holds one of / ? # @: "
            "write them as %2F %3F %23 %40",
            field=variable,
        )
    if scheme.lower() not in {"http", "https"}:
        return SettingsError(
            f"{variable} is {masked!r}: {scheme} proxies are not supported",
            Remedy(f"set {variable} to an http proxy"),
            Remedy("pass a ", Argument("transport"), " that supports them"),
            field=variable,
        )
    if not _is_address(proxy):
        return SettingsError(
            f"{variable} is {masked!r}, which is no address of a proxy: it must look like http://host:3128",
            field=variable,
        )
    return None


def _is_address(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and all("!" <= char <= "~" for char in proxy)
