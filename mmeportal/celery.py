"""The Celery application; workers and beat start with ``celery -A mmeportal``."""

import os

from celery import Celery

from mmeportal import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
broker.use()

app = Celery("mmeportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add("mmeportal.beating:WorkerHeartbeat")
