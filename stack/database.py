"""Compiles catalogs, migrates, creates the administrator and its token: in one start of Django.

Run with the portal's Python and environment: ``python -m stack.database``. Two commands of
`manage.py` would take twice as long at every start.
"""

import os
from pathlib import Path

from stack.layout import Layout

_MARKER = "admin-password-changed"


def password_changed(layout: Layout) -> bool:
    """Whether the administrator's password differs from the one in the file."""
    return (layout.local_dir / "run" / _MARKER).exists()


def _note_password(layout: Layout) -> None:
    from django.contrib.auth.models import User

    password = (layout.local_dir / "admin-password").read_text().strip()
    admin = User.objects.filter(username="admin").first()
    marker: Path = layout.local_dir / "run" / _MARKER
    if admin is not None and admin.check_password(password):
        marker.unlink(missing_ok=True)
    else:
        marker.touch()


def portal_env(layout: Layout) -> Path:
    """The file that a shell sources to call the API: MME_URL and MME_TOKEN."""
    return layout.local_dir / "portal.env"


def prepare() -> None:
    """Compile the catalogs, migrate the database, and create the administrator if missing."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("compile_catalogs")
    call_command("migrate", interactive=False)
    call_command("ensure_admin")


def main() -> None:
    from django.core.management import call_command

    prepare()
    layout = Layout.from_environment()
    call_command("local_token", str(portal_env(layout)), url=layout.url)
    _note_password(layout)


if __name__ == "__main__":
    main()
