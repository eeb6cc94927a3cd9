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
    "/people/",
)

app.loader.import_default_modules()  # the tasks, as a worker imports them


def rows() -> dict[str, list[dict[str, Any]]]:
    """All rows of the portal's tables, by table; each by column."""
    found = {}
    for label in ("activity", "models_catalog", "endpoints", "invocations"):
        for model in apps.get_app_config(label).get_models():
            columns = {field.attname: field.column for field in model._meta.concrete_fields}
            found[model._meta.db_table] = [
                {columns[name]: _plain(value) for name, value in row.items()}
                for row in model._default_manager.order_by("pk").values(*columns)
            ]
    return found


def _plain(value: Any) -> Any:
    return str(bytes(value)) if isinstance(value, bytes | memoryview) else value


def statuses() -> dict[str, int]:
    """How an admin's browser is answered at each address, at the end of its redirects."""
    client = Client(HTTP_HOST="localhost")
    client.force_login(User.objects.get(username="admin-user"))
    return {path: client.get(path, follow=True).status_code for path in ADDRESSES}


print(
    json.dumps(
        {
            "rows": rows(),
            "direct": {
                user.username: sorted(
                    f"{right.content_type.app_label}.{right.content_type.model}.{right.codename}"
                    for right in user.user_permissions.select_related("content_type")
                )
                for user in User.objects.all()
            },
            "groups": {
                user.username: sorted(group.name for group in user.groups.all())
                for user in User.objects.all()
            },
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
