"""The secrets of webhooks, and the signatures that are made with them (Standard Webhooks).

A secret is shown once and kept nowhere: it is an HMAC of the webhook's id and generation with the
setting SECRET_KEY, so neither the database nor a copy of it tells it. Its SHA-256 is kept: where
SECRET_KEY was changed, the secret cannot be made any more, and nothing is signed with a wrong one.
"""

import base64
import contextlib
import hashlib
import hmac
from datetime import datetime

from django.conf import settings
from django.utils.crypto import salted_hmac
from standardwebhooks import Webhook as Signer

from notices.models import Webhook

PREFIX = "whsec_"


class SecretLost(Exception):
    """SECRET_KEY was changed since the secret was made."""


def secret_of(uid: str, generation: int, key: str | bytes | None = None) -> str:
    """The secret of a webhook's generation."""
    value = salted_hmac(
        "notices.signing", f"{uid}:{generation}", secret=key, algorithm="sha256"
    ).digest()
    return PREFIX + base64.b64encode(value).decode()


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def headers(webhook: Webhook, message: str, at: datetime, body: str) -> dict[str, str]:
    """The three headers of Standard Webhooks; raises SecretLost."""
    signed = [_known(webhook.uid, webhook.generation, webhook.digest)]
    if webhook.old_until is not None and at < webhook.old_until:
        assert webhook.old_generation is not None
        with contextlib.suppress(SecretLost):  # the new one is enough
            signed.append(_known(webhook.uid, webhook.old_generation, webhook.old_digest))
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(one).sign(message, at, body) for one in signed),
    }


def _known(uid: str, generation: int, kept: str) -> str:
    """The secret whose digest is kept, with SECRET_KEY or one of its fallbacks."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        secret = secret_of(uid, generation, key)
        if hmac.compare_digest(digest(secret), kept):
            return secret
    raise SecretLost
