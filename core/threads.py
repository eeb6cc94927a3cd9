"""Threads of a process that work beside its requests."""

import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


def started(work: Callable[..., Any], *arguments: Any, name: str) -> threading.Thread | None:
    """A daemon thread that does ``work``; None where the machine has no thread left.

    That is logged, and passes: whoever needs the thread asks again the next time.
    """
    thread = threading.Thread(target=work, args=arguments, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        log.exception("The thread %s could not be started.", name)
        return None
    return thread
