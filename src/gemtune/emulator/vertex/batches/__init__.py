"""Batch prediction: ``batchPredictionJobs``, which read requests from Cloud Storage and write their results there.

A job is a function of time (``world.batches``), but its results are bytes: they are written when they are due, before
anybody may look for them, by the same machine that answers ``generateContent``. One line is in memory at a time. What
is where: ``lines`` reads and writes files, ``job`` is one job, ``shelf`` has them all, ``creation`` refuses, ``calls``
answers.
"""
