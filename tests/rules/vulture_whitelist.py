# ruff: noqa
# mypy: ignore-errors
"""Names that frameworks call or read, for vulture (dead_names.py): each section says who does.

A name that vulture would not complain of any more goes from here (test_dead_names.py).
"""

# Django: management commands, class-based views, the admin, forms, upload handlers, middleware.
_.add_arguments
_.requires_system_checks
_.redirect_authenticated_user
_.form_class
_.success_url
_.has_add_permission
_.has_change_permission
_.has_delete_permission
_.list_display
_.list_filter
_.list_select_related
_.search_fields
_.default_site
_.site_header
_.site_title
_.index_title
_.is_staff
_.last_name
_.perm
_.prepare_value
renderer
_.receive_data_chunk
_.file_complete
_.upload_interrupted
_.process_exception
_.child_nodelists
_.ROOT_URLCONF
_._has_been_logged

# axes: the methods of a handler, and the parameters of its signals.
_.user_login_failed
_.user_logged_in
_.user_logged_out
_.get_failures
_.post_save_access_attempt
_.post_delete_access_attempt
_.sender
_.ip_or_username

# Celery and kombu: a transport, a scheduler.
_.do_release
_.restore_visible
_._get_client
_.nowfun
_.apply_entry

# waitress: its channel, loop and tasks.
_.to_response
_.parser_class
_.task_class
_.error_task_class
_.maintenance
_.tempdir
_.connection_close

# s3transfer: the class of its threads.
_.EXECUTOR_CLS

# The type checker: names in annotations that are strings.
_._lru_cache_wrapper
_.S3Client
_.SageMakerClient
_.SageMakerRuntimeClient

# accounts/services.py: what a program calls to manage users; the admin's pages save by themselves.
_.delete_user
_.make_user

# Django's streaming answers (core/compression.py).
_.streaming_content

# Multi Model Server and the libraries of the container.
_.socket_name
_.load_model
_.mtime
_.MAX_IMAGE_PIXELS

# container/preflight.py writes a report of every field (dataclasses.asdict).
_.packed_bytes

# localaws: operations by their names in AWS's models (localaws/controlplane.py, localaws/s3/operations.py).
_.CreateModel
_.DescribeModel
_.ListModels
_.DeleteModel
_.CreateEndpointConfig
_.DescribeEndpointConfig
_.ListEndpointConfigs
_.DeleteEndpointConfig
_.DescribeEndpoint
_.ListEndpoints
_.UpdateEndpoint
_.DeleteEndpoint
_.ListInferenceComponents
_.ListMonitoringSchedules
_.ListMonitoringExecutions
_.ListMonitoringAlertHistory
_.AddTags
_.ListTags
_.DeleteTags
_._list_buckets
_._create_bucket
_._delete_bucket
_._head_bucket
_._get_bucket_location
_._list_objects
_._list_objects_v2
_._get_object
_._head_object
_._put_object
_._copy_object
_._delete_object
_._delete_objects
_._get_object_tagging
_._put_object_tagging
_._delete_object_tagging
_._create_multipart_upload
_._upload_part
_._upload_part_copy
_._complete_multipart_upload
_._abort_multipart_upload
_._list_parts
_._list_multipart_uploads
_.RegisterScalableTarget
_.ListServiceQuotas
_.GetServiceQuota
_.DescribeScalableTargets
_.DeregisterScalableTarget
_.PutScalingPolicy
_.DescribeScalingPolicies
_.DeleteScalingPolicy
_.PutScheduledAction
_.DescribeScheduledActions
_.DeleteScheduledAction
_.DescribeScalingActivities
_.Average

# localaws: what http.client, urllib3, tarfile, botocore, moto and CloudWatch's statistics call.
_.blocksize
_._new_conn
_.num_connections
_._proc_sparse
_.instances_tracked
_.extended_statistics
moto
_.headers_to_sign

# The permission matrix (tests/rules/test_access.py), and Django's path converters.
_.LEVELS
_.leads_to_login
_.LED_TO_LOG_IN
_.regex
# ninja calls it with what an operation raised.
_.on_exception

# ninja calls or Django reads these (mmeportal/api.py)
_.add_schema_definitions
_.should_append_slash

# Fields that the API's answers alone have.
_.same_as
_.parts_ms

# s3transfer reads it.
_.max_in_memory_upload_chunks

# Django calls the one of its database (models_catalog/measured.py)
_.as_postgresql
_.as_sqlite

# Django's forms read these (endpoints/forms.py)
_.field_order
_.disabled

# prometheus_client reads it (core/prometheus.py)
_.ValueClass

# accounts/roles.py reads it by its name (invocations/apps.py)
_.VIEWERS_SEE_ALL_CALLS

# Django's sessions read it (accounts/sessions.py)
_._session_key

# pydantic calls it for each field (core/api/schema.py)
_._without_nul
