"""The settings of `make lint`: those of the tests, with the linter of migrations.

It reads the SQL that Django would run on PostgreSQL. SQLite's says too little: there each change
of a column is a new table.
"""

from mmeportal.settings_test import *  # noqa: F403
from mmeportal.settings_test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
DATABASES = {"default": {"ENGINE": "tests.serverless_postgresql", "NAME": "none"}}
LOGGING_CONFIG = None  # the linter logs each migration that it reads
