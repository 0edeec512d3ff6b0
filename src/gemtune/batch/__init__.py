"""The batch inferencer: prompts in, answers out, as fast as the quota allows, and none twice."""

from gemtune.batch.inferencer import Batch, make_batch
from gemtune.batch.journal.export import export_journal, read_journal
from gemtune.batch.planning.plan import BatchPlan
from gemtune.batch.planning.prices import TokenPrices
from gemtune.batch.progress import BatchStatistics
from gemtune.batch.result import BatchResult, BatchResults
from gemtune.limiter.limiter import Limiter, LimiterStatistics
from gemtune.resources.given import BatchOptions

__all__ = [
    "Batch",
    "BatchOptions",
    "BatchPlan",
    "BatchResult",
    "BatchResults",
    "BatchStatistics",
    "Limiter",
    "LimiterStatistics",
    "TokenPrices",
    "export_journal",
    "make_batch",
    "read_journal",
]
