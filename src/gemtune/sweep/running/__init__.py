"""A sweep while it runs: what is known of its points, what is decided, and the one task group that carries it out.

::

    planning ── what next ──> creating ──> job ──> following ──> rules ──> stopping
    budget, quota ┘                                    └──> scoring ──> the source of the next point

``planning``, ``budget`` and ``quota`` decide and wait for nothing: time and dice are arguments. ``record`` and
``board`` hold what is known. The others wait, each in a task of the runner's group, and are cancelled with it; nothing
that they leave undone is lost, because the journal has what they were about to do.
"""

from __future__ import annotations
