"""Experiments and TensorBoards, where the metrics of a tuning job are.

A table, as ``messages.Schema`` reads it; ``BETA`` marks what only v1beta1 has.
"""

METRICS = """
MetadataContext
1 string name
2 string display_name
8 string etag
9 Labels labels
10 Timestamp create_time
11 Timestamp update_time
12 string* parent_contexts
13 string schema_title
14 string schema_version
15 Json metadata
16 string description

ListContextsResponse
1 MetadataContext* contexts
2 string next_page_token

MetadataArtifact
1 string name
2 string display_name
6 string uri
9 string etag
11 Timestamp create_time
12 Timestamp update_time
14 string schema_title
15 string schema_version
16 Json metadata

ListExecutionsResponse
1 Json* executions
2 string next_page_token

Tensorboard
1 string name
2 string display_name
6 Timestamp create_time
7 Timestamp update_time

ListTensorboardsResponse
1 Tensorboard* tensorboards
2 string next_page_token

TensorboardExperiment
1 string name
2 string display_name
4 Timestamp create_time
5 Timestamp update_time

ListTensorboardExperimentsResponse
1 TensorboardExperiment* tensorboard_experiments
2 string next_page_token

TensorboardRun
1 string name
2 string display_name
6 Timestamp create_time
7 Timestamp update_time

ListTensorboardRunsResponse
1 TensorboardRun* tensorboard_runs
2 string next_page_token

TensorboardTimeSeries
1 string name
2 string display_name
4 ValueType value_type
5 Timestamp create_time
6 Timestamp update_time
8 string plugin_name
10 SeriesMetadata metadata

SeriesMetadata
1 int64 max_step
2 Timestamp max_wall_time

ListTensorboardTimeSeriesResponse
1 TensorboardTimeSeries* tensorboard_time_series
2 string next_page_token

BatchReadTensorboardTimeSeriesDataResponse
1 TimeSeriesData* time_series_data

ReadTensorboardTimeSeriesDataResponse
1 TimeSeriesData time_series_data

TimeSeriesData
1 string tensorboard_time_series_id
2 ValueType value_type
3 TimeSeriesDataPoint* values

TimeSeriesDataPoint
1 Timestamp wall_time
2 int64 step
3 Scalar scalar |value

Scalar
1 double? value

ExportTensorboardTimeSeriesDataRequest
1 string tensorboard_time_series
2 string filter
3 int32 page_size
4 string page_token
5 string order_by

ExportTensorboardTimeSeriesDataResponse
1 TimeSeriesDataPoint* time_series_data_points
2 string next_page_token
"""
