"""`manage.py compile_catalogs`: the catalogs of the languages, where they are out of date."""

from typing import Any

from django.core.management.base import BaseCommand

from core import catalogs


class Command(BaseCommand):
    """Idempotent: it runs at every start of a stack."""

    help = "Makes the .mo file of each .po file that was changed (core/catalogs.py)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Compile, and say how many."""
        self.stdout.write(f"Compiled {len(catalogs.compile_changed())} catalogs.")
