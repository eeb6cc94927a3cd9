"""Take from the role admin the right to delete users: no page uses it, people are deactivated."""

from typing import Any

from django.db import migrations


def take_away(apps: Any, schema_editor: Any) -> None:
    """From the group alone: what somebody gave to a single user stays."""
    rows = apps.get_model("auth", "Group").permissions.through.objects
    rows.using(schema_editor.connection.alias).filter(
        group__name="admin",
        permission__codename="delete_user",
        permission__content_type__app_label="auth",
    ).delete()


class Migration(migrations.Migration):
    """The release before gives it back when its `ensure_admin` runs, and does not need it."""

    dependencies = [
        ("accounts", "0004_tokens"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(take_away, migrations.RunPython.noop)]
