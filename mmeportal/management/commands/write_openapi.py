"""`manage.py write_openapi`: docs/openapi.json, and docs/problems.md, from the code."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from mmeportal import api, problem_pages

DOCUMENT = "docs/openapi.json"
BASELINE = "docs/openapi-baseline.json"
PROBLEMS = "docs/problems.md"


class Command(BaseCommand):
    """Writes the files anew; idempotent."""

    help = "Writes docs/openapi.json and docs/problems.md from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take ``--baseline``."""
        parser.add_argument(
            "--baseline",
            action="store_true",
            help="also write docs/openapi-baseline.json: what later changes must not break",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the document, the page of problems and, where asked for, the baseline."""
        root = Path(settings.BASE_DIR)
        contents = {DOCUMENT: api.document(), PROBLEMS: problem_pages.as_markdown().encode()}
        if options["baseline"]:
            contents[BASELINE] = api.document()
        for name, content in contents.items():
            (root / name).write_bytes(content)
            self.stdout.write(f"Wrote {name}.")
