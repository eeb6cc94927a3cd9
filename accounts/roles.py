"""The three roles, as Django groups, and their permissions.

A role has its own permissions and those of the roles before it. `manage.py ensure_admin` writes
them to the database.
"""

from django.contrib.auth.models import Group, Permission

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"

_OWN: dict[str, tuple[str, ...]] = {
    VIEWER: (
        "models_catalog.view_model",
        "models_catalog.view_version",
        "endpoints.view_endpoint",
        "endpoints.invoke_endpoint",
        "activity.view_event",
    ),
    OPERATOR: (
        "models_catalog.add_model",
        "models_catalog.add_version",
        "endpoints.add_endpoint",
    ),
    ADMIN: (
        "endpoints.teardown_endpoint",
        "auth.view_user",
        "auth.add_user",
        "auth.change_user",
        "auth.delete_user",
        "auth.view_group",
    ),
}


def permissions_of(role: str) -> tuple[str, ...]:
    """All permissions of ``role`` as ``app.codename``, including those of the roles before it."""
    names: list[str] = []
    for name, own in _OWN.items():
        names += own
        if name == role:
            return tuple(names)
    raise ValueError(f"There is no role {role!r}.")


def ensure_roles() -> None:
    """Create the three groups with exactly their permissions; idempotent."""
    for role in _OWN:
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(
            Permission.objects.get(content_type__app_label=label, codename=codename)
            for label, codename in (name.split(".") for name in permissions_of(role))
        )
