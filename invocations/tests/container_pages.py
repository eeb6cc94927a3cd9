"""What the containers of an endpoint may tell: a page of two instances, and one that is silent."""


def page(target: str, other: str = "9d1f") -> str:
    """``target`` was called on both instances; ``other`` is loaded on one and was not called."""
    return f"""\
# HELP localaws_instance_up 1 where the page of the instance was read, else 0.
# TYPE localaws_instance_up gauge
localaws_instance_up{{instance="AllTraffic/i-1"}} 1
localaws_instance_up{{instance="AllTraffic/i-2"}} 1
localaws_instance_up{{instance="AllTraffic/i-3"}} 0
# HELP mme_model_calls_total Calls answered, also with an error.
# TYPE mme_model_calls_total counter
mme_model_calls_total{{instance="AllTraffic/i-1",target_model="{target}"}} 30
mme_model_calls_total{{instance="AllTraffic/i-2",target_model="{target}"}} 12
mme_model_calls_total{{instance="AllTraffic/i-1",target_model="{other}"}} 0
mme_model_calls_total{{instance="AllTraffic/i-1",target_model=""}} 4
# HELP mme_model_cold_calls_total Answers that were a worker's first one.
# TYPE mme_model_cold_calls_total counter
mme_model_cold_calls_total{{instance="AllTraffic/i-1",target_model="{target}"}} 2
mme_model_cold_calls_total{{instance="AllTraffic/i-2",target_model="{target}"}} 1
# HELP mme_model_errors_total Calls answered with an error, by kind.
# TYPE mme_model_errors_total counter
mme_model_errors_total{{instance="AllTraffic/i-1",target_model="{target}",kind="bad_request"}} 5
mme_model_errors_total{{instance="AllTraffic/i-2",target_model="{target}",kind="bad_request"}} 1
mme_model_errors_total{{instance="AllTraffic/i-2",target_model="{target}",kind="of its own"}} 2
# HELP mme_model_evictions_total Models unloaded, by reason.
# TYPE mme_model_evictions_total counter
mme_model_evictions_total{{instance="AllTraffic/i-1",target_model="{target}",reason="memory"}} 1
mme_model_evictions_total{{instance="AllTraffic/i-2",target_model="{target}",reason="request"}} 0
# HELP mme_model_load_seconds Time from the order to load a model until it can be called.
# TYPE mme_model_load_seconds histogram
mme_model_load_seconds_bucket{{instance="AllTraffic/i-1",target_model="{target}",le="+Inf"}} 2
mme_model_load_seconds_sum{{instance="AllTraffic/i-1",target_model="{target}"}} 0.25
mme_model_load_seconds_count{{instance="AllTraffic/i-1",target_model="{target}"}} 2
mme_model_load_seconds_bucket{{instance="AllTraffic/i-2",target_model="{target}",le="+Inf"}} 1
mme_model_load_seconds_sum{{instance="AllTraffic/i-2",target_model="{target}"}} 0.05
mme_model_load_seconds_count{{instance="AllTraffic/i-2",target_model="{target}"}} 1
# HELP mme_model_eviction_age_seconds Time since its last call when a model was unloaded.
# TYPE mme_model_eviction_age_seconds histogram
mme_model_eviction_age_seconds_sum{{instance="AllTraffic/i-1",target_model="{target}"}} 5
mme_model_eviction_age_seconds_count{{instance="AllTraffic/i-1",target_model="{target}"}} 2
# HELP mme_model_last_call_timestamp_seconds When a call was last answered.
# TYPE mme_model_last_call_timestamp_seconds gauge
mme_model_last_call_timestamp_seconds{{instance="AllTraffic/i-1",target_model="{target}"}} 1.769e9
mme_model_last_call_timestamp_seconds{{instance="AllTraffic/i-2",target_model="{target}"}} 1.7691e9
# HELP mme_model_loaded_timestamp_seconds Since when the model is loaded.
# TYPE mme_model_loaded_timestamp_seconds gauge
mme_model_loaded_timestamp_seconds{{instance="AllTraffic/i-1",target_model="{target}"}} 1.7685e9
mme_model_loaded_timestamp_seconds{{instance="AllTraffic/i-2",target_model="{target}"}} 1.7686e9
mme_model_loaded_timestamp_seconds{{instance="AllTraffic/i-1",target_model="{other}"}} 1e300
# HELP mme_model_memory_bytes Memory of the model's workers.
# TYPE mme_model_memory_bytes gauge
mme_model_memory_bytes{{instance="AllTraffic/i-1",target_model="{target}"}} 30000000
mme_model_memory_bytes{{instance="AllTraffic/i-2",target_model="{target}"}} 20000000
mme_model_memory_bytes{{instance="AllTraffic/i-1",target_model="{other}"}} NaN
# HELP mme_models_loaded Models that are loaded.
# TYPE mme_models_loaded gauge
mme_models_loaded{{instance="AllTraffic/i-1"}} 2
mme_models_loaded{{instance="AllTraffic/i-2"}} 1
# HELP mme_server_start_timestamp_seconds When the server was started.
# TYPE mme_server_start_timestamp_seconds gauge
mme_server_start_timestamp_seconds{{instance="AllTraffic/i-1"}} 1.768e9
mme_server_start_timestamp_seconds{{instance="AllTraffic/i-2"}} 1.7682e9
"""
