"""`manage.py ensure_admin`: the roles, and a first user to log in with."""

from typing import Any

from django.core.management.base import BaseCommand

from accounts import services
from core.env import env_secret, env_str


class Command(BaseCommand):
    """Idempotent: it runs at every start, and an account that exists keeps its password."""

    help = (
        "Writes the roles (viewer, operator, admin) to the database and, where no active superuser "
        "exists, makes ADMIN_USER (default: admin) one: an account of that name gets its rights "
        "back, else one is created with ADMIN_PASSWORD (or ADMIN_PASSWORD_FILE)."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do both."""
        name = env_str("ADMIN_USER", "admin")
        done = services.ensure_admin(name=name, password=lambda: env_secret("ADMIN_PASSWORD"))
        self.stdout.write(done)
