"""Inference: what is asked and answered.

A table, as ``messages.Schema`` reads it; ``BETA`` marks what only v1beta1 has.
"""

INFERENCE = """
VertexContent
1 string role
2 VertexPart* parts

VertexPart
1 string text |data
2 Json inline_data |data
3 Json file_data |data
5 Json function_call |data
6 Json function_response |data
7 Json executable_code |data
8 Json code_execution_result |data
4 Json video_metadata |metadata
10 bool thought
11 bytes thought_signature
12 Json media_resolution
13 Json audio_transcription
14 Json speech_metadata

VertexGenerateRequest
2 VertexContent* contents
3 VertexSafetySetting* safety_settings
4 VertexGenerationConfig generation_config
5 string model
6 Json* tools
7 Json tool_config
8 VertexContent system_instruction
9 string cached_content
10 Labels labels
11 Json model_armor_config
12 bytes continuation_token
13 Json output_config

VertexSafetySetting
1 HarmCategory category
2 HarmBlockThreshold threshold
4 Json method

VertexGenerationConfig
1 float? temperature
2 float? top_p
3 float? top_k
4 int32? candidate_count
5 int32? max_output_tokens
6 string* stop_sequences
7 int32? logprobs
8 float? presence_penalty
9 float? frequency_penalty
12 int32? seed
13 string response_mime_type
16 Json response_schema
18 bool? response_logprobs
19 Json routing_config
20 bool? audio_timestamp
21 ResponseModality* response_modalities
22 MediaResolution? media_resolution
23 Json speech_config
25 Json thinking_config
28 Json response_json_schema
29 bool? enable_affective_dialog
30 Json image_config
31 Json* response_format
32 Json translation_config
33 Json audio_transcription_config

VertexGenerateResponse
2 VertexCandidate* candidates
3 VertexPromptFeedback prompt_feedback
4 VertexUsage usage_metadata
11 string model_version
12 Timestamp create_time
13 string response_id

VertexCandidate
1 int32? index
2 VertexContent content
3 FinishReason finish_reason
4 VertexSafetyRating* safety_ratings
5 string? finish_message
6 Json citation_metadata
9 double avg_logprobs

VertexSafetyRating
1 HarmCategory category
2 HarmProbability probability
5 float probability_score
6 HarmSeverity severity
7 float severity_score
3 bool blocked

VertexPromptFeedback
1 BlockedReason block_reason
2 VertexSafetyRating* safety_ratings
3 string block_reason_message

VertexUsage
1 int32 prompt_token_count
2 int32 candidates_token_count
3 int32 total_token_count
5 int32 cached_content_token_count
8 TrafficType traffic_type
9 VertexModalityCount* prompt_tokens_details
11 VertexModalityCount* candidates_tokens_details

VertexModalityCount
1 Modality modality
2 int32 token_count

VertexCountRequest
1 string model
2 Json* instances
4 VertexContent* contents
5 VertexContent system_instruction
6 Json* tools
7 VertexGenerationConfig generation_config

VertexCountResponse
1 int32 total_tokens
2 int32 total_billable_characters
3 VertexModalityCount* prompt_tokens_details

PublisherModel
1 string name
2 string version_id

ListPublisherModelsResponse
1 PublisherModel* publisher_models
2 string next_page_token
"""
