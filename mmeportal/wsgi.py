"""The WSGI application, for the web server (mmeportal/server)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
application = get_wsgi_application()

from core import aws  # noqa: E402 - needs the settings

aws.create_clients(aws.s3, aws.sagemaker_runtime)
