# ruff: noqa: B018, F821
"""Names that vulture sees no use of, because something outside of this code calls or reads them.

A new entry says who does. What nobody calls is deleted, not listed. To look for dead names:
``vulture localaws stack demo bench tests/rules/vulture_whitelist.py --min-confidence 60``.
"""

# localaws/controlplane.py: getattr by the names in shapes.OPERATIONS.
_.CreateModel, _.DescribeModel, _.ListModels, _.DeleteModel
_.CreateEndpointConfig, _.DescribeEndpointConfig, _.ListEndpointConfigs, _.DeleteEndpointConfig
_.DescribeEndpoint, _.ListEndpoints, _.UpdateEndpoint, _.DeleteEndpoint
_.UpdateEndpointWeightsAndCapacities
_.ListInferenceComponents, _.ListMonitoringSchedules, _.ListMonitoringExecutions
_.ListMonitoringAlertHistory
_.AddTags, _.ListTags, _.DeleteTags

# localaws/s3/operations.py: getattr by the names in OPERATIONS.
_._list_buckets, _._create_bucket, _._delete_bucket, _._head_bucket, _._get_bucket_location
_._list_objects, _._list_objects_v2, _._get_object, _._head_object, _._put_object, _._copy_object
_._delete_object, _._delete_objects
_._get_object_tagging, _._put_object_tagging, _._delete_object_tagging
_._create_multipart_upload, _._upload_part, _._upload_part_copy, _._complete_multipart_upload
_._abort_multipart_upload, _._list_parts, _._list_multipart_uploads

# urllib3 calls and reads them (localaws/container_client.py).
_._new_conn, _.num_connections
# http.client reads it (bench/s3.py).
_.blocksize
# waitress reads them (localaws/guard.py).
_.task_class, _.will_close, _.connection_close, _.expect_continue
# tarfile calls it (localaws/fetch.py).
_._proc_sparse
# botocore calls it (localaws/signature.py).
_.headers_to_sign
# moto reads them (localaws/moto_percentiles.py, localaws/moto_logs.py).
_.sample_count, _.extended_statistics, _.instances_tracked
# Imported for what the import does (localaws/telemetry.py).
moto
# Multi Model Server calls it (bench/plain_handler.py).
_.handle
# http.server and socketserver call and read them (servers of tests).
_.do_GET, _.do_HEAD, _.do_POST, _.do_DELETE, _.log_message, _.close_connection
_.address_family, _.daemon_threads, _.request_queue_size, _.protocol_version
# pytest reads them.
pytestmark, collect_ignore
# Fixtures with autouse.
no_traceback, _not_inside_a_stack
