"""The validation data of a project's jobs: what their models are asked later has known answers."""

from __future__ import annotations

from typing import Any

import attrs

from gemtune.emulator.vertex.data.reading import TuningData
from gemtune.emulator.world.recall.rows import KnownRows
from gemtune.emulator.world.typed import is_argument

MOST_SETS = 16  # of a project; each may have some megabytes


@attrs.define(repr=False)
class HeldOutData:
    """The newest sets of each project, by their key."""

    _projects: dict[str, dict[str, TuningData]] = attrs.field(factory=dict, init=False)

    def learn(self, project: str, key: str, data: TuningData) -> None:
        """Take a set for the newest of its project, and forget the oldest if there are too many."""
        mine = self._projects.setdefault(project, {})
        mine.pop(key, None)
        mine[key] = data
        if len(mine) > MOST_SETS:
            del mine[next(iter(mine))]

    def find(self, key: str) -> TuningData | None:
        """Return a set that some project has."""
        return next((mine[key] for mine in list(self._projects.values()) if key in mine), None)

    def known(self, project: str) -> tuple[KnownRows, ...]:
        """Return the right answers that a project's sets have, the newest first."""
        return tuple(data.known for data in reversed(list(self._projects.get(project, {}).values())))

    def clear(self) -> None:
        """Forget everything."""
        self._projects.clear()

    def dump(self) -> dict[str, dict[str, Any]]:
        """Return all of it as JSON; newest last."""
        return {
            project: {key: attrs.asdict(data, filter=is_argument) for key, data in mine.items()}
            for project, mine in self._projects.items()
        }

    def restore(self, kept: dict[str, dict[str, Any]]) -> None:
        """Take over what another process left; raises ValueError, TypeError or LookupError if it is damaged."""
        self.clear()
        for project, mine in kept.items():
            for key, values in mine.items():
                self.learn(project, key, TuningData(**values))
