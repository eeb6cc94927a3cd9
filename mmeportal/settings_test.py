"""The settings under pytest: the portal's own, with what only tests need.

pyproject.toml names this module for pytest and for mypy. Processes that a test starts take
mmeportal.settings, as a user's do.
"""

import os
import tempfile
from pathlib import Path
from unittest import mock

# The secret is there for the import alone: a process that a test starts brings its own.
_KEY = "only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz-not-a-secret"
with mock.patch.dict(os.environ, {"SECRET_KEY": os.environ.get("SECRET_KEY") or _KEY}):
    from mmeportal.settings import *  # noqa: F403
    from mmeportal.settings import DATABASES

DJANGO_ADMIN = True  # its pages are in the tests' tables, too
STYLEGUIDE = True  # the tests of the elements look at them there
# Each test client is a new server: it would read all files of all packages at its start.
WHITENOISE_AUTOREFRESH = True
PRICES_FROM_AWS = False  # who tests it sets it
TEARDOWN_UNDO_S = 0  # who tests Undo sets it
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
CELERY_BROKER_URL = "memory://"  # never into the queue of a running stack
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, as in production: threads cannot share a SQLite database in memory.
    _name = f"mme-portal-test-{os.getpid()}.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / _name)}
