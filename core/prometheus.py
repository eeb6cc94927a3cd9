"""What the portal counts for Prometheus: requests, jobs, and calls of AWS.

Each process counts for itself; :mod:`core.prometheus_page` shows it. Nothing here imports a model:
Celery imports this before Django has loaded any.
"""

# untranslated file: Prometheus alone has its sentences

import os
import time
from collections.abc import Callable
from typing import Any

from celery.signals import task_postrun, task_prerun
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, values

REGISTRY = CollectorRegistry(auto_describe=True)
"""What this process counts."""

_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB_BUCKETS_S = (0.05, 0.25, 1, 5, 15, 60, 300, 1800)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter(
    "mme_portal_requests",
    "Requests that were answered, by the name of the page or operation and the status.",
    ["method", "page", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "mme_portal_request_seconds",
    "How long an answer took, without the time in the web server's own queue.",
    ["page"],
    buckets=_BUCKETS_S,
    registry=REGISTRY,
)
JOBS = Counter(
    "mme_portal_jobs",
    "Jobs that ended, by task and Celery's state (SUCCESS, FAILURE).",
    ["task", "state"],
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "mme_portal_job_seconds",
    "How long a job ran.",
    ["task"],
    buckets=_JOB_BUCKETS_S,
    registry=REGISTRY,
)
JOB_WAIT_SECONDS = Histogram(
    "mme_portal_job_wait_seconds",
    "How long a job was in the queue, by Redis's clock.",
    buckets=_JOB_BUCKETS_S,
    registry=REGISTRY,
)
AWS_CALLS = Counter(
    "mme_portal_aws_calls",
    "Attempts to call AWS, by service, operation and the code of the error; 'ok' without one.",
    ["service", "operation", "code"],
    registry=REGISTRY,
)
AWS_THROTTLES = Counter(
    "mme_portal_aws_throttles",
    "Answers by which AWS asks for fewer calls, each attempt.",
    ["service", "operation"],
    registry=REGISTRY,
)
AWS_SECONDS = Histogram(
    "mme_portal_aws_call_seconds",
    "How long an attempt to call AWS took.",
    ["service"],
    buckets=_BUCKETS_S,
    registry=REGISTRY,
)


def count_in(folder: str) -> None:
    """Count in files of ``folder`` from now on, for processes that are forked and add up.

    Before anything is counted. The library has a variable of the environment for it, which it reads
    as it is imported: too late here, as Celery's part of the portal imports it first.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


# --- requests ------------------------------------------------------------------------------------


class PrometheusMiddleware:
    """Counts each request and how long its answer took."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and count."""
        began = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        # Names of the table of addresses alone: what somebody types must make no series.
        page = (match.view_name or "unnamed") if match is not None else "none"
        method = request.method if request.method in _METHODS else "other"
        REQUESTS.labels(method, page, response.status_code).inc()
        REQUEST_SECONDS.labels(page).observe(time.perf_counter() - began)
        return response


# --- jobs ----------------------------------------------------------------------------------------

_began: dict[str, float] = {}  # by a job's id; a worker runs few at a time


@task_prerun.connect(weak=False)  # type: ignore[untyped-decorator]  # Celery has no types
def _note_beginning(task_id: str, **_: Any) -> None:
    _began[task_id] = time.perf_counter()


@task_postrun.connect(weak=False)  # type: ignore[untyped-decorator]
def _note_end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    began = _began.pop(task_id, None)
    JOBS.labels(task.name, state or "UNKNOWN").inc()
    if began is not None:
        JOB_SECONDS.labels(task.name).observe(time.perf_counter() - began)


# --- calls of AWS --------------------------------------------------------------------------------


def note_aws_call(
    service: str, operation: str, *, code: str, throttled: bool, seconds: float | None
) -> None:
    """Count one attempt to call AWS; ``code`` is that of its error, 'ok' without one."""
    AWS_CALLS.labels(service, operation, code).inc()
    if throttled:
        AWS_THROTTLES.labels(service, operation).inc()
    if seconds is not None:
        AWS_SECONDS.labels(service).observe(seconds)
