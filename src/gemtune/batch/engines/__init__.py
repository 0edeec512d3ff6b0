"""What answers the items of a batch: this process, with one call for each, or the service, in batches that it runs.

An engine takes items from an intake, brings an outcome for each, and puts it into the journal and the outbox. What all
engines share is in ``run``. It may import everything of ``batch`` but ``inferencer``, ``options`` and ``planning``,
which choose it.
"""
