"""What an attempt made that was cut off: by the events that were stored with it."""

from activity.models import Event


def made_by(attempt: str, action: str) -> int | None:
    """The id of the subject that ``attempt`` recorded ``action`` about; None where it did not.

    An event is stored in the transaction of what it is about, so None means that there is no row.
    For the ``resume`` of an operation (core/api/idempotency.py).
    """
    if not attempt:
        return None
    found = Event.objects.filter(attempt=attempt, action=action).newest()
    return found.values_list("subject_id", flat=True).first()


def all_made_by(attempt: str, action: str) -> list[int]:
    """The same where an attempt makes several things in one transaction."""
    if not attempt:
        return []
    found = Event.objects.filter(attempt=attempt, action=action).order_by("pk")
    return list(found.values_list("subject_id", flat=True))
