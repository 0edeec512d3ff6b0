"""The part of a client that mirrors the REST API: each collection a property, each remote method a method of it."""

from __future__ import annotations

from gemtune.config import WatchPolicy
from gemtune.http.caller import Caller
from gemtune.resources.models import Models
from gemtune.resources.operations import Operations
from gemtune.resources.permissions import Permissions
from gemtune.resources.tuned_models import TunedModels


class Mirror:
    """The collections of the service, as the client offers them."""

    _caller: Caller
    _watch: WatchPolicy

    @property
    def tuned_models(self) -> TunedModels:
        """Tuned models: get, list, update, delete, share."""
        return TunedModels(self._caller)  # made each time: they hold nothing, and a client has no circles to collect

    @property
    def permissions(self) -> Permissions:
        """Permissions on tuned models."""
        return Permissions(self._caller)

    @property
    def operations(self) -> Operations:
        """Long-running operations."""
        return Operations(self._caller, self._watch)

    @property
    def models(self) -> Models:
        """Base models."""
        return Models(self._caller)
