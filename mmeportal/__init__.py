"""The site: settings, URLs, the home page, and the web server."""

import atexit
import gc

# What a program loads stays, so the garbage collector would look through it for nothing
# (docs/measured.md). `mmeportal/apps.py` enables it again.
gc.disable()
# At the end the kernel takes all memory back, so nothing has to be looked for then either.
atexit.register(gc.freeze)

from mmeportal.celery import app as celery_app  # noqa: E402 - what it imports is meant, too

__all__ = ["celery_app"]
