"""Names that vulture takes for dead because something outside of Python's imports uses them.

Read by vulture alone: ``vulture … tests/rules/vulture_whitelist.py``. Each group says who uses it.
"""

# ruff: noqa: B018, F821

# container: called or read by Multi Model Server's worker (mms/model_service_worker.py)
_.preload
_.socket_name
_.load_model
# container: read by Pillow
_.MAX_IMAGE_PIXELS
_._mode
_._size
# container: keys of the preflight's report, by dataclasses.asdict
_.packed_bytes
# container: arguments by name, of a stand-in for the Context of Multi Model Server
_.idx
_.phrase
# tests: read by pytest, by Hypothesis, by http.server
collect_ignore
pytest_report_header
pytestmark
_._repr_pretty_
_.daemon_threads
_.protocol_version
_.do_GET
_.do_PATCH
_.do_POST
_.do_PUT
_.log_message
_.args
# tests: read by tarfile
_.linkname
