"""Prints as JSON what the portal of today finds in an older installation's database.

Run by test_upgrade.py in a process of its own, with DATABASE_URL naming that database.
"""

import json
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")

import django

django.setup()

from django.apps import apps  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from activity.models import Event  # noqa: E402
from endpoints.models import Endpoint  # noqa: E402
from mmeportal.celery import app  # noqa: E402

# What people may have bookmarked, or hold in a page that is open during the upgrade.
ADDRESSES = (
    "/",
    "/login/",
    "/password/",
    "/models/",
    "/models/new/",
    "/models/new/name/?name=digits",
    "/models/digits/",
    "/models/digits/live/",
    "/models/digits/upload/",
    "/models/digits/v3/",
    "/models/digits/v3/live/",
    "/models/digits/v4/",
    "/endpoints/",
    "/endpoints/new/",
    *(f"/endpoints/{pk}/" for pk in range(1, 9)),
    "/endpoints/3/live/",
    "/endpoints/3/teardown/",
    "/invoke/",
    "/invoke/?endpoint=3&version=3",
    "/invoke/3/",
    "/invoke/3/thumbnail/",
    f"/invoke/kept/{'a' * 64}/",
    "/activity/",
    "/activity/model/1/",
    "/activity/version/3/",
    "/activity/endpoint/3/",
    "/admin/",
)

app.loader.import_default_modules()  # the tasks, as a worker imports them


def rows() -> dict[str, list[dict[str, Any]]]:
    """All rows of the portal's tables as they are stored, by table."""
    found = {}
    for label in ("activity", "models_catalog", "endpoints", "invocations"):
        for model in apps.get_app_config(label).get_models():
            table = model._meta.db_table
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT * FROM "{table}" ORDER BY id')
                names = [column[0] for column in cursor.description]
                found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def statuses() -> dict[str, int]:
    """How an admin's browser is answered at each address, at the end of its redirects."""
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username="admin-user"))
    return {path: client.get(path, follow=True).status_code for path in ADDRESSES}


print(
    json.dumps(
        {
            "rows": rows(),
            "permissions": {
                user.username: sorted(user.get_all_permissions()) for user in User.objects.all()
            },
            "events": [[event.sentence, event.subject_url()] for event in Event.objects.newest()],
            "serving": sorted(endpoint.name for endpoint in Endpoint.objects.serving()),
            "statuses": statuses(),
            "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
        },
        default=str,
    )
)
