"""Who sees calls sees everybody's, as before: roles and people who may call models.

`ensure_admin` writes the roles after this, by the setting VIEWERS_SEE_ALL_CALLS.
"""

from typing import Any

from django.db import migrations


def give(apps: Any, schema_editor: Any) -> None:
    """Give the new permission to all groups and people who have that to call models."""
    alias = schema_editor.connection.alias
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    calls = permissions.filter(
        content_type__app_label="endpoints", codename="invoke_endpoint"
    ).first()
    if calls is None:  # a new database: permissions are made after the migrations
        return
    kinds = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    kind, _ = kinds.get_or_create(app_label="invocations", model="invocation")
    seen, _ = permissions.get_or_create(
        content_type=kind, codename="view_all_calls", defaults={"name": "Can see everybody's calls"}
    )
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for group in groups.filter(permissions=calls):
        group.permissions.add(seen)
    people = apps.get_model("auth", "User").objects.using(alias)
    for person in people.filter(user_permissions=calls):
        person.user_permissions.add(seen)


class Migration(migrations.Migration):
    """Runs once; what an admin takes away afterwards stays away."""

    dependencies = [
        ("invocations", "0019_view_all_calls"),
        ("endpoints", "0027_scheduled_scaling"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
