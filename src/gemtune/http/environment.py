"""What the machine says about the network: trusted roots and proxies. Everything here may block."""

from __future__ import annotations

import ssl
import urllib.request
from urllib.parse import urlsplit

from gemtune.errors import SettingsError
from gemtune.http._httpx import httpx
from gemtune.remedy import Argument, Remedy
from gemtune.settings import Secret, is_loopback


def make_ssl_context(trust_env: bool) -> ssl.SSLContext:
    """Return a context that trusts SSL_CERT_FILE or SSL_CERT_DIR if they are set, and the machine's roots."""
    context = httpx.create_ssl_context(trust_env=trust_env)
    # certifi's roots, which httpx brings, lack the authorities that companies install on their machines.
    context.load_default_certs()
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.set_alpn_protocols(["http/1.1"])  # aiohttp speaks no HTTP/2, and must not be offered it
    return context


def find_proxy(origin: str) -> str | None:
    """Return the proxy for an origin from HTTPS_PROXY, ALL_PROXY and NO_PROXY or the system's settings.

    Raises:
        SettingsError: This kind of proxy is not supported; the message does not show its credentials.
    """
    parts = urlsplit(origin)
    host = parts.hostname or ""
    # A proxy cannot reach this machine's own services, whatever its settings say.
    if is_loopback(host) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = Secret(proxies.get(parts.scheme) or proxies.get("all") or "")
    del proxies  # they may hold a password, which no traceback is to show
    if not proxy:
        return None
    # "proxy:3128" is what many people write, and curl reads it so.
    proxy = proxy if "://" in proxy else Secret(f"http://{proxy}")
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise SettingsError(
            f"{urlsplit(proxy).scheme} proxies are not supported",
            Remedy("set HTTPS_PROXY to an http proxy"),
            Remedy("pass a ", Argument("transport"), " that supports them"),
            field="HTTPS_PROXY",
        )
    return proxy
