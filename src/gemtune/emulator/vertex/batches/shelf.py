"""What Vertex AI keeps of batch prediction: the jobs by name, and those whose results are still to be written."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, cast

import attrs

from gemtune.emulator.vertex.batches.job import PredictionJob, dump_prediction, restore_prediction
from gemtune.emulator.vertex.batches.lines import write_results
from gemtune.emulator.vertex.shelf import shelf_of
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import Store, WorkingShelf

PREDICTIONS = "vertex_batches"


@attrs.define
class PredictionShelf(WorkingShelf):
    """The jobs by name."""

    settings: Settings
    jobs: dict[str, PredictionJob] = attrs.field(factory=dict, init=False)
    lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _open: dict[str, PredictionJob] = attrs.field(factory=dict, init=False)  # without results so far
    _writing: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def clear(self) -> None:
        self.jobs.clear()
        self._open.clear()

    def add(self, job: PredictionJob) -> None:
        """Keep a job."""
        self.jobs[job.name] = job
        if job.outcome is None:
            self._open[job.name] = job

    def remove(self, job: PredictionJob) -> None:
        """Forget a job; what it has written stays."""
        del self.jobs[job.name]
        self._open.pop(job.name, None)

    def due(self, now: int) -> bool:
        return any(job.is_due(now) for job in list(self._open.values()))

    def work(self, store: Store, now: int) -> None:
        # Whoever comes while a batch is written waits until it is, as nobody may see a batch that is over without it.
        with self._writing:
            for job in [job for job in list(self._open.values()) if job.is_due(now)]:
                job.outcome = write_results(store, job, shelf_of(store).jobs.get)
                self._open.pop(job.name, None)

    def statistics(self, now: int) -> dict[str, object]:
        states = Counter(job.life.state(now) for job in self.jobs.values())
        return {"batch_prediction_jobs": len(self.jobs), "batch_prediction_job_states": dict(states)}

    def dump(self) -> object:
        return [dump_prediction(job) for job in list(self.jobs.values())]

    def restore(self, kept: Any) -> None:
        self.clear()
        for values in kept:
            self.add(restore_prediction(values))


def predictions_of(store: Store) -> PredictionShelf:
    """Return what a store keeps of batch prediction."""
    return cast(PredictionShelf, store.shelves[PREDICTIONS])
