"""The site: settings, URLs, the home page, and the web server."""

import atexit
import gc

# What a program loads stays. The garbage collector would look through it again and again, for a
# third of the start of a web server (docs/measured.md). `mmeportal/apps.py` enables it again.
gc.disable()
# At the end the kernel takes all memory back. To look for what is to be freed took as long as the
# start.
atexit.register(gc.freeze)

from mmeportal.celery import app as celery_app  # noqa: E402 - what it imports is meant, too

__all__ = ["celery_app"]
