"""Handles on jobs that run on the service: for tuning (``tuning``), and batches (``batch``).

What all handles have stands in ``handle``, and what awaiting a job raises in ``outcomes``. They are handed a follower
(``gemtune.looks``), which makes the looks while somebody waits. This wing may import the looks and everything below
them, and of its neighbour ``gemtune.batch`` the value that a result is. It may wait, and owns no task.
"""

from gemtune.jobs.tuning import TuningJob as TuningJob
from gemtune.jobs.tuning import TuningProgress as TuningProgress

__all__ = ["TuningJob", "TuningProgress"]
