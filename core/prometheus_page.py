"""The page with what the portal tells Prometheus of itself, at an address of its own.

With the setting ``PROMETHEUS_BIND`` the web server has one (its processes add up, by files that
they share), and so have each worker and beat. Beat's also has what is the same for all: the queue,
and how late work is.
"""

# untranslated file: Prometheus alone has its sentences

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import close_old_connections
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from waitress import create_server

from core import clock, heartbeat, job_messages, prometheus
from core.lease import Leased

log = logging.getLogger(__name__)

# One scrapes; others that keep connections open wait, and are closed, beside the portal's work.
_THREADS, _CONNECTIONS, _SILENT_S = 2, 16, 15
_QUEUE = "celery"

# --- what is the same for all processes ----------------------------------------------------------

Gauges = Callable[[], Iterable[Metric]]


def gauge(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def due_rows() -> Iterator[Metric]:
    """How many rows wait for a worker, and for how long: of each kind of row that has leases."""
    count: dict[str, float] = {}
    lag: dict[str, float] = {}
    now = clock.now()
    for model in apps.get_models():
        if not issubclass(model, Leased):
            continue
        rows = model._default_manager.all().due()  # type: ignore[attr-defined]
        kind = model._meta.model_name or ""
        first = rows.values_list("check_after", flat=True).first()
        count[kind] = rows.count()
        lag[kind] = max(0.0, (now - first).total_seconds()) if first else 0.0
    yield gauge("mme_portal_due", "Rows with work to do that no worker holds.", "kind", count)
    yield gauge("mme_portal_lag_seconds", "How long the first of them has been due.", "kind", lag)


def queue() -> Iterator[Metric]:
    """The jobs in Redis: how many, and the age of the oldest."""
    with heartbeat.connect() as client:
        waiting = client.llen(_QUEUE)
        oldest = client.lindex(_QUEUE, -1)  # kombu puts at the left and takes at the right
        age = 0.0
        if oldest is not None and (sent_at := job_messages.sent_at(oldest)) is not None:
            age = max(0.0, clock.of_redis(client) - sent_at)
    yield GaugeMetricFamily("mme_portal_queue_jobs", "Jobs in the queue.", value=float(waiting))
    yield GaugeMetricFamily(
        "mme_portal_queue_age_seconds", "How long the oldest of them has been there.", value=age
    )


_shared: list[Gauges] = [due_rows, queue]


def register(gauges: Gauges) -> None:
    """Have beat's page show what ``gauges`` returns; it is called at each scrape."""
    if gauges not in _shared:
        _shared.append(gauges)


class _Shared(Collector):
    """What was registered; what cannot be read now is left out, and said in the log."""

    def collect(self) -> Iterator[Metric]:
        failed: dict[str, float] = {}
        for gauges in _shared:
            failed[gauges.__name__] = 0
            try:
                yield from list(gauges())
            except Exception:  # of any kind: the others are to be seen still
                log.exception("The gauges %s could not be read.", gauges.__name__)
                failed[gauges.__name__] = 1
        close_old_connections()
        yield gauge("mme_portal_gauges_failed", "1: could not be read now.", "gauges", failed)


# --- the page ------------------------------------------------------------------------------------


def page(*, shared: bool = False, folder: str | None = None) -> Callable[..., Iterable[bytes]]:
    """The page as a WSGI application, at ``/metrics``.

    ``shared``: with the queue and the database. ``folder``: of the files by which the processes of
    the web server add up.
    """
    registry = CollectorRegistry()
    if folder:
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    else:
        registry.register(prometheus.REGISTRY)
    if shared:
        registry.register(_Shared())
    made: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            status = HTTPStatus.NOT_FOUND
            start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain")])
            return [b"The page is /metrics.\n"]
        return made(environ, start_response)

    return answer


def serve(listening: socket.socket, **what: Any) -> None:
    """Serve the page in a thread that ends with the process; ``what`` as :func:`page` takes it."""
    server = create_server(
        page(**what),
        sockets=[listening],
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        channel_timeout=_SILENT_S,
        ident=None,
    )
    threading.Thread(target=server.run, name="prometheus", daemon=True).start()


def listen(*, shared: bool = False) -> None:
    """Serve the page at ``PROMETHEUS_BIND``, where it is set; for worker and beat.

    Where the address cannot be bound that is logged, and the process goes on without a page.
    """
    if not settings.PROMETHEUS_BIND:
        return
    host, _, port = settings.PROMETHEUS_BIND.rpartition(":")
    try:
        bound = socket.create_server((host.strip("[]"), int(port)))
    except OSError as error:
        log.error("No page for Prometheus at %s: %s.", settings.PROMETHEUS_BIND, error.strerror)
        return
    serve(bound, shared=shared)
    log.info("The page for Prometheus is http://%s/metrics", settings.PROMETHEUS_BIND)
