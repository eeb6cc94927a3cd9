"""The portal's settings, with the URLs of repeatable_urls.py."""

from mmeportal.settings import *  # noqa: F403

ROOT_URLCONF = "core.api.tests.repeatable_urls"
