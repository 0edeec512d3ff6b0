"""The messages and enums of Vertex AI.

Source: the discovery documents of v1 and v1beta1, revision 20261106; field order from ``google/cloud/aiplatform`` and
from observed bodies. A field that is newer than the published protos stands behind the others. ``v1`` is a part of
``v1beta1``, so that there is one table: a field marked ``BETA`` is missing in ``v1``, in requests and in replies.
"""

from __future__ import annotations

from gemtune.emulator.messages.schema import COMMON, Schema
from gemtune.emulator.vertex.messages.batches import BATCHES
from gemtune.emulator.vertex.messages.inference import INFERENCE
from gemtune.emulator.vertex.messages.metrics import METRICS
from gemtune.emulator.vertex.messages.tuning import TUNING


def _enum(names: str, prefix: str = "") -> dict[str, int]:
    return {prefix + name: number for number, name in enumerate(names.split())}


_ENUMS: dict[str, dict[str, int]] = {
    "JobState": _enum(
        "UNSPECIFIED QUEUED PENDING RUNNING SUCCEEDED FAILED CANCELLING CANCELLED PAUSED EXPIRED UPDATING "
        "PARTIALLY_SUCCEEDED",
        prefix="JOB_STATE_",
    ),
    "TuningJobState": _enum(
        "UNSPECIFIED WAITING_FOR_QUOTA PROCESSING_DATASET WAITING_FOR_CAPACITY TUNING POST_PROCESSING",
        prefix="TUNING_JOB_STATE_",
    ),
    "AdapterSize": {
        "ADAPTER_SIZE_UNSPECIFIED": 0, "ADAPTER_SIZE_ONE": 1, "ADAPTER_SIZE_TWO": 6, "ADAPTER_SIZE_FOUR": 2,
        "ADAPTER_SIZE_EIGHT": 3, "ADAPTER_SIZE_SIXTEEN": 4, "ADAPTER_SIZE_THIRTY_TWO": 5,
    },
    "TuningMode": _enum("UNSPECIFIED FULL PEFT_ADAPTER", prefix="TUNING_MODE_"),
    "ValueType": _enum("VALUE_TYPE_UNSPECIFIED SCALAR TENSOR BLOB_SEQUENCE"),
    "HarmCategory": _enum(
        "UNSPECIFIED HATE_SPEECH DANGEROUS_CONTENT HARASSMENT SEXUALLY_EXPLICIT CIVIC_INTEGRITY IMAGE_HATE "
        "IMAGE_DANGEROUS_CONTENT IMAGE_HARASSMENT IMAGE_SEXUALLY_EXPLICIT JAILBREAK",
        prefix="HARM_CATEGORY_",
    ),
    "HarmProbability": _enum("HARM_PROBABILITY_UNSPECIFIED NEGLIGIBLE LOW MEDIUM HIGH"),
    "HarmSeverity": _enum("UNSPECIFIED NEGLIGIBLE LOW MEDIUM HIGH", prefix="HARM_SEVERITY_"),
    "HarmBlockThreshold": _enum(
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"
    ),
    "FinishReason": _enum(
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER BLOCKLIST PROHIBITED_CONTENT SPII "
        "MALFORMED_FUNCTION_CALL MODEL_ARMOR IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION IMAGE_OTHER "
        "UNEXPECTED_TOOL_CALL NO_IMAGE MALFORMED_RESPONSE CONTINUATION TOO_MANY_TOOL_CALLS"
    ),
    "BlockedReason": _enum(
        "BLOCKED_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT MODEL_ARMOR IMAGE_SAFETY JAILBREAK"
    ),
    "Modality": _enum("MODALITY_UNSPECIFIED TEXT IMAGE VIDEO AUDIO DOCUMENT"),
    "TrafficType": _enum(
        "TRAFFIC_TYPE_UNSPECIFIED ON_DEMAND PROVISIONED_THROUGHPUT ON_DEMAND_PRIORITY ON_DEMAND_FLEX ON_DEMAND_OFFPEAK"
    ),
    "ResponseModality": _enum("MODALITY_UNSPECIFIED TEXT IMAGE AUDIO VIDEO"),
    "MediaResolution": _enum(
        "MEDIA_RESOLUTION_UNSPECIFIED MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH"
    ),
}  # fmt: skip
_TABLE = "\n\n".join(table.strip() for table in (TUNING, BATCHES, METRICS, INFERENCE))
_BETA = " BETA"


def _version(version: str) -> Schema:
    lines = (line for line in _TABLE.splitlines() if version == "v1beta1" or not line.endswith(_BETA))
    table = "\n".join(line.removesuffix(_BETA) for line in lines)
    return Schema.parse(f"google.cloud.aiplatform.{version}", table, _ENUMS, COMMON)


SCHEMAS = {version: _version(version) for version in ("v1", "v1beta1")}
