"""The Celery application; start workers and beat with ``celery -A mmeportal``."""

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import celeryd_after_setup

from core import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
broker.use()

app = Celery("mmeportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("core.celery_heartbeat:WorkerHeartbeat")


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]  # Celery has no types
def quieten(**_: object) -> None:
    """Silence Celery's warning at each lost connection; that jobs then go on is intended."""
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
