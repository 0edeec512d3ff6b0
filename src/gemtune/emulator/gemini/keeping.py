"""Files and batches in a state file, beside whose contents theirs lie. Uploads do not outlive the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from gemtune.emulator.gemini.batches.shelf import BatchEnd, StoredBatch
from gemtune.emulator.gemini.files.shelf import StoredFile
from gemtune.emulator.messages.contents import Depot, StoredContent
from gemtune.emulator.world.batches.lines import BatchFate
from gemtune.emulator.world.batches.plan import BatchCourse
from gemtune.emulator.world.objects import dump_content, restore_content
from gemtune.emulator.world.store import Principal
from gemtune.emulator.world.tuning import JobFate
from gemtune.emulator.world.typed import check

Content = Callable[[Mapping[str, Any]], StoredContent]


def dump_kept(files: Iterable[StoredFile], batches: Iterable[StoredBatch]) -> dict[str, object]:
    """Return files and batches as JSON."""
    return {
        "files": [_plain(each) | {"content": dump_content(each.content)} for each in files],
        "batches": [_dump_batch(each) for each in batches],
    }


def _plain(value: Any) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}


def _dump_batch(batch: StoredBatch) -> dict[str, object]:
    end = batch.end
    kept_end = end and (_plain(end) | {"output": end.output and dump_content(end.output)})
    return _plain(batch) | {
        "owner": attrs.asdict(batch.owner),
        "input": batch.input and dump_content(batch.input),
        "plan": attrs.asdict(batch.plan),
        "fate": attrs.asdict(batch.fate),
        "end": kept_end,
    }


def restore_kept(kept: Any, depot: Depot) -> tuple[list[StoredFile], list[StoredBatch]]:
    """Return the files and batches that another process left; raises ValueError, TypeError or LookupError."""
    known: dict[str, StoredContent] = {}  # a file and the batches that need it share their content

    def content(values: Mapping[str, Any]) -> StoredContent:
        name = str(values["file"])
        if name not in known:
            known[name] = restore_content(values, depot, "a file or a batch")
        return known[name]

    files = [StoredFile(**(dict(values) | {"content": content(values["content"])})) for values in kept["files"]]
    return files, [_restored_batch(values, content) for values in kept["batches"]]


def _restored_batch(values: Mapping[str, Any], content: Content) -> StoredBatch:
    plan, end = dict(values["plan"]), values["end"]
    plan["fate"] = JobFate(**plan["fate"])
    plan["error"] = None if plan["error"] is None else tuple(plan["error"])
    parts: dict[str, object] = {
        "owner": Principal(**values["owner"]),
        "input": None if values["input"] is None else content(values["input"]),
        "plan": BatchCourse(**plan),
        "fate": BatchFate(**values["fate"]),
    }
    if end is not None:
        output = None if end["output"] is None else content(end["output"])
        parts["end"] = BatchEnd(**(dict(end) | {"output": output}))
    batch = StoredBatch(**(dict(values) | parts))
    for each in (batch, batch.end, batch.owner):
        if each is not None:
            check(each, *attrs.fields_dict(type(each)))
    if not batch.name.startswith("batches/"):
        raise ValueError(f"{batch.name!r} is not the name of a batch")
    return batch
