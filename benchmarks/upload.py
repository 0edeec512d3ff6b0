"""What it costs to check a file of training data and put it into Cloud Storage; how to read it is in README.md here."""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Cell = dict[str, Any]
BASELINE = "google-cloud-storage"


def write(path: Path, size: int) -> None:
    """Write conversations of two and four turns, about a kilobyte each, all different."""
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "Ünïcode", "waits", "here"]
    with path.open("wb", buffering=1 << 20) as file:
        number = written = 0
        while written < size:
            text = " ".join(words[(number + place) % len(words)] for place in range(60))
            turns = [(role, f"{number} {text}") for role in ("user", "model") * (1 + number % 2)]
            contents = [{"role": role, "parts": [{"text": said}]} for role, said in turns]
            written += file.write(json.dumps({"contents": contents}, ensure_ascii=False).encode() + b"\n")
            number += 1


@contextlib.contextmanager
def spent(cell: Cell, name: str) -> Iterator[None]:
    """Note the CPU time of this process, all threads and the kernel's part included, and the time that passed."""
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    cell[f"{name}cpu_s"] = time.process_time() - cpu
    cell[f"{name}wall_s"] = time.perf_counter() - wall


def gemtune(path: Path, url: str, cell: Cell) -> None:
    """The whole way: every row checked, two checksums, the upload in pieces."""
    from gemtune import Client
    from gemtune.datasets.headings import Choice
    from gemtune.datasets.upload.spool import spool
    from gemtune.resources import upload
    from gemtune.resources.storage import Storage

    async def run() -> None:
        async with Client(base_url=url, token="t" * 20, vertexai=True, project="bench") as client:
            with spent(cell, ""):
                await Storage(client._caller, "bench").upload(path)

    async def send() -> None:
        checked = spool(path, Choice(), "supervised")
        async with Client(base_url=url, token="t" * 20, vertexai=True, project="bench") as client:
            with spent(cell, "sending_"):
                await upload.Upload(client._caller, checked, "bench", None, None).run()
        checked.file.close()

    asyncio.run(run())
    cell["rss_mb"] = peak()
    asyncio.run(send())


def plain(path: Path, url: str, cell: Cell) -> None:
    """The same without google-crc32c, as a plain installation is."""
    sys.modules["google_crc32c"] = None  # type: ignore[assignment]
    gemtune(path, url, cell)


def google(path: Path, url: str, cell: Cell, chunk: int | None = None) -> None:
    """google-cloud-storage as it comes: one request, its body read from the file; it checks no rows."""
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("p", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})
    with spent(cell, ""):
        blob = client.bucket("bench").blob("train.jsonl", chunk_size=chunk)
        blob.upload_from_filename(path, content_type="application/jsonl")
    cell["rss_mb"] = peak()


def in_chunks(path: Path, url: str, cell: Cell) -> None:
    """The same in pieces of 16 MiB, as gemtune sends them."""
    google(path, url, cell, 16 << 20)


SUBJECTS: dict[str, Callable[[Path, str, Cell], None]] = {
    "gemtune": gemtune,
    "gemtune, crc32c in Python": plain,
    BASELINE: google,
    f"{BASELINE}, 16 MiB": in_chunks,
}


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The server in a process of its own."""
    command = [sys.executable, str(HERE / "upload_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def measure(subject: str, path: Path, url: str) -> Cell:
    """One measurement in a fresh process of its own."""
    command = [sys.executable, __file__, "--cell", subject, "--file", str(path), "--url", url]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(run.stderr)
    cell: Cell = json.loads(run.stdout)
    return {"subject": subject, **cell}


def told(cells: list[Cell]) -> Iterator[str]:
    """The medians, and CPU as a multiple of the baseline's."""
    subjects = list(dict.fromkeys(cell["subject"] for cell in cells))

    def median(subject: str, name: str) -> float | None:
        found = [cell[name] for cell in cells if cell["subject"] == subject and name in cell]
        return statistics.median(found) if found else None

    base = median(BASELINE, "cpu_s")
    yield "| | CPU s | of it sending | time s | peak memory MB |"
    yield "|---|---|---|---|---|"
    for subject in subjects:
        cpu, sending = median(subject, "cpu_s"), median(subject, "sending_cpu_s")
        ratio = f" ({cpu / base:.1f}x)" if base and cpu else ""
        part = "" if sending is None else f"{sending:.2f}" + (f" ({sending / base:.1f}x)" if base else "")
        wall, rss = median(subject, "wall_s"), median(subject, "rss_mb")
        yield f"| {subject} | {cpu:.2f}{ratio} | {part} | {wall:.1f} | {rss:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, metavar="MB", help="of the file (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there")
    for hidden in ("--cell", "--file", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        cell: Cell = {"start_mb": peak()}
        SUBJECTS[options.cell](Path(options.file), options.url, cell)
        print(json.dumps(cell))
        return 0
    with tempfile.TemporaryDirectory() as folder, serving() as url:
        path = Path(folder, "train.jsonl")
        write(path, options.size * 1_000_000)
        cells = []
        for number in range(options.rounds):
            for subject in options.subjects:
                print(f"round {number + 1}: {subject}", file=sys.stderr)
                cells.append(measure(subject, path, url))
    versions = []
    for name in ("gemtune", "google-cloud-storage", "google-crc32c", "aiohttp"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    print(f"{options.size} MB, median of {options.rounds}; Python {platform.python_version()}, {', '.join(versions)}")
    print("\n".join(told(cells)))
    if options.json:
        options.json.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
