"""One browser for all tests of the dashboard's page, and a guard over everything that it complains about."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI}`));
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
}).observe({type: "longtask"});
"""


@attrs.define
class Complaints:
    """What a browser found wrong with a page.

    Args:
        found: Errors of scripts, errors on the console, and requests that failed.
    """

    found: list[str] = attrs.field(factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda message: message.type in {"error", "warning"} and self.found.append(message.text))
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request))  # noqa: PLW0108 - attrs has no room for its wrapper

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that is left breaks its own connections
            self.found.append(f"{request.url}: {request.failure}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The one browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def complaints() -> Complaints:
    """What the browser found wrong so far; a test that causes something clears it."""
    return Complaints()


@pytest.fixture
def visit(browser: Any, complaints: Complaints) -> Iterator[Callable[..., Any]]:
    """Return a function that opens an address and returns the page; at the end no page may have complained."""
    contexts = []

    def opened(url: str, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(VIOLATIONS)
        complaints.watch(page)
        page.goto(url)
        page.locator("[data-link=live]").wait_for()
        return page

    yield opened
    violations = [found for context in contexts for page in context.pages for found in page.evaluate("violations")]
    for context in contexts:
        context.close()
    assert complaints.found + violations == []
