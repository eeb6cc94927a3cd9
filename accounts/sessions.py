"""Where sessions are kept: Django's table and rows, which each page reads (SESSION_ENGINE)."""

from typing import Any

from django.contrib.sessions.backends import db
from django.db import connection
from django.utils import timezone

from core.storable import has_nul


class SessionStore(db.SessionStore):
    """Django's own, which reads a session by a statement that stays the same.

    Django compiles the statement anew for each page, and that takes longer than the database.
    """

    def load(self) -> dict[str, Any]:
        """What the session holds; nothing where there is none, or its time is over."""
        if has_nul(self.session_key):  # a cookie may say so, and PostgreSQL has no such text
            self._session_key = None
            return {}
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT session_data FROM django_session"
                " WHERE session_key = %s AND expire_date > %s",
                [self.session_key, now],
            )
            found = cursor.fetchone()
        if found is None:
            self._session_key = None
            return {}
        return self.decode(found[0])
