"""Take back that an endpoint ends a day later: the Undo of the button that postponed it.

What the button changed is signed, with what it was before. Whoever pressed it can take it back for
some minutes, as long as nothing of it was changed since: also who may let no endpoint end earlier.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from activity.services import record
from core import clock
from core.errors import CONFLICT
from endpoints import services
from endpoints.end_dates import in_words
from endpoints.models import Endpoint

#: What a postponement changes: when it ends comes first.
END = ("expires_at", "end_told")
IDLE = ("idle_ends_at", "idle_not_before", "idle_told")
UNDO_FOR = timedelta(minutes=10)
_SALT = "endpoints.postponed"


def seen(row: Endpoint, fields: tuple[str, ...]) -> dict[str, Any]:
    """These columns, as JSON has them."""
    values = {name: getattr(row, name) for name in fields}
    return {
        name: one.isoformat() if isinstance(one, datetime) else one for name, one in values.items()
    }


def undo_of(row: Endpoint, actor: User | None, before: dict[str, Any]) -> str:
    """What takes a postponement back; empty where nobody asked for it."""
    if actor is None:
        return ""
    after = seen(row, tuple(before))
    told = {"pk": row.pk, "by": actor.pk, "before": before, "after": after}
    return signing.dumps(told, salt=_SALT, compress=True)


@transaction.atomic
def take_back(*, undo: str, actor: User) -> Endpoint:
    """Have the endpoint end when it did before.

    Raises ValidationError, as a conflict, with nothing changed: where somebody else postponed it,
    it was changed since, or that time is over.
    """
    late = ValidationError(_("This cannot be undone any more. Nothing was changed."), code=CONFLICT)
    try:
        told = signing.loads(undo, salt=_SALT, max_age=UNDO_FOR)
    except signing.BadSignature:
        raise late from None
    endpoint = Endpoint.objects.filter(pk=told["pk"]).first()
    if endpoint is None or told["by"] != actor.pk:
        raise late
    row, before = services.locked(endpoint, None), told["before"]
    fields = (*before,)
    when = datetime.fromisoformat(
        before[next(name for name in (END[0], IDLE[0]) if name in before)]
    )
    if seen(row, fields) != told["after"] or when <= clock.now():
        raise late
    for name, value in before.items():
        is_time = name not in ("end_told", "idle_told") and value is not None
        setattr(row, name, datetime.fromisoformat(value) if is_time else value)
    row.save(update_fields=fields)
    facts = {"name": row.name, "end": in_words(when)}
    record(action="endpoint.postponement_undone", subject=row, actor=actor, parameters=facts)
    return row
