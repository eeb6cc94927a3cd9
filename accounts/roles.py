"""The three roles, as Django groups, and their permissions.

A role has its own permissions and those of the roles before it. Each app registers the permissions
of its pages when Django starts (``AppConfig.ready``); `manage.py ensure_admin` writes them to the
database.
"""

from django.conf import settings
from django.contrib.auth.models import Group, Permission

ALL = VIEWER, OPERATOR, ADMIN = ("viewer", "operator", "admin")

# Of Django's own apps, and of activity, which is below this app and so cannot register.
_OWN: dict[str, list[str]] = {
    VIEWER: ["activity.view_event"],
    OPERATOR: [],
    ADMIN: [
        "auth.view_user",
        "auth.add_user",
        "auth.change_user",
        "auth.view_group",
        "accounts.manage_groups",
        "activity.redact_event",
    ],
}


# By the setting that says whether viewers have them.
_WHILE: dict[str, list[str]] = {}


def grant(role: str, *permissions: str) -> None:
    """Give ``role``, and the roles after it, permissions (``app.codename``)."""
    _OWN[role] += [name for name in permissions if name not in _OWN[role]]


def grant_while(setting: str, *permissions: str) -> None:
    """Give viewers permissions while a setting is on; the roles after them have these anyway."""
    _WHILE.setdefault(setting, []).extend(permissions)


def own_permissions(role: str) -> tuple[str, ...]:
    """The permissions that ``role`` adds to those of the roles before it."""
    found = list(_OWN[role])
    for setting, names in _WHILE.items():
        if role == (VIEWER if getattr(settings, setting) else OPERATOR):
            found += names
    return tuple(found)


def permissions_of(role: str) -> tuple[str, ...]:
    """All permissions of ``role`` as ``app.codename``, including those of the roles before it."""
    names: list[str] = []
    for name in _OWN:
        names += own_permissions(name)
        if name == role:
            return tuple(names)
    raise ValueError(f"There is no role {role!r}.")


def ensure_roles() -> None:
    """Create the three groups with exactly their permissions; idempotent."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    for role in _OWN:
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(known[name] for name in permissions_of(role))
