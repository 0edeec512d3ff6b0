"""Batches of Vertex AI."""

from __future__ import annotations

from gemtune.http.caller import Caller
from gemtune.protocol.vertex_names import Place
from gemtune.resources.lacking import Lacking


class VertexBatches(Lacking):
    """``BatchService`` of Vertex AI: to come.

    Args:
        caller: Carries out the calls.
        place: Project and location.
        bucket: The client's bucket.
    """

    def __init__(self, caller: Caller, place: Place, bucket: str | None) -> None:  # noqa: ARG002
        super().__init__("this version of gemtune does not make batches on Vertex AI")
