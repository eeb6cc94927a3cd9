"""The Celery application; start workers and beat with ``celery -A mmeportal``."""

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import beat_init, celeryd_after_setup, worker_init

from core import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
# Celery has Django check the code and says nothing of what is found: that would only load all
# pages and the API, which beat never needs and a worker not before its first link.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
broker.use()

app = Celery("mmeportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("core.celery_heartbeat:WorkerHeartbeat")


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]  # Celery has no types
def quieten(**_: object) -> None:
    """Silence Celery's warning at each lost connection; that jobs then go on is intended."""
    warnings.simplefilter("ignore", CPendingDeprecationWarning)


@worker_init.connect  # type: ignore[untyped-decorator]
def show_worker(**_: object) -> None:
    """Show Prometheus what the worker counts."""
    from core import prometheus_page

    prometheus_page.listen()


@beat_init.connect  # type: ignore[untyped-decorator]
def show_beat(**_: object) -> None:
    """Show Prometheus what beat counts, and what is the same for all processes."""
    from core import prometheus_page

    prometheus_page.listen(shared=True)
