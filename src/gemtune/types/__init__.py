"""The values that travel to and from the service, in the API's words; loaded on first use (PEP 562).

All are frozen attrs classes without I/O. ``message`` and ``openenum`` say what they have in common, the other modules
follow the pages of the API. They may import errors and checks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gemtune.types.batches import *
    from gemtune.types.content import *
    from gemtune.types.files import *
    from gemtune.types.generation import *
    from gemtune.types.message import Json as Json
    from gemtune.types.message import Message as Message
    from gemtune.types.models import *
    from gemtune.types.openenum import *
    from gemtune.types.operations import *
    from gemtune.types.permissions import *
    from gemtune.types.reply import *
    from gemtune.types.safety import *
    from gemtune.types.timestamp import *
    from gemtune.types.tools import *
    from gemtune.types.training import *
    from gemtune.types.tuning import *

_HOMES: Final = {
    name: module
    for module, names in {
        "batches": "BatchCounts BatchReply BatchState GenerateContentBatch",
        "content": """
            Blob CodeExecutionResult Content ContentLike ExecutableCode FileData FunctionCall FunctionResponse
            FunctionResponsePart Language Outcome Part Scheduling ServerTool ToolCall ToolResponse VideoMetadata
            to_content to_contents
        """,
        "files": "File FileSource FileState ListFilesResponse",
        "generation": """
            CountTokensRequest GenerateContentRequest GenerationConfig ImageConfig MediaResolution ResponseModality
            ServiceTier ThinkingConfig ThinkingLevel
        """,
        "message": "Json Message",
        "models": "ListModelsResponse Model",
        "openenum": "OpenEnum",
        "operations": "ListOperationsResponse Operation Status",
        "permissions": "GranteeType ListPermissionsResponse Permission Role",
        "reply": """
            Candidate CitationMetadata CitationSource CountTokensResponse FinishReason GenerateContentResponse
            LogprobsCandidate LogprobsResult Modality ModalityTokenCount ModelStage ModelStatus TopCandidates
            UsageMetadata
        """,
        "safety": """
            BlockReason HarmBlockThreshold HarmCategory HarmProbability PromptFeedback SafetyRating SafetySetting
        """,
        "timestamp": "Timestamp",
        "tools": "Behavior FunctionCallingConfig FunctionCallingMode FunctionDeclaration Tool ToolConfig",
        "training": "Checkpoint DataStats DroppedExample SnapshotMetrics",
        "tuning": """
            CreateTunedModelMetadata Hyperparameters ListTunedModelsResponse MeasuredSnapshot ServedModel
            TrainingData TransferOwnershipRequest TunedModel TunedModelSource TunedModelState TuningExample
            TuningExamples TuningSnapshot TuningTask
        """,
    }.items()
    for name in names.split()
}
"""Every public name, and the module that defines it."""

__all__ = sorted(_HOMES)  # noqa: PLE0605 - checkers read the imports above, which they can follow


if not TYPE_CHECKING:  # or a checker would believe every misspelled name

    def __getattr__(name: str) -> Any:
        module = _HOMES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return value


def __dir__() -> list[str]:
    return __all__
