"""The id of a request, by which its traces are found.

The browser or a proxy may send one in ``X-Request-ID``; else the portal makes one. It is in the
answer's header, in every line of the log, in the jobs that the request put into the queue, in the
events that it recorded, and in the User-Agent of its AWS calls.
"""

import re
import uuid
from contextlib import AbstractContextManager
from typing import Any

from celery.signals import before_task_publish, task_postrun, task_prerun
from django.core.signals import request_finished
from django.dispatch import receiver
from structlog import contextvars

from core.logging import without_secrets

HEADER = "X-Request-ID"
MAX_LENGTH = 64
_VALID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_LENGTH - 1}}}", re.ASCII)
_NAME = "request_id"  # in log lines and in the headers of jobs


def valid(text: Any) -> bool:
    """Whether ``text`` may be an id: up to 64 letters, digits, dots, hyphens and underscores."""
    if not isinstance(text, str) or _VALID.fullmatch(text) is None:
        return False
    return without_secrets(text) == text  # a token of the API would be kept in rows and logs


def accepted(text: Any) -> str:
    """``text`` where it may be an id, else a new id."""
    return str(text) if valid(text) else uuid.uuid4().hex


def current() -> str:
    """The id of the request or job that this thread works on; empty outside of one."""
    return str(contextvars.get_contextvars().get(_NAME, ""))


def bound(request_id: str) -> AbstractContextManager[None]:
    """Let ``request_id`` be the current one for a ``with`` block."""
    return contextvars.bound_contextvars(**{_NAME: request_id})


def bind(request_id: str) -> None:
    """Let ``request_id`` be the current one until the answer is sent.

    Django logs an answer of 400 or more after all middleware.
    """
    contextvars.bind_contextvars(**{_NAME: request_id})


@receiver(request_finished)
def _release(**_: Any) -> None:
    contextvars.unbind_contextvars(_NAME)


@before_task_publish.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _send_along(headers: dict[str, Any], **_: Any) -> None:
    headers[_NAME] = accepted(current())


@task_prerun.connect  # type: ignore[untyped-decorator]
def _take_on(task: Any, **_: Any) -> None:
    contextvars.bind_contextvars(
        **{_NAME: accepted(task.request.get(_NAME)), "task": task.name, "job": task.request.id}
    )


@task_postrun.connect  # type: ignore[untyped-decorator]
def _lay_down(**_: Any) -> None:
    contextvars.unbind_contextvars(_NAME, "task", "job")
