"""The front door: ``python3 noxfile.py -s demo`` needs Python 3.11 and pip, nothing else.

Where nox is installed, ``nox -s demo`` is the same; ``nox -l`` lists the sessions.
"""

import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
NOX = "2025.5.1"


def bootstrap() -> None:
    """Fetch nox into .nox/boot, once, and become nox on this file with the same arguments.

    From here on pip installs everything, so that whatever index, proxy and certificates it knows are used.
    ``pip --target`` is open even on a Python that the distribution manages (PEP 668), and virtualenv, which
    comes with nox, needs no ensurepip, which Debian keeps in a package of its own.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - the one line that an older Python gets to read
        sys.exit(f"gemtune needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")
    boot = str(ROOT / ".nox" / "boot")
    if not Path(boot, "nox").is_dir():
        options = f"-qq --disable-pip-version-check --root-user-action=ignore --upgrade nox>={NOX} --target"
        pip = [sys.executable, "-m", "pip", "install", *options.split(), boot]
        if subprocess.call(pip, env=os.environ | {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}):  # noqa: S603
            sys.exit("pip could not fetch nox: see its message above.")
    os.environ["PYTHONPATH"] = boot  # nox starts virtualenv as a process of its own
    sys.path.insert(0, boot)
    sys.argv[1:1] = ["--noxfile", __file__, "--default-venv-backend", "virtualenv"]
    runpy.run_module("nox", run_name="__main__")


if __name__ == "__main__":
    bootstrap()

import nox  # noqa: E402 - only there once bootstrap has started it

nox.needs_version = f">={NOX}"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False  # "plain" runs on those that are at hand
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typing", "floors", "tests"]

# Two workers halve the time on two cores; "-- -n 0" runs everything in one process, as a debugger needs it.
PYTEST = ("pytest", "-n", "2", "--dist", "worksteal")

# The blocks of the pages and of --help are run by "pages", without short cuts; "-- tests/test_help.py" runs them here.
IN_PAGES = ("--ignore=tests/test_help.py", "--deselect=tests/test_docs.py::test_a_page_does_what_it_says")

# Runs in "ray": what it needs takes 600 MB.
OF_RAY = ("ray.md",)

# What can differ between the sources without orjson, which "tests" runs, and the wheel with it: whatever reads or
# writes JSON (orjson is used by one module, protocol/codec/text.py) and whatever asks for the package's own files,
# scripts and entry points. The rest (watcher, stories, limiter, proofs, emulator) does not notice either.
OF_WHEEL = (
    "tests/pure/test_codec.py",
    "tests/pure/test_codec_properties.py",
    "tests/pure/test_one_json.py",
    "tests/pure/test_side_fields.py",
    "tests/pure/test_sse.py",
    "tests/pure/test_training_data.py",
    "tests/pure/test_types.py",
    "tests/pure/test_vertex_codec.py",
    "tests/pure/test_vertex_data.py",
    "tests/batch/test_batch.py",
    "tests/batch/test_command.py",
    "tests/batch/test_command_tables.py",
    "tests/batch/test_export.py",
    "tests/batch/test_files.py",
    "tests/batch/test_inputs.py",
    "tests/batch/test_journal.py",
    "tests/batch/test_key_types.py",
    "tests/batch/test_requests.py",
    "tests/batch/test_resume.py",
    "tests/batch/test_strange_journals.py",
    "tests/batch/test_writer.py",
    "tests/cli/test_commands.py",
    "tests/cli/test_emulator.py",
    "tests/cli/test_process.py",
    "tests/client",
    "tests/example_app",
    "tests/io",
    "tests/proofs/test_linear.py",
    "tests/proofs/test_loop_is_free.py",
    "tests/test_exports.py",
    "tests/testing",
    "tests/vertex/test_data.py",
    "tests/vertex/test_tune.py",
)

PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")

PYTHONS = ["3.11", "3.12", "3.13"]
if shutil.which("pyenv") and "PYENV_VERSION" not in os.environ:
    # pyenv's "python3.12" runs only while a version of it is selected: select all, this one first.
    known = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False).stdout.split()  # noqa: S607
    mine = ".".join(map(str, sys.version_info[:2]))
    chosen = [name for name in known if name.startswith(tuple(f"{python}." for python in PYTHONS))]
    os.environ["PYENV_VERSION"] = ":".join(sorted(chosen, key=lambda name: not name.startswith(f"{mine}.")))

# What the tests themselves need and no more: none of it brings an extra's package, or requests, along.
TOOLS = ("blockbuster>=1.5.23", "hypothesis>=6.130", "pytest>=9", "pytest-xdist>=3.8", "trio>=0.30", "trustme>=1.2")
PLAIN = (
    "tests/client",
    "tests/io",
    "tests/pure/test_codec.py",
    "tests/pure/test_settings.py",
    "tests/batch/test_batch.py",
    "--ignore=tests/client/test_streams.py",
)  # the last needs a server, which is an extra


def install(session: nox.Session, *what: str, groups: tuple[str, ...] = ()) -> None:
    """Install into the session, and let no package from outside in: PYTHONPATH is nox's own affair."""
    session.env["PYTHONPATH"] = None
    session.install(*what, *nox.project.dependency_groups(PROJECT, *groups))


@nox.session
def demo(session: nox.Session) -> None:
    """Tune against the bundled emulator and ask the tuned model: no account, no network."""
    install(session, ".[emulator]")
    session.run("gemtune", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test-suite on the sources, without orjson; arguments after -- go to pytest."""
    install(session, "-e", ".[emulator]", groups=("test",))
    chosen = session.posargs or ("--ignore=tests/people", *IN_PAGES)
    session.run(*PYTEST, *chosen, env={"GEMTUNE_JSON": "standard"})  # a plain installation


def no_extra(session: nox.Session) -> None:
    """Check that nothing is there which ``pip install gemtune`` does not bring."""
    names = ("fastapi", "httpx2", "orjson", "requests", "uvicorn")
    code = f"import importlib.util as u; found = [n for n in {names} if u.find_spec(n)]; assert not found, found"
    session.run("python", "-c", code)


@nox.session(python=PYTHONS)
def plain(session: nox.Session) -> None:
    """Run what needs no extra in exactly what ``pip install gemtune`` gives, on each Python that is at hand."""
    install(session, ".", *TOOLS)
    no_extra(session)
    session.run(*PYTEST, *(session.posargs or PLAIN))


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the same with the lowest versions that the package allows."""
    needs = [need.replace(">=", "==") for need in PROJECT["project"]["dependencies"]]
    install(session, ".", *needs, *TOOLS)
    no_extra(session)
    lenient = ("-W", "ignore::pytest.PytestRemovedIn10Warning")  # an older anyio's plugin imports what pytest renamed
    session.run(*PYTEST, *lenient, *(session.posargs or PLAIN))


@nox.session
def people(session: nox.Session) -> None:
    """Look at what people look at, with all extras: terminal, notebook, dashboard, frames, telemetry."""
    install(session, "-e", ".[all]", groups=("people",))
    chosen = session.posargs or ("tests/people", "--ignore=tests/people/docs/test_pages.py")  # for that, see IN_PAGES
    session.run(*PYTEST, *chosen)


@nox.session
def foreign(session: nox.Session) -> None:
    """Run Google's own clients, unpatched, and its tutorial, literally, against the emulator."""
    install(session, "-e", ".[emulator]", groups=("foreign",))
    session.run("pytest", "tests/foreign", *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """Run a cluster of two nodes here, and what docs/ray.md says; takes three to seven minutes, and 2.2 GB at worst."""
    install(session, "-e", ".[emulator,ray]", groups=("ray",))
    session.run("pytest", "--show-capture=no", "tests/ray", *session.posargs)  # Ray logs a page for every dataset
    if not session.posargs:
        session.run("python", "tests/pages.py", *(f"docs/{name}" for name in OF_RAY))


@nox.session
def protos(session: nox.Session) -> None:
    """Read every request and every observed reply with Google's published protos."""
    install(session, "-e", ".[emulator]", groups=("protos",))
    session.run("pytest", "tests/proofs/test_protos.py", *session.posargs)


@nox.session
def histories(session: nox.Session) -> None:
    """Play more than 100,000 random histories of one job; takes two and a half minutes."""
    install(session, "-e", ".[emulator]", groups=("test",))
    command = (*PYTEST, "-o", "faulthandler_timeout=0", "tests/pure/test_reconciler_histories.py")
    session.run(*command, *session.posargs, env={"GEMTUNE_DEEP": "20"})


@nox.session
def deep(session: nox.Session) -> None:
    """Search with random seeds: a hundred times as many histories, and cancellations at every moment; takes hours."""
    install(session, "-e", ".[emulator]", groups=("test",))
    histories = ("tests/pure/test_reconciler_histories.py", "tests/watch/test_watcher_histories.py")
    moments = ("tests/proofs/test_cancellation.py", "tests/proofs/test_threads.py")
    deep = os.environ.get("GEMTUNE_DEEP", "100")
    command = ("pytest", "-o", "faulthandler_timeout=0", "--hypothesis-profile", "random")
    command += tuple(session.posargs or histories + moments)
    session.run(*command, env={"GEMTUNE_DEEP": deep})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, groups=("lint",))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Type-check the package, strictly."""
    install(session, "-e", ".[all]", groups=("typing",))
    session.run("mypy", *session.posargs)


@nox.session
def pyright(session: nox.Session) -> None:
    """Check what another type checker makes of right and wrong calls; it fetches Node.js if there is none."""
    install(session, "-e", ".", "pyright>=1.1.400")
    session.run("pyright", *session.posargs)


@nox.session
def floors(session: nox.Session) -> None:
    """Check that imports go down only."""
    install(session, "-e", ".", groups=("floors",))
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages and the reference as a site in docs/_build/html; a warning fails it."""
    install(session, "-e", ".[all]", groups=("docs",))
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "-q", "docs", "docs/_build/html", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw docs/pictures/: the terminal, a notebook and the dashboard; CHROMIUM may name a browser."""
    install(session, "-e", ".[all]", groups=("pictures",))
    session.run("python", "docs/pictures.py", *session.posargs)
    session.run("python", "docs/screens.py", *session.posargs)
    session.run("python", "docs/dashboard_pictures.py")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run the notebooks of docs/notebooks in place, and keep their outputs; arguments name some of them."""
    install(session, "-e", ".[all]", groups=("people",))
    session.run("python", "docs/run_notebooks.py", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it, into dist/."""
    install(session, groups=("build",))
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist")


@nox.session(requires=["build"], reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Run what can differ there on the built wheel in a new environment, with orjson and no source tree around."""
    (built,) = (ROOT / "dist").glob("*.whl")
    install(session, f"gemtune[emulator,speed] @ {built.as_uri()}", groups=("test",))
    away = Path(session.create_tmp()).resolve()
    for name in ("tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, away / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
    for name in ("pyproject.toml", "LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, away)
    session.chdir(away)
    session.run(*PYTEST, *(session.posargs or OF_WHEEL), env={"GEMTUNE_JSON": "orjson"})


@nox.session(requires=["build"], reuse_venv=False)
def pages(session: nox.Session) -> None:
    """Run the blocks of the README, docs/ and --help as a newcomer does: on the built wheel, in an empty project."""
    (built,) = (ROOT / "dist").glob("*.whl")
    found = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in OF_RAY)]
    told = [re.findall(r"^<!-- needs: (.+?) -->$", path.read_text(encoding="utf-8"), re.MULTILINE) for path in found]
    needs = {need.strip() for lines in told for line in lines for need in line.split(",")}
    others = sorted(need for need in needs if not need.startswith("gemtune["))  # the extras come with the wheel
    install(session, f"gemtune[all] @ {built.as_uri()}", "fastapi", "pytest", *others)  # what the pages say
    away = Path(session.create_tmp()).resolve()
    for path in (*found, ROOT / "tests" / "pages.py", ROOT / "tests" / "help_page.py"):
        shutil.copy(path, away)
    session.chdir(away)
    session.run("python", "help_page.py", ".")
    examples = sorted(path.name for path in away.glob("help-*.md"))
    names = session.posargs or [*examples, *(path.name for path in found)]
    outside = {"TMPDIR": tempfile.gettempdir()}  # below this checkout, pytest would find its configuration
    session.run("python", "-X", "dev", "-W", "error", "pages.py", "--beside", "3", *names, env=outside)


@nox.session
def crash(session: nox.Session) -> None:
    """Kill a running batch 200 times at random moments, and check that nothing is lost or doubled."""
    install(session, "-e", ".[emulator]", groups=("test",))
    kills = {"GEMTUNE_KILLS": os.environ.get("GEMTUNE_KILLS", "200")}
    session.run("pytest", "-q", "tests/batch/test_kill.py", *session.posargs, env=kills)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare client CPU per call with other SDKs; see benchmarks/README.md."""
    install(session, ".", groups=("bench",))
    session.run("python", "benchmarks/call.py", *session.posargs)


@nox.session
def bench_batch(session: nox.Session) -> None:
    """Compare ways to ask a model many things; see benchmarks/README.md."""
    install(session, ".", groups=("bench",))
    session.run("python", "benchmarks/batch.py", *session.posargs)


@nox.session
def bench_ray(session: nox.Session) -> None:
    """Compare a batch on Ray with one in a process, and with Ray Data's HTTP processor; see benchmarks/README.md."""
    install(session, ".[ray]", "psutil>=6", "pydantic>=2")
    session.run("python", "benchmarks/on_ray.py", *session.posargs)


@nox.session
def bench_upload(session: nox.Session) -> None:
    """Compare uploads of a gigabyte of training data; see benchmarks/README.md."""
    install(session, ".", "google-cloud-storage==3.17.1")
    session.run("python", "benchmarks/upload.py", *session.posargs)


@nox.session
def bench_watch(session: nox.Session) -> None:
    """Compare ways to follow many tuning jobs; see benchmarks/README.md."""
    install(session, ".", "google-generativeai==0.8.6")
    session.run("python", "benchmarks/watch.py", *session.posargs)
