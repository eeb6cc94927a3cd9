"""The portal's settings, with the URLs of killed_urls.py."""

from mmeportal.settings import *  # noqa: F403

ROOT_URLCONF = "endpoints.tests.killed_urls"
