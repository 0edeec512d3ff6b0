"""What the machine says about the network: trusted roots and proxies. Everything here may block."""

from __future__ import annotations

import ssl
import urllib.request
from urllib.parse import urlsplit

from gemtune.errors import SettingsError
from gemtune.http._httpx import httpx
from gemtune.remedy import Argument, Remedy
from gemtune.settings import Secret, is_loopback


def checked_origin(origin: str) -> str:
    """Return an address in normal form: scheme, host, port and, for a gateway, a path.

    Raises:
        SettingsError: It has a query or a user, or is neither https nor on this machine.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    printable = all("!" <= char <= "~" for char in origin)
    if not (host and printable) or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError("the address must look like https://generativelanguage.googleapis.com", field="origin")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(
            f"{parts.scheme}://{host} would carry the credential unencrypted: use https "
            "(http is for this machine only)",
            field="origin",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "") + parts.path.rstrip("/")


def make_ssl_context(trust_env: bool) -> ssl.SSLContext:
    """Return a context that trusts SSL_CERT_FILE or SSL_CERT_DIR where set, and the machine's roots."""
    context = httpx.create_ssl_context(trust_env=trust_env)
    context.load_default_certs()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(["http/1.1"])
    return context


def find_proxy(origin: str) -> str | None:
    """Return the proxy for an origin from HTTPS_PROXY, ALL_PROXY and NO_PROXY or the system's settings.

    Raises:
        SettingsError: This kind of proxy is not supported; the message does not show its credentials.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = Secret(proxies.get(parts.scheme) or proxies.get("all") or "")
    del proxies  # they may hold a password, which no traceback is to show
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else Secret(f"http://{proxy}")
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise SettingsError(
            f"{urlsplit(proxy).scheme} proxies are not supported",
            Remedy("set HTTPS_PROXY to an http proxy"),
            Remedy("pass a ", Argument("transport"), " that supports them"),
            field="HTTPS_PROXY",
        )
    return proxy
