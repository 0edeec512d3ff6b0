"""One browser for all tests of the dashboard's page, and a guard over everything that it complains about."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    """What a browser found wrong with a page: errors of scripts, on the console, and requests that failed.

    That the stream of events breaks when its server stops is none: the page is made for it.
    """

    found: list[str] = attrs.field(factory=list)

    def watch(self, page: Any) -> None:
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure))

    def _said(self, kind: str, text: str) -> None:
        # A failed request has said so itself, and which one it was.
        if kind in {"error", "warning"} and not text.startswith("Failed to load resource: net::"):
            self.found.append(text)

    def _failed(self, url: str, why: str) -> None:
        if not url.endswith("/api/events") and why != "net::ERR_ABORTED":  # a page that is left aborts what it loads
            self.found.append(f"{url}: {why}")


@attrs.frozen
class BrowserThread:
    """Where the browser is driven from: playwright runs a loop of its own in its thread, which is no place for tests of
    asyncio.

    Args:
        thread: The thread.
        browser: The browser.
    """

    thread: ThreadPoolExecutor
    browser: Any

    def do(self, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return self.thread.submit(work, *given, **named).result()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that visits a page in the thread of the browser."""
    if "visit" not in pyfuncitem.funcargs:
        return None
    driven: BrowserThread = pyfuncitem.funcargs["browser"]
    named = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    driven.do(pyfuncitem.obj, **named)
    return True


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserThread]:
    """The one browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")

    def start() -> tuple[Any, Any]:
        running = playwright.sync_playwright().start()
        return running, running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    with ThreadPoolExecutor(1) as thread:
        running, chromium = thread.submit(start).result()
        yield BrowserThread(thread, chromium)
        thread.submit(chromium.close).result()
        thread.submit(running.stop).result()


@pytest.fixture
def visit(browser: BrowserThread) -> Iterator[Callable[..., Any]]:
    """Return a function that opens an address and returns the page; at the end no page may have complained."""
    contexts, complaints = [], Complaints()

    def opened(url: str, *, width: int = 1280, height: int = 900, refused: bool = False, **options: Any) -> Any:
        context = browser.browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(VIOLATIONS)
        if not refused:  # for what it is refused, a browser complains
            complaints.watch(page)
        page.goto(url)
        page.locator("[data-link=live]").wait_for()
        return page

    def close() -> list[str]:
        found = [each for context in contexts for page in context.pages for each in page.evaluate("violations")]
        for context in contexts:
            context.close()
        return found

    yield opened
    assert browser.do(close) + complaints.found == []
