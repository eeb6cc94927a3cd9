"""`manage.py verify_activity`: whether the activity log says what was sealed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from activity import sealing


class Command(BaseCommand):
    """Reads every event and every seal; changes nothing. Exit code 1 where something is wrong."""

    help = (
        "Verifies the hash chain over the activity log, and prints its head. Keep heads elsewhere: "
        "with --head it says whether the log still has all that it had then."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """An earlier head."""
        parser.add_argument("--head", metavar="LINK", default="", help="a head that was kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify it."""
        found = sealing.verify(known_head=options["head"].strip())
        for problem in found.problems:
            self.stdout.write(problem)
        if found.problems:
            count = len(found.problems) + found.more
            raise CommandError(f"The log is not what was sealed: {count} problems.")
        self.stdout.write(
            f"{found.events:,} events are what was sealed; {found.redacted:,} seals were taken "
            f"back by redactions, {found.waiting:,} events wait for the job that seals."
        )
        self.stdout.write(f"head {found.head or '(none)'}")
