"""Batch prediction jobs.

A table, as ``messages.Schema`` reads it; ``BETA`` marks what only v1beta1 has.
"""

BATCHES = """
BatchPredictionJob
1 string name
2 string display_name
3 string model
4 BatchPredictionInput input_config
5 Json model_parameters
6 BatchPredictionOutput output_config
7 Json dedicated_resources
8 Json manual_batch_tuning_parameters
9 BatchPredictionOutputInfo output_info
10 JobState state
11 Status error
12 Status* partial_failures
13 Json resources_consumed
14 CompletionStats completion_stats
15 Timestamp create_time
16 Timestamp start_time
17 Timestamp end_time
18 Timestamp update_time
19 Labels labels
23 bool generate_explanation
24 EncryptionSpec encryption_spec
25 Json explanation_spec
26 Json model_monitoring_config BETA
27 Json instance_config
28 Json unmanaged_container_model
29 string service_account
30 string model_version_id
31 Json* model_monitoring_stats_anomalies BETA
32 Json model_monitoring_status BETA
34 bool disable_container_logging

BatchPredictionInput
1 string instances_format
2 GcsSource gcs_source |source
3 Json bigquery_source |source
4 Json vertex_multimodal_dataset_source |source

BatchPredictionOutput
1 string predictions_format
2 GcsDestination gcs_destination |destination
3 Json bigquery_destination |destination
4 Json vertex_multimodal_dataset_destination |destination

BatchPredictionOutputInfo
1 string gcs_output_directory |output_location
2 string bigquery_output_dataset |output_location
4 string bigquery_output_table
5 string vertex_multimodal_dataset_name |output_location

GcsSource
1 string* uris

GcsDestination
1 string output_uri_prefix

CompletionStats
1 int64 successful_count
2 int64 failed_count
3 int64 incomplete_count
5 int64 successful_forecast_point_count

ListBatchPredictionJobsResponse
1 BatchPredictionJob* batch_prediction_jobs
2 string next_page_token
"""
