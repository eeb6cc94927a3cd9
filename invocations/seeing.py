"""Whose calls somebody sees: everybody's with MAY_SEE_ALL, else one's own alone.

`Invocation.objects` leaves out what who reads may not see (core/guarded.py), so that the calls of
others are not there for pages, operations and files. Sums are of everybody's calls, by
`Invocation.everybodys`: they name no picture and nobody.
"""

from typing import Any

from core import guarded

MAY_SEE_ALL = "invocations.view_all_calls"


def sees_all(user: Any) -> bool:
    """Whether a user sees the calls of others, and the pictures that others sent."""
    seen: bool = user.has_perm(MAY_SEE_ALL)
    return seen


def may_see(created_by: int | None) -> bool:
    """Whether who reads may see what this person called; None: nobody knows whose it is."""
    reader = guarded.reader()
    if reader is None or sees_all(reader):
        return True
    return created_by is not None and created_by == reader.pk
