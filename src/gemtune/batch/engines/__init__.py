"""What answers the items of a batch: today this process, with one call for each item.

An engine takes items from an intake, brings an outcome for each, and puts it into the journal and the outbox. It may
import everything of ``batch`` but ``inferencer`` and ``options``, which choose it.
"""
