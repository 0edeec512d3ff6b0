"""The followers of one client: one for each job of which there is a handle, shared by all handles on it.

Weak on both sides: a client that has seen ten thousand jobs knows those of which somebody holds a handle, and the jobs
of the watchers that are still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet, WeakValueDictionary

import attrs

from gemtune.config import WatchPolicy
from gemtune.events import Deleted, Event, Lost
from gemtune.looks.follower import Follower
from gemtune.looks.known import KnownJob
from gemtune.looks.reporting import JobObserver
from gemtune.looks.service import JobService
from gemtune.looks.turns import Turns
from gemtune.story.history import History
from gemtune.story.observation import NOTHING, About, Observation


class Histories(Protocol):
    """Somebody who keeps histories of many jobs: a watcher's board."""

    def history_of(self, name: str) -> History | None:
        """Return the history of a job, if it is watched."""
        ...


@attrs.define(eq=False)
class Followers:
    """Finds the follower of a job, and brings it what watchers learn.

    Args:
        service: The service that runs the jobs.
        policy: How often to look.
        observer: Is told what handles and watchers learn, if the client is observed.
    """

    service: JobService
    policy: WatchPolicy
    observer: JobObserver | None = None
    _by_name: WeakValueDictionary[str, Follower] = attrs.field(factory=WeakValueDictionary, init=False)
    _turns: Turns = attrs.field(default=attrs.Factory(lambda self: Turns(self.policy), takes_self=True), init=False)
    _watchers: WeakSet[Histories] = attrs.field(factory=WeakSet, init=False)

    def find(self, job: str, work: str | None = None) -> Follower:
        """Return the follower of a job of which the name is known; nothing is asked."""
        follower = self._by_name.get(job)
        # Of a job that could not be seen, or was deleted, there may be something new to see under its name.
        if follower is None or isinstance(follower.known.history.outcome, Lost | Deleted):
            follower = Follower.attach(self.service, self.policy, job, work, self.observer).among(self._turns)
            self._by_name[job] = follower
            for watcher in self._watchers:
                history = watcher.history_of(job)
                if history is not None and not isinstance(history.outcome, Lost | Deleted):
                    follower.known.saw(history)
        return follower

    def created(self, seen: Observation) -> Follower:
        """Return the follower of a job that was created or adopted just now, from what the answer shows of it."""
        follower = Follower.created(self.service, self.policy, seen, self.observer).among(self._turns)
        self._by_name[follower.history.name] = follower
        return follower

    def about(self, name: str) -> About:
        """Return what is known of a job from its handles, such as from its creation."""
        follower = self._by_name.get(name)
        return follower.known.about if follower is not None else NOTHING

    def join(self, watcher: Histories) -> None:
        """Have handles know what a watcher knows, for as long as it is there."""
        self._watchers.add(watcher)

    def known(self, history: History) -> KnownJob:
        """Return what anybody knows of a job, if there is a handle on it, or else what a watcher's history does."""
        follower = self._by_name.get(history.name)
        return follower.known if follower is not None else KnownJob(history)

    def saw(self, history: History, reported: Sequence[Event]) -> None:
        """Take in what a watcher has seen of a job."""
        if self.observer is not None:
            self.observer.saw(history, reported)
        if (follower := self._by_name.get(history.name)) is not None:
            follower.known.saw(history)
