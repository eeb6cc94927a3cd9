"""The site: settings, URLs, the home page, and the web server."""

import atexit
import gc

# What a program loads stays. With Python's own threshold of 700 the garbage collector looks through
# it again and again: a seventh of the start of a web server or worker (docs/measured.md).
gc.set_threshold(100_000, 10, 10)
# At the end the kernel takes all memory back. To look for what is to be freed took as long as the
# start.
atexit.register(gc.freeze)

from mmeportal.celery import app as celery_app  # noqa: E402 - what it imports is meant, too

__all__ = ["celery_app"]
