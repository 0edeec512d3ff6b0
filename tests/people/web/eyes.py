"""What a test sees of a page: rows, what is drawn on a canvas, contrasts, and how busy the browser is."""

from __future__ import annotations

from typing import Any

import pytest


def row(page: Any, title: str) -> Any:
    return page.locator("#table tbody").filter(has=page.get_by_role("link", name=title, exact=True))


def ink(page: Any, selector: str = "#board-chart canvas") -> int:
    """How many coloured points a chart has: what is drawn, seen from outside."""
    return page.locator(selector).first.evaluate(
        """canvas => {
            const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
            const context = copy.getContext("2d", {willReadFrequently: true});
            context.drawImage(canvas, 0, 0);
            const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) {
                const [r, g, b, alpha] = data.slice(i, i + 4);
                if (alpha > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 90) count++;
            }
            return count;
        }"""
    )


def becomes(page: Any, look: Any, wanted: Any) -> Any:
    """Look until what is seen is as wanted; return it."""
    for _ in range(60):
        seen = look()
        if wanted(seen):
            return seen
        page.wait_for_timeout(50)
    pytest.fail(f"it stayed {seen!r}")


def metrics(client: Any) -> dict[str, float]:
    told = client.send("Performance.getMetrics")["metrics"]
    return {
        entry["name"]: entry["value"]
        for entry in told
        if entry["name"] in {"TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"}
    }


FRAMES = """() => {
    const seen = {gaps: [], last: performance.now(), on: true};
    const frame = (now) => {
        seen.gaps.push(now - seen.last);
        seen.last = now;
        if (seen.on) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    return seen;
}"""
"""Measures the milliseconds between frames."""

FOCUS = """() => {
    const focused = document.activeElement;
    const {outlineStyle, outlineWidth} = getComputedStyle(focused);
    const name = focused.getAttribute("aria-label") ?? (focused.labels?.[0] ?? focused).textContent.trim();
    return [name, outlineStyle, parseFloat(outlineWidth)];
}"""
"""What has the focus, and how it shows that."""

SMALL = """() => [...document.querySelectorAll("body *")]
    .filter(e => e.childElementCount === 0 && e.textContent.trim() && e.checkVisibility())
    .filter(e => parseFloat(getComputedStyle(e).fontSize) < 11)
    .map(e => e.textContent)"""
"""Texts that are too small to read."""

COUNTED = """() => {
    window.moved = 0;
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (...given) { moved += 1; return animate.apply(this, given); };
}"""
"""Counts animations that scripts begin."""

MOVING = """() => [...document.querySelectorAll("*")]
    .map(e => getComputedStyle(e))
    .filter(style => style.animationName !== "none" || style.transitionDuration !== "0s").length"""
"""How many elements a style sheet moves."""

CONTRAST = """() => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const over = (...layers) => {
        context.clearRect(0, 0, 1, 1);
        for (const layer of layers) { context.fillStyle = layer; context.fillRect(0, 0, 1, 1); }
        return context.getImageData(0, 0, 1, 1).data;
    };
    const linear = (value) => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
    const light = (color) => {
        const [r, g, b] = [...color].slice(0, 3).map(value => linear(value / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const own = (e) => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join("");
    const found = [];
    for (const element of (document.querySelector("dialog[open]") ?? document.body).querySelectorAll("*")) {
        const text = own(element) || element.placeholder;
        if (!text || element.disabled || element.matches(".unseen, option, script, noscript")) continue;
        if (!element.checkVisibility()) continue;
        const grounds = [];
        for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
        const ground = over("#fff", ...grounds);
        const ink = over(`rgb(${ground[0]} ${ground[1]} ${ground[2]})`, getComputedStyle(element).color);
        const [a, b] = [light(ground), light(ink)].sort((x, y) => y - x);
        found.push([Math.round((a + .05) / (b + .05) * 100) / 100, text.slice(0, 40)]);
    }
    return found;
}"""
"""The contrast of every text that is seen with its ground, as WCAG counts it."""
