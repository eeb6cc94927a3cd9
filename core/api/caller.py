"""Who calls an operation of the API: a user, with a token or with a session."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Scope(TextChoices):
    """What a token may be used for. It never adds to what its owner's role allows."""

    READ = "read", _("Read: models, versions, endpoints, calls and events")
    UPLOAD = "upload", _("Upload: archives, and what belongs to them")
    INVOKE = "invoke", _("Invoke: call models")
    OPERATE = "operate", _("Operate: create, check and tear down endpoints")
    ADMIN = "admin", _("Admin: what only admins may do")


#: In place of a scope: any token may, whatever its scopes.
ANY = "any"


@dataclass(frozen=True)
class Caller:
    """Who calls. ``scopes`` is None for a session, which may do all that the user's role allows.

    ``limit_key`` is what the calls are counted by (core/api/limits.py).
    """

    user: User
    scopes: frozenset[str] | None
    limit_key: str
    token_id: str = ""

    def may(self, scope: str) -> bool:
        """Whether the token has the scope; a session has all."""
        return self.scopes is None or scope == ANY or scope in self.scopes
