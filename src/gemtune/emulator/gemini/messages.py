"""The messages and enums of the Gemini API.

Source: googleapis/googleapis, ``google/ai/generativelanguage/v1beta``. The order of the ``v1main.GenerateContentBatch``
fields is taken from captured bodies, because its proto is not public.
"""

from __future__ import annotations

from gemtune.emulator.messages.schema import COMMON, Schema


def _enum(names: str, prefix: str = "") -> dict[str, int]:
    return {prefix + name: number for number, name in enumerate(names.split())}


_ENUMS: dict[str, dict[str, int]] = {
    "TunedModelState": _enum("STATE_UNSPECIFIED CREATING ACTIVE FAILED"),
    "GranteeType": _enum("GRANTEE_TYPE_UNSPECIFIED USER GROUP EVERYONE"),
    "Role": _enum("ROLE_UNSPECIFIED OWNER WRITER READER"),
    "HarmCategory": _enum(
        "UNSPECIFIED DEROGATORY TOXICITY VIOLENCE SEXUAL MEDICAL DANGEROUS HARASSMENT HATE_SPEECH SEXUALLY_EXPLICIT "
        "DANGEROUS_CONTENT CIVIC_INTEGRITY",
        prefix="HARM_CATEGORY_",
    ),
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
    "FileState": _enum("STATE_UNSPECIFIED PROCESSING ACTIVE") | {"FAILED": 10},
    "FileSource": _enum("SOURCE_UNSPECIFIED UPLOADED GENERATED REGISTERED"),
    "BatchState": _enum("UNSPECIFIED PENDING RUNNING SUCCEEDED FAILED CANCELLED EXPIRED", prefix="BATCH_STATE_"),
}

SCHEMA = Schema.parse(
    "google.ai.generativelanguage.v1beta",
    """
TunedModel
1 string name
3 TunedModelSource tuned_model_source |source_model
4 string base_model |source_model
5 string display_name
6 string description
7 TunedModelState state
8 Timestamp create_time
9 Timestamp update_time
10 TuningTask tuning_task
11 float? temperature
12 float? top_p
13 int32? top_k
14 int64* reader_project_numbers

TunedModelSource
1 string tuned_model
2 string base_model

TuningTask
1 Timestamp start_time
2 Timestamp complete_time
3 TuningSnapshot* snapshots
4 Dataset training_data
5 Hyperparameters hyperparameters

Hyperparameters
14 int32? epoch_count
15 int32? batch_size
16 float learning_rate |learning_rate_option
17 float learning_rate_multiplier |learning_rate_option

Dataset
1 TuningExamples examples |dataset

TuningExamples
1 TuningExample* examples

TuningExample
1 string text_input |model_input
3 string output

TuningSnapshot
1 int32 step
2 int32 epoch
3 float mean_loss
4 Timestamp compute_time

CreateTunedModelMetadata
1 int32 total_steps
2 int32 completed_steps
3 float completed_percent
4 TuningSnapshot* snapshots
5 string tuned_model

ListTunedModelsResponse
1 TunedModel* tuned_models
2 string next_page_token

TransferOwnershipRequest
1 string name
2 string email_address

Permission
1 string name
2 GranteeType? grantee_type
3 string? email_address
4 Role? role

ListPermissionsResponse
1 Permission* permissions
2 string next_page_token

Model
1 string name
2 string base_model_id
3 string version
4 string display_name
5 string description
6 int32 input_token_limit
7 int32 output_token_limit
8 string* supported_generation_methods
9 float? temperature
10 float? top_p
11 int32? top_k
13 float? max_temperature
15 bool thinking

ListModelsResponse
1 Model* models
2 string next_page_token

GenerateContentRequest
1 string model
2 Content* contents
3 SafetySetting* safety_settings
4 GenerationConfig generation_config
5 Json tools
7 Json tool_config
8 Content system_instruction
9 string? cached_content
10 string service_tier
11 bool store

Content
1 Part* parts
2 string role

Part
2 string text |data
3 Blob inline_data |data
4 Json function_call |data
5 Json function_response |data
6 FileData file_data |data
8 Json part_metadata
9 Json executable_code |data
10 Json code_execution_result |data
11 bool thought
13 bytes thought_signature
14 Json video_metadata |metadata
15 Json media_resolution
16 Json tool_call |data
17 Json tool_response |data

Blob
1 string mime_type
2 bytes data

FileData
1 string mime_type
2 string file_uri

SafetySetting
3 HarmCategory category
4 HarmBlockThreshold threshold

GenerationConfig
1 int32? candidate_count
2 string* stop_sequences
4 int32? max_output_tokens
5 float? temperature
6 float? top_p
7 int32? top_k
8 int32? seed
13 string response_mime_type
14 Json response_schema
15 float? presence_penalty
16 float? frequency_penalty
17 bool? response_logprobs
18 int32? logprobs
19 bool? enable_enhanced_civic_answers
20 ResponseModality* response_modalities
21 Json speech_config
22 Json thinking_config
23 MediaResolution? media_resolution
24 Json response_json_schema
27 Json image_config
28 Json _response_json_schema
29 Json response_format
30 Json translation_config

GenerateContentResponse
1 Candidate* candidates
2 PromptFeedback prompt_feedback
3 UsageMetadata usage_metadata
4 string model_version
5 string response_id
6 Json model_status

Candidate
1 Content content
2 FinishReason finish_reason
3 int32? index
4 string? finish_message
5 SafetyRating* safety_ratings
6 Json citation_metadata
7 int32 token_count
10 double avg_logprobs

SafetyRating
3 HarmCategory category
4 HarmProbability probability
5 bool blocked

PromptFeedback
1 BlockReason block_reason
2 SafetyRating* safety_ratings

UsageMetadata
1 int32 prompt_token_count
2 int32 candidates_token_count
3 int32 total_token_count
4 int32 cached_content_token_count
5 ModalityTokenCount* prompt_tokens_details
7 ModalityTokenCount* candidates_tokens_details

ModalityTokenCount
1 Modality modality
2 int32 token_count

CountTokensRequest
1 string model
2 Content* contents
3 GenerateContentRequest generate_content_request

CountTokensResponse
1 int32 total_tokens
5 int32 cached_content_token_count
6 ModalityTokenCount* prompt_tokens_details

GenerateContentBatch
1 string model
2 string display_name
3 InputConfig input_config
4 Json output
5 Timestamp create_time
6 Timestamp end_time
7 Timestamp update_time
8 BatchStats batch_stats
9 BatchState state
10 string name
11 int64 priority

BatchGenerateContentRequest
1 string model
2 GenerateContentBatch batch

InputConfig
1 InlinedRequests requests |source
2 string file_name |source

InlinedRequests
1 InlinedRequest* requests

InlinedRequest
1 Json request
2 Json metadata

BatchStats
1 int64 request_count
2 int64 successful_request_count
3 int64 failed_request_count
4 int64 pending_request_count

File
1 string name
2 string display_name
3 string mime_type
4 int64 size_bytes
5 Timestamp create_time
6 Timestamp update_time
7 Timestamp expiration_time
8 bytes sha256_hash
9 string uri
10 FileState state
11 Status error
12 Json video_metadata
13 FileSource source
15 string download_uri

CreateFileRequest
1 File file

CreateFileResponse
1 File file

ListFilesResponse
1 File* files
2 string next_page_token
""",
    _ENUMS,
    COMMON,
)
