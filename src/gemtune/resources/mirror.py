"""The part of a client that mirrors the REST API: each collection a property, each remote method a method of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from gemtune.config import WatchPolicy
from gemtune.http.caller import Caller
from gemtune.resources.models import Models
from gemtune.resources.operations import Operations
from gemtune.resources.permissions import Permissions
from gemtune.resources.tuned_models import TunedModels
from gemtune.settings import Settings

if TYPE_CHECKING:
    from gemtune.protocol.vertex_names import Place
    from gemtune.resources.batches.files import Files
    from gemtune.resources.batches.service import BatchService
    from gemtune.resources.storage import Storage
    from gemtune.resources.vertex.endpoints import Endpoints
    from gemtune.resources.vertex.tuning_jobs import TuningJobs

# What belongs to the one service is loaded when it is asked for, so that who uses the other loads nothing of it.


class Mirror:
    """The collections of the service, as the client offers them."""

    _caller: Caller
    _watch: WatchPolicy
    _settings: Settings

    @property
    def tuned_models(self) -> TunedModels:
        """Tuned models: get, list, update, delete; share them, or on Vertex AI their versions and checkpoints."""
        if self._place is not None:
            from gemtune.resources.vertex.models import VertexTunedModels

            return VertexTunedModels(self._caller, self._place)
        return TunedModels(self._caller)  # made each time: they hold nothing, and a client has no circles to collect

    @property
    def permissions(self) -> Permissions:
        """Permissions on tuned models (Gemini API)."""
        if self._place is not None:
            from gemtune.resources.lacking import without_permissions

            return cast(Permissions, without_permissions())
        return Permissions(self._caller)

    @property
    def operations(self) -> Operations:
        """Long-running operations (Gemini API)."""
        if self._place is not None:
            from gemtune.resources.lacking import without_operations

            return cast(Operations, without_operations())
        return Operations(self._caller, self._watch)

    @property
    def models(self) -> Models:
        """Base models."""
        return Models(self._caller)

    @property
    def tuning_jobs(self) -> TuningJobs:
        """Tuning jobs (Vertex AI): create, get, list, cancel."""
        if self._place is None:
            from gemtune.resources.lacking import without_tuning_jobs

            return cast("TuningJobs", without_tuning_jobs())
        from gemtune.resources.vertex.tuning_jobs import TuningJobs

        return TuningJobs(self._caller, self._place)

    @property
    def endpoints(self) -> Endpoints:
        """Endpoints (Vertex AI): get, list."""
        if self._place is None:
            from gemtune.resources.lacking import without_endpoints

            return cast("Endpoints", without_endpoints())
        from gemtune.resources.vertex.endpoints import Endpoints

        return Endpoints(self._caller, self._place)

    @property
    def storage(self) -> Storage:
        """Training data in Cloud Storage (Vertex AI): check, convert and upload it."""
        if self._place is None:
            from gemtune.resources.lacking import without_storage

            return cast("Storage", without_storage())
        from gemtune.resources.storage import Storage

        return Storage(self._caller, self._settings.bucket)

    @property
    def files(self) -> Files:
        """Files that the service keeps for two days (Gemini API): upload, get, list, delete, download."""
        if self._place is not None:
            from gemtune.resources.lacking import without_files

            return cast("Files", without_files())
        from gemtune.resources.batches.files import Files

        return Files(self._caller)

    @property
    def _place(self) -> Place | None:
        return _place_of(self._settings)


def batches_of(caller: Caller, settings: Settings) -> BatchService:
    """Return the batches of a client's service; whoever makes none loads nothing of them."""
    if (place := _place_of(settings)) is not None:
        from gemtune.resources.batches.vertex import VertexBatches

        return VertexBatches(caller, place, settings.bucket)
    from gemtune.resources.batches.gemini import GeminiBatches

    return GeminiBatches(caller)


def _place_of(settings: Settings) -> Place | None:
    """Return where a client's resources are on Vertex AI; None on the Gemini API."""
    if settings.service != "vertex":
        return None
    from gemtune.protocol.vertex_names import Place

    return Place(settings.project or "", settings.location or "")
