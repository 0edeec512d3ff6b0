"""Who may send now: concurrency, rates, pauses and outages, learned from what the service answers.

``Limiter`` is the only object with a clock, and the only one that waits. What it asks is pure and takes time and dice
as arguments: ``control`` (the decisions), ``concurrency``, ``rate``, ``pauses`` (its ledgers), ``ruling`` (what an
error means), ``pace`` (the same for a watcher). The wing stands below ``http``, which asks it for a permit before each
attempt, and below ``watch``; it may import protocol, config and errors.
"""
