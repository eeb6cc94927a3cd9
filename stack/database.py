"""Brings the database up to date and sees to its administrator, in one start of Django.

Run with the portal's Python and environment: ``python -m stack.database``. As two commands of
`manage.py` it would take twice as long, at every start.
"""

import os


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", interactive=False)
    call_command("ensure_admin")


if __name__ == "__main__":
    main()
