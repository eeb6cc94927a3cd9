"""Tokens of the API for tests of something else.

To make one as a person does takes 20 queries: rules about users are held, and it is recorded.
"""

from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.models import User

from accounts import tokens
from accounts.models import Token
from core import clock
from core.api.caller import Scope


def secret_of(user: User, scopes: Iterable[str], *, name: str = "t") -> str:
    """The secret of a new token of ``user``, which counts for a day."""
    secret, now = tokens.new_secret(), clock.now()
    Token.objects.create(
        user=user,
        name=name,
        digest=tokens.digest(secret),
        scopes=[scope.value for scope in Scope if scope.value in set(scopes)],
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    return secret
