"""The example notebooks: run in a real kernel, looked at as a page, and committed with what they show."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

ROOT = Path(__file__).parents[3]
CHROMIUM = Path("/usr/bin/chromium")
NAMES = ("batch-into-a-frame", "compare-learning-rates", "find-the-best-model", "tune-and-watch")
spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "docs" / "run_notebooks.py")
run_notebooks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_notebooks)


def path_of(name):
    return ROOT / "docs" / "notebooks" / f"{name}.ipynb"


def run(name):
    """Return a notebook after it has run, once it is sure that its outputs are of the same kinds as those kept."""
    notebook, kept = run_notebooks.ran(path_of(name)), nbformat.read(path_of(name), as_version=4)
    assert kinds(notebook) == kinds(kept)
    return notebook


def kinds(notebook):
    found = outputs(notebook).items()
    return {source: [sorted(output.get("data", ())) for output in shown] for source, shown in found}


def outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.source: cell.outputs for cell in cells}


def shown(notebook, words):
    """What the cell with these words shows as HTML."""
    ((output, *_),) = (found for source, found in outputs(notebook).items() if words in source)
    return output.data["text/html"]


def test_all_notebooks_are_tested():
    assert {path.stem for path in path_of("x").parent.glob("*.ipynb")} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_with_the_outputs_of_a_run_to_its_end(name):
    notebook = nbformat.read(path_of(name), as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)], "run from its top, once"
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds <= {"display_data", "execute_result"}, "no error, no warning"
    said = path_of(name).read_text(encoding="utf-8")
    assert not re.search(r"/home/|/tmp/|/root/|site-packages", said)
    assert len(said) < 150_000


@pytest.mark.slow
@pytest.mark.socket
def test_the_tutorial_ends_with_a_model_that_answers_and_keeps_its_curve():
    notebook = run("tune-and-watch")
    last = shown(notebook, "await job.show()")
    assert "succeeded" in last
    assert "38 of 38 steps" in last
    assert "<svg" in last
    assert "eight (emulator" in shown(notebook, "generate_content")
    assert "<td>38</td>" in shown(notebook, "to_frame().tail()")
    (model,) = outputs(notebook)["model"]
    assert "number generator" in model.data["text/html"]


@pytest.mark.slow
@pytest.mark.socket
def test_three_rates_are_compared_in_one_picture_and_one_frame():
    notebook = run("compare-learning-rates")
    last = shown(notebook, "await watcher.show()")
    assert last.count("<polyline") == 3
    assert last.count("40/40") == 3
    frame = shown(notebook, "frame.pivot")
    assert [f"rate {rate}" in frame for rate in (0.0005, 0.001, 0.005)] == [True] * 3
    assert re.search(r"<strong>rate 0\.\d+</strong>", shown(notebook, "best = min"))


@pytest.mark.slow
@pytest.mark.socket
def test_a_batch_becomes_a_frame_in_which_a_failure_is_one_row():
    notebook = run("batch-into-a-frame")
    assert "599 of 600 answered" in shown(notebook, "await batch.show()")
    assert "the prompt is empty" in shown(notebook, "\nanswers[[")
    assert "<td>449</td>" in shown(notebook, "groupby")


@pytest.mark.slow
@pytest.mark.socket
def test_the_best_of_nine_points_is_found_and_is_better_than_the_base_model_on_rows_that_chose_nothing():
    notebook = run("find-the-best-model")
    assert "9 points, 3 jobs at a time" in shown(notebook, "sweep.plan()")
    last = shown(notebook, "await sweep.show()")
    assert "9 of 9 points done" in last
    assert re.search(r"best: point \d \(rate × [18] · epochs \d\), labels 0\.\d", last)
    assert re.search(r"\d+ stopped", last)
    assert last.count("<polyline") >= 9
    # The ids of a sweep are random, and so is which of the prompts its models know.
    said = r"best is better than base: labels 0\.\d+ against 0\.\d+, ±0\.\d+, p &lt; 0\.001 on 56 rows"
    assert re.search(said, shown(notebook, "client.evaluate("))
    frame = shown(notebook, "sweep.to_frame()")
    assert "<td>trained</td>" in frame
    assert "<td>stopped</td>" in frame


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


LOOK = """() => [...document.querySelectorAll('.gemtune')].map(box => {
  const paper = node => { for (; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor; if (!/, 0\\)$|transparent/.test(color)) return color }
    return 'rgb(255, 255, 255)' }
  const light = color => { const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const [a, b] = [light(getComputedStyle(box).color), light(paper(box))].sort((x, y) => y - x)
  const svg = box.querySelector('svg[viewBox$="210"], svg[viewBox$="240"]')
  return {contrast: (a + 0.05) / (b + 0.05), over: box.scrollWidth - box.clientWidth,
          curve: svg ? svg.getBoundingClientRect().height : null, left: [...box.querySelectorAll('td')].every(
            cell => getComputedStyle(cell).textAlign === (cell.matches('.right') ? 'right' : 'left'))}
})"""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_can_be_read_on_a_light_page_and_on_a_dark_one(name, theme, browser, tmp_path):
    exporter = HTMLExporter(theme=theme, template_name="lab")
    page_path = tmp_path / f"{name}.html"
    page_path.write_text(exporter.from_filename(str(path_of(name)))[0], encoding="utf-8")
    context = browser.new_context(viewport={"width": 1000, "height": 1200}, offline=True)
    page = context.new_page()
    page.goto(page_path.as_uri(), wait_until="domcontentloaded")
    boxes = page.evaluate(LOOK)
    context.close()
    assert boxes
    assert min(box["contrast"] for box in boxes) > 7
    assert max(box["over"] for box in boxes) <= 0, "nothing is cut off"
    assert all(box["left"] for box in boxes)
    assert all(box["curve"] is None or box["curve"] > 180 for box in boxes)
