"""The enums of the Gemini API: names and numbers, as in their ``.proto`` files."""

from __future__ import annotations

__all__ = ["ENUMS"]


def _enum(names: str, **numbers: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split())} | numbers


ENUMS: dict[str, dict[str, int]] = {
    "TunedModelState": _enum("STATE_UNSPECIFIED CREATING ACTIVE FAILED"),
    "GranteeType": _enum("GRANTEE_TYPE_UNSPECIFIED USER GROUP EVERYONE"),
    "Role": _enum("ROLE_UNSPECIFIED OWNER WRITER READER"),
    "HarmCategory": {
        f"HARM_CATEGORY_{name}": number
        for number, name in enumerate(
            "UNSPECIFIED DEROGATORY TOXICITY VIOLENCE SEXUAL MEDICAL DANGEROUS HARASSMENT HATE_SPEECH "
            "SEXUALLY_EXPLICIT DANGEROUS_CONTENT CIVIC_INTEGRITY".split()
        )
    },
    "HarmProbability": _enum("HARM_PROBABILITY_UNSPECIFIED NEGLIGIBLE LOW MEDIUM HIGH"),
    "HarmBlockThreshold": _enum(
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"
    ),
    "FinishReason": _enum(
        "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII "
        "MALFORMED_FUNCTION_CALL IMAGE_SAFETY UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS IMAGE_PROHIBITED_CONTENT "
        "IMAGE_OTHER NO_IMAGE IMAGE_RECITATION"
    ),
    "BlockReason": _enum("BLOCK_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT IMAGE_SAFETY"),
    "Modality": _enum("MODALITY_UNSPECIFIED TEXT IMAGE VIDEO AUDIO DOCUMENT"),
    "ResponseModality": _enum("MODALITY_UNSPECIFIED TEXT IMAGE AUDIO"),
    "MediaResolution": _enum(
        "MEDIA_RESOLUTION_UNSPECIFIED MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH"
    ),
    "BatchState": {
        f"BATCH_STATE_{name}": number
        for number, name in enumerate(
            "UNSPECIFIED PENDING RUNNING SUCCEEDED FAILED CANCELLED EXPIRED".split()
        )
    },
}
