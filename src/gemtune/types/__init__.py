"""The values that travel to and from the service, in the API's words; loaded on first use (PEP 562)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemtune.types.content import (
        Blob,
        CodeExecutionResult,
        Content,
        ContentLike,
        ExecutableCode,
        FileData,
        FunctionCall,
        FunctionResponse,
        FunctionResponsePart,
        Language,
        Outcome,
        Part,
        Scheduling,
        ServerTool,
        ToolCall,
        ToolResponse,
        VideoMetadata,
        to_content,
        to_contents,
    )
    from gemtune.types.generation import (
        CountTokensRequest,
        GenerateContentRequest,
        GenerationConfig,
        ImageConfig,
        MediaResolution,
        ResponseModality,
        ServiceTier,
        ThinkingConfig,
        ThinkingLevel,
    )
    from gemtune.types.message import (
        Json,
        Message,
    )
    from gemtune.types.models import (
        ListModelsResponse,
        Model,
    )
    from gemtune.types.openenum import (
        OpenEnum,
    )
    from gemtune.types.operations import (
        ListOperationsResponse,
        Operation,
        Status,
    )
    from gemtune.types.permissions import (
        GranteeType,
        ListPermissionsResponse,
        Permission,
        Role,
    )
    from gemtune.types.reply import (
        Candidate,
        CitationMetadata,
        CitationSource,
        CountTokensResponse,
        FinishReason,
        GenerateContentResponse,
        LogprobsCandidate,
        LogprobsResult,
        Modality,
        ModalityTokenCount,
        ModelStage,
        ModelStatus,
        TopCandidates,
        UsageMetadata,
    )
    from gemtune.types.safety import (
        BlockReason,
        HarmBlockThreshold,
        HarmCategory,
        HarmProbability,
        PromptFeedback,
        SafetyRating,
        SafetySetting,
    )
    from gemtune.types.timestamp import (
        Timestamp,
    )
    from gemtune.types.tools import (
        Behavior,
        FunctionCallingConfig,
        FunctionCallingMode,
        FunctionDeclaration,
        Tool,
        ToolConfig,
    )
    from gemtune.types.tuning import (
        CreateTunedModelMetadata,
        Hyperparameters,
        ListTunedModelsResponse,
        TrainingData,
        TransferOwnershipRequest,
        TunedModel,
        TunedModelSource,
        TunedModelState,
        TuningExample,
        TuningExamples,
        TuningSnapshot,
        TuningTask,
    )

__all__ = [
    "Behavior",
    "Blob",
    "BlockReason",
    "Candidate",
    "CitationMetadata",
    "CitationSource",
    "CodeExecutionResult",
    "Content",
    "ContentLike",
    "CountTokensRequest",
    "CountTokensResponse",
    "CreateTunedModelMetadata",
    "ExecutableCode",
    "FileData",
    "FinishReason",
    "FunctionCall",
    "FunctionCallingConfig",
    "FunctionCallingMode",
    "FunctionDeclaration",
    "FunctionResponse",
    "FunctionResponsePart",
    "GenerateContentRequest",
    "GenerateContentResponse",
    "GenerationConfig",
    "GranteeType",
    "HarmBlockThreshold",
    "HarmCategory",
    "HarmProbability",
    "Hyperparameters",
    "ImageConfig",
    "Json",
    "Language",
    "ListModelsResponse",
    "ListOperationsResponse",
    "ListPermissionsResponse",
    "ListTunedModelsResponse",
    "LogprobsCandidate",
    "LogprobsResult",
    "MediaResolution",
    "Message",
    "Modality",
    "ModalityTokenCount",
    "Model",
    "ModelStage",
    "ModelStatus",
    "OpenEnum",
    "Operation",
    "Outcome",
    "Part",
    "Permission",
    "PromptFeedback",
    "ResponseModality",
    "Role",
    "SafetyRating",
    "SafetySetting",
    "Scheduling",
    "ServerTool",
    "ServiceTier",
    "Status",
    "ThinkingConfig",
    "ThinkingLevel",
    "Timestamp",
    "Tool",
    "ToolCall",
    "ToolConfig",
    "ToolResponse",
    "TopCandidates",
    "TrainingData",
    "TransferOwnershipRequest",
    "TunedModel",
    "TunedModelSource",
    "TunedModelState",
    "TuningExample",
    "TuningExamples",
    "TuningSnapshot",
    "TuningTask",
    "UsageMetadata",
    "VideoMetadata",
    "to_content",
    "to_contents",
]

_HOMES = {
    "content": """
        Blob CodeExecutionResult Content ContentLike ExecutableCode FileData FunctionCall
        FunctionResponse FunctionResponsePart Language Outcome Part Scheduling ServerTool ToolCall
        ToolResponse VideoMetadata to_content to_contents
    """,
    "generation": """
        CountTokensRequest GenerateContentRequest GenerationConfig ImageConfig MediaResolution
        ResponseModality ServiceTier ThinkingConfig ThinkingLevel
    """,
    "message": "Json Message",
    "models": "ListModelsResponse Model",
    "openenum": "OpenEnum",
    "operations": "ListOperationsResponse Operation Status",
    "permissions": "GranteeType ListPermissionsResponse Permission Role",
    "reply": """
        Candidate CitationMetadata CitationSource CountTokensResponse FinishReason
        GenerateContentResponse LogprobsCandidate LogprobsResult Modality ModalityTokenCount ModelStage
        ModelStatus TopCandidates UsageMetadata
    """,
    "safety": """
        BlockReason HarmBlockThreshold HarmCategory HarmProbability PromptFeedback SafetyRating
        SafetySetting
    """,
    "timestamp": "Timestamp",
    "tools": "Behavior FunctionCallingConfig FunctionCallingMode FunctionDeclaration Tool ToolConfig",
    "tuning": """
        CreateTunedModelMetadata Hyperparameters ListTunedModelsResponse TrainingData
        TransferOwnershipRequest TunedModel TunedModelSource TunedModelState TuningExample
        TuningExamples TuningSnapshot TuningTask
    """,
}


def __getattr__(name: str) -> Any:
    """Load the module that holds a public name."""
    for module, names in _HOMES.items():
        if name in names.split():
            value = getattr(importlib.import_module(f"gemtune.types.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
