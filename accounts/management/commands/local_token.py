"""`manage.py local_token`: a file with which a shell calls the API of a local stack."""

import os
import re
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.utils.translation import override

from accounts import tokens
from core.env import env_str

_NAME = "make up (portal.env)"
_DAYS = 30
_AT_LEAST = timedelta(days=1)
_TOKEN = re.compile(r"^export MME_TOKEN=(\S+)$", re.MULTILINE)


class Command(BaseCommand):
    """Idempotent: the token that the file holds stays while it counts for another day."""

    help = (
        "Writes MME_URL and MME_TOKEN, as lines with `export` (mode 600): a token of ADMIN_USER "
        f"(default: admin) with all scopes of its role, for {_DAYS} days. The token that the file "
        "holds stays while it counts for another day and has these scopes; else it is revoked."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, and of which portal."""
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--url", required=True, help="the address of the portal")

    def handle(self, *args: Any, **options: Any) -> None:
        """Renew the token where it is due, and write the file."""
        path = Path(options["file"])
        found = _TOKEN.search(path.read_text()) if path.exists() else None
        held = found[1] if found else ""
        name = env_str("ADMIN_USER", "admin")
        user = User.objects.filter(username=name, is_active=True).first()
        lines = [f"export MME_URL={options['url']}"]
        said = f"Wrote {path.name} with a new token of {name!r}."
        if user is None:
            said = f"Wrote {path.name} without a token: there is no active account {name!r}."
        else:
            days = min(_DAYS, tokens.offered_days()[-1])
            try:
                with override("en"):
                    secret = tokens.renew(
                        user=user, name=_NAME, days=days, old=held, at_least=_AT_LEAST
                    )
                if secret == held:
                    said = f"Wrote {path.name} with the token of {name!r} that it held."
                lines.append(f"export MME_TOKEN={secret}")
            except ValidationError as error:
                said = f"Wrote {path.name} without a token: {' '.join(error.messages)}"
        lines.append('export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"')
        _write(path, _HEAD + "\n".join(lines) + "\n")
        self.stdout.write(said)


_HEAD = """\
# `. FILE`, and a shell has the address of this portal and a token for its API.
# Written at each start; a token that counts for another day stays, another one is revoked.
"""


def _write(path: Path, text: str) -> None:
    """Write it atomically, for its owner alone."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
