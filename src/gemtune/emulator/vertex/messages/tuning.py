"""Tuning jobs, their data, and the models and endpoints that come of them.

A table, as ``messages.Schema`` reads it; ``BETA`` marks what only v1beta1 has.
"""

TUNING = """
TuningJob
1 string name
2 string tuned_model_display_name
3 string description
4 string base_model |source_model
5 SupervisedTuningSpec supervised_tuning_spec |tuning_spec
6 JobState state
7 Timestamp create_time
8 Timestamp start_time
9 Timestamp end_time
10 Timestamp update_time
11 Status error
12 Labels labels
13 string experiment
14 VertexTunedModel tuned_model
15 TuningDataStats tuning_data_stats
16 EncryptionSpec encryption_spec
17 Json distillation_spec |tuning_spec BETA
18 string pipeline_job BETA
21 Json partner_model_tuning_spec |tuning_spec BETA
22 string service_account
25 string output_uri BETA
26 string custom_base_model BETA
31 PreTunedModel pre_tuned_model |source_model
32 Json* evaluate_dataset_runs
33 Json veo_tuning_spec |tuning_spec BETA
38 Json veo_lora_tuning_spec |tuning_spec BETA
101 PreferenceOptimizationSpec preference_optimization_spec |tuning_spec
102 Json reinforcement_tuning_spec |tuning_spec BETA
103 Json full_fine_tuning_spec |tuning_spec BETA
104 string gcs_metrics_uri
105 TuningJobState tuning_job_state BETA
106 TuningJobMetadata tuning_job_metadata BETA

SupervisedTuningSpec
1 string training_dataset_uri
2 string validation_dataset_uri
3 SupervisedHyperParameters hyper_parameters
6 bool export_last_checkpoint_only
7 Json evaluation_config
8 TuningMode tuning_mode BETA

SupervisedHyperParameters
1 int64 epoch_count
2 double learning_rate_multiplier
3 AdapterSize adapter_size
6 double learning_rate BETA
7 int64 batch_size BETA

PreferenceOptimizationSpec
1 string training_dataset_uri
2 string validation_dataset_uri
3 PreferenceOptimizationHyperParameters hyper_parameters
4 bool export_last_checkpoint_only

PreferenceOptimizationHyperParameters
1 int64 epoch_count
2 double learning_rate_multiplier
3 AdapterSize adapter_size
4 double beta

EncryptionSpec
1 string kms_key_name

PreTunedModel
1 string tuned_model_name
2 string checkpoint_id
3 string base_model

VertexTunedModel
1 string model
2 string endpoint
3 TunedModelCheckpoint* checkpoints

TunedModelCheckpoint
1 string checkpoint_id
2 int64 epoch
3 int64 step
4 string endpoint

TuningJobMetadata
1 int64 completed_epoch_count
2 int64 completed_step_count

TuningDataStats
1 SupervisedTuningDataStats supervised_tuning_data_stats |stats
3 PreferenceOptimizationDataStats preference_optimization_data_stats |stats

SupervisedTuningDataStats
1 int64 tuning_dataset_example_count
2 int64 total_tuning_character_count
4 int64 tuning_step_count
5 SupervisedDistribution user_input_token_distribution
6 SupervisedDistribution user_output_token_distribution
7 SupervisedDistribution user_message_per_example_distribution
8 VertexContent* user_dataset_examples
9 int64 total_billable_token_count
10 int64 total_truncated_example_count
11 int64* truncated_example_indices
12 string* dropped_example_reasons

SupervisedDistribution
1 int64 sum
2 int64 billable_sum
3 double min
4 double max
5 double mean
6 double median
7 double p5
8 double p95
9 SupervisedBucket* buckets

SupervisedBucket
1 double count
2 double left
3 double right

PreferenceOptimizationDataStats
1 int64 tuning_dataset_example_count
2 int64 total_billable_token_count
3 int64 tuning_step_count
4 PreferenceDistribution user_input_token_distribution
5 PreferenceDistribution user_output_token_distribution
6 Json* user_dataset_examples
7 PreferenceDistribution scores_distribution
8 PreferenceDistribution score_variance_per_example_distribution
9 int64* dropped_example_indices
10 string* dropped_example_reasons

PreferenceDistribution
1 double sum
2 double min
3 double max
4 double mean
5 double median
6 double p5
7 double p95
8 PreferenceBucket* buckets

PreferenceBucket
1 int64 count
2 double left
3 double right

ListTuningJobsResponse
1 TuningJob* tuning_jobs
2 string next_page_token

VertexModel
1 string name
2 string display_name
3 string description
5 Json supported_deployment_resources_types
14 Timestamp create_time
15 Timestamp update_time
16 DeployedModelRef* deployed_models
17 Labels labels
24 EncryptionSpec encryption_spec
28 string version_id
29 string* version_aliases
31 Timestamp version_create_time
32 Timestamp version_update_time
50 Json model_source_info
54 string default_checkpoint_id
57 ModelCheckpoint* checkpoints

DeployedModelRef
1 string endpoint
2 string deployed_model_id
3 string checkpoint_id

ModelCheckpoint
1 string checkpoint_id
2 int64 epoch
3 int64 step

ListModelsResponse
1 VertexModel* models
2 string next_page_token

ListModelVersionsResponse
1 VertexModel* models
2 string next_page_token

ListModelVersionCheckpointsResponse
1 ModelCheckpoint* checkpoints
2 string next_page_token

VertexEndpoint
1 string name
2 string display_name
3 string description
4 DeployedModel* deployed_models
7 Labels labels
8 Timestamp create_time
9 Timestamp update_time
10 EncryptionSpec encryption_spec

DeployedModel
1 string id
2 string model
3 string display_name
6 Timestamp create_time
30 string model_version_id
31 string checkpoint_id

UndeployModelRequest
1 string endpoint
2 string deployed_model_id
3 Json traffic_split

ListEndpointsResponse
1 VertexEndpoint* endpoints
2 string next_page_token
"""
