"""What the Gemini API keeps beside tuned models: files and batches, and the work that a batch leaves to be done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import attrs

from gemtune.emulator.gemini.batches.results import settle
from gemtune.emulator.gemini.batches.shelf import StoredBatch, StoredBatches
from gemtune.emulator.gemini.files.shelf import StoredFile, StoredFiles
from gemtune.emulator.gemini.keeping import dump_kept, restore_kept
from gemtune.emulator.messages.contents import Depot, StoredContent
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store, WorkingShelf

SHELF = "gemini"


@attrs.define(eq=False)
class GeminiShelf(WorkingShelf):
    """Files and batches."""

    settings: Settings
    files: StoredFiles = attrs.field(init=False)
    batches: StoredBatches = attrs.field(factory=StoredBatches, init=False)
    depot: Depot | None = attrs.field(default=None, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.files = StoredFiles(self.settings)

    def due(self, now: int) -> bool:
        return any(batch.is_due(now) for batch in list(self.batches.batches.values())) or any(self.files.expired(now))

    def work(self, store: Store, now: int) -> None:
        with self._lock:
            for batch in list(self.batches.batches.values()):
                if batch.is_due(now):
                    made = settle(store, batch)
                    if made is not None:
                        self.files.files[made.name] = made
                    taken, batch.input = batch.input, None
                    self.let_go(store, taken)
            for found in list(self.files.expired(now)):
                self.remove_file(store, found)

    def remove_file(self, store: Store, found: StoredFile) -> None:
        """Remove a file, and its content unless a batch needs it."""
        if self.files.files.pop(found.name, None) is not None:
            self.let_go(store, found.content)

    def remove_batch(self, store: Store, batch: StoredBatch) -> None:
        """Remove a batch; the file of its results stays until its time is over."""
        del self.batches.batches[batch.name]
        self.let_go(store, batch.input)
        if batch.end is not None:
            self.let_go(store, batch.end.output)

    def let_go(self, store: Store, content: StoredContent | None) -> None:
        """Give up a content that a file or a batch no longer has, unless another one has it still."""
        if content is not None and not any(each is content for each in self.contents() if each is not None):
            store.objects.depot.retire(content)

    def contents(self) -> Iterator[StoredContent]:
        """Return the contents that are kept."""
        yield from (found.content for found in list(self.files.files.values()))
        for batch in list(self.batches.batches.values()):
            if batch.input is not None:
                yield batch.input
            if batch.end is not None and batch.end.output is not None:
                yield batch.end.output

    def clear(self) -> None:
        self.files.files.clear()
        self.files.uploads.clear()
        self.batches.batches.clear()

    def statistics(self, now: int) -> dict[str, object]:
        batches = list(self.batches.batches.values())
        states = Counter(batch.life().state(now) for batch in batches)
        return {"files": len(self.files.files), "batches": len(batches), "batch_states": dict(states)}

    def dump(self) -> object:
        return dump_kept(list(self.files.files.values()), list(self.batches.batches.values()))

    def restore(self, kept: Any) -> None:
        self.clear()
        if self.depot is None:
            raise ValueError("nobody has said where its contents are")
        files, batches = restore_kept(kept, self.depot)
        self.files.files.update((each.name, each) for each in files)
        self.batches.batches.update((each.name, each) for each in batches)


def shelf_of(store: Store) -> GeminiShelf:
    """Return what the Gemini API keeps."""
    return cast(GeminiShelf, store.shelves[SHELF])
