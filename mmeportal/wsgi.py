"""The WSGI application that the web server serves (mmeportal/server)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
application = get_wsgi_application()

from core import aws  # noqa: E402 - needs the settings

aws.make_now(aws.s3, aws.sagemaker_runtime)
