"""The settings of `make lint`: those of the tests, with the linter of migrations."""

from mmeportal.settings_test import *  # noqa: F403
from mmeportal.settings_test import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_migration_linter"]
