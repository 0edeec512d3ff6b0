"""Draws ``docs/pictures/dashboard-*.webp``: the views of the dashboard in Chromium, with made-up jobs of the tests.

On a desk and on a phone, light and dark: the details of a job, a comparison, many jobs, nothing to show yet, an outage.
Names of pictures as arguments draw only these. ``screens.py`` draws the dashboard over jobs that really run.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from people.web import scenes  # noqa: E402 - the tests are no package
from people.web.stage import Stage  # noqa: E402

DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
JOB = "#job=tunedModels/rate-0-002"
# Name: what is there, the place on the page, the size, the theme.
PICTURES: dict[str, tuple[str, str, dict[str, int], str]] = {
    "job": ("busy", JOB, DESK, "light"),
    "compare": ("busy", "#compare=over", DESK, "light"),
    "side-by-side": ("busy", "#compare=side", DESK, "dark"),
    "empty": ("empty", "", {"width": 1280, "height": 480}, "light"),
    "outage": ("outage", "", DESK, "light"),
    "many": ("many", "", DESK, "light"),
    "phone-dark": ("busy", "#compare=over", PHONE, "dark"),
    "phone-job": ("busy", JOB, PHONE, "light"),
}


PACK = """async (address) => {
    const image = Object.assign(new Image(), {src: address});
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.88);
}"""


def stage(scene: str) -> Stage:
    """Return what the page is told."""
    if scene == "empty":
        return Stage()
    if scene == "many":
        return Stage(scenes.crowd())
    waits = {"title": "prompts.jsonl", "failed": 0, "parked": 12, "held_back": "waiting for the consumer"}
    busy = Stage(scenes.sweep(), {"a": scenes.batch(3150), "b": scenes.batch(800, **waits)})
    asked = [
        ("Tell me a joke about rate limits.", "I would, but you have already heard it too many times this minute.")
    ]
    busy.samples = {"tunedModels/rate-0-002": [{"prompt": p, "answer": a, "note": ""} for p, a in asked]}
    if scene == "outage":
        busy.service = {"outage": True, "trouble": "HTTP 503"}
    return busy


def shoot(browser: Any, name: str) -> None:
    """Draw one picture."""
    scene, place, size, theme = PICTURES[name]
    with stage(scene).served() as url:
        page = browser.new_page(viewport=size, color_scheme=theme, reduced_motion="reduce")
        page.goto(url + place)
        page.locator("[data-link=live]").wait_for()
        page.wait_for_timeout(1500)
        shot = page.screenshot(full_page=not place and scene != "many")
        page.close()
    if folder := os.environ.get("GEMTUNE_DRAW"):  # to look at, with whatever shows no WebP
        Path(folder, f"dashboard-{name}.png").write_bytes(shot)
    path = DOCS / "pictures" / f"dashboard-{name}.webp"
    path.write_bytes(packed(browser, shot))
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


def packed(browser: Any, shot: bytes) -> bytes:
    """Return a picture as WebP, a third of the size; the browser knows how."""
    page = browser.new_page()
    said = page.evaluate(PACK, "data:image/png;base64," + base64.b64encode(shot).decode())
    page.close()
    return base64.b64decode(said.partition(",")[2])


def main() -> None:
    """Draw the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in sys.argv[1:] or PICTURES:
            shoot(browser, name)
        browser.close()


if __name__ == "__main__":
    main()
