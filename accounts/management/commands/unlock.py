"""`manage.py unlock`: end pauses of log-ins."""

import ipaddress
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services


class Command(BaseCommand):
    """Deletes counts of failures; records an event."""

    help = (
        "Ends the pause of log-ins after too many wrong passwords: of a name (from every "
        "address), of an address (for every name), or all of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to unlock."""
        parser.add_argument("which", nargs="?", metavar="NAME|ADDRESS")
        parser.add_argument("--all", action="store_true", help="end every pause")

    def handle(self, *args: Any, **options: Any) -> None:
        """Unlock it."""
        which: str | None = options["which"]
        if (which is None) != options["all"]:
            raise CommandError("Give a name, an address, or --all.")
        if which is None:
            count = services.unlock(actor=None, everything=True)
        elif _is_address(which):
            count = services.unlock(actor=None, address=which)
        else:
            count = services.unlock(actor=None, name=which)
        self.stdout.write(f"Forgot {count} counts of failed log-ins.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
