"""`manage.py write_glossary`: docs/glossary.md and docs/glossary.ko.md from core/glossary.py."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from core import glossary

PAGES = {"en": "docs/glossary.md", "ko": "docs/glossary.ko.md"}


class Command(BaseCommand):
    """Writes both pages anew; idempotent."""

    help = "Writes docs/glossary.md and docs/glossary.ko.md from core/glossary.py."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the page of each language."""
        for language, name in PAGES.items():
            page = Path(settings.BASE_DIR) / name
            page.write_text(glossary.as_markdown(language), encoding="utf-8")
            self.stdout.write(f"Wrote {name}.")
