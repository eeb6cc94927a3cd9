"""`manage.py ensure_admin`: the roles, and a first user to log in with."""

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand

from mmeportal import roles
from mmeportal.env import env_secret, env_str


class Command(BaseCommand):
    """Safe to run at every start: an account that exists, and its password, stay as they are."""

    help = (
        "Writes the roles (viewer, operator, admin) to the database and, where no superuser "
        "exists, creates one from ADMIN_USER (default: admin) and ADMIN_PASSWORD (or "
        "ADMIN_PASSWORD_FILE)."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do both."""
        roles.ensure_roles()
        if User.objects.filter(is_superuser=True).exists():
            self.stdout.write("The roles are in place; an administrator exists already.")
            return
        name = env_str("ADMIN_USER", "admin")
        user = User.objects.create_superuser(name, password=env_secret("ADMIN_PASSWORD"))
        user.groups.add(Group.objects.get(name=roles.ADMIN))
        self.stdout.write(f"Created the administrator {name!r}.")
