"""Sends jobs to a worker that runs, as the portal's own processes do."""

from collections.abc import Sequence
from urllib.parse import quote

from celery import Celery

from core import broker, request_id


def redis_url(port: int, password: str) -> str:
    """The address of a Redis of a stack, for the portal's user."""
    return f"redis://portal:{quote(password)}@127.0.0.1:{port}/0"


def send(url: str, task: str, arguments: Sequence[object] = (), *, sender: str = "") -> None:
    """Send over a connection of its own, which is new. ``sender``: its request's id."""
    broker.use()
    app = Celery("sender", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    with app, app.connection_for_write(url) as connection, request_id.bound(sender):
        app.send_task(task, list(arguments), connection=connection)
