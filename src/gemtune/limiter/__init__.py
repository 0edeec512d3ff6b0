"""Who may send now: concurrency, rates, pauses and outages, learned from what the service answers.

``Limiter`` is the only stateful object with a clock; the decisions beside it are pure and take time as an argument. It
stands below ``http``, which asks it for a permit before each attempt. It may import config, protocol and errors.
"""
