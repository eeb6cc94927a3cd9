"""`manage.py changepassword`: Django's, with an event."""

from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User

from accounts import services


class Command(changepassword.Command):
    """Writes an event for the user whose password was set."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Compare what was before and after: the command asks for the password itself.

        Not in one transaction, which would keep all others from writing while somebody types.
        """
        before = dict(User.objects.values_list("pk", "password"))
        answer = super().handle(*args, **options)
        for user in User.objects.all():
            if before.get(user.pk, user.password) != user.password:
                services.note_password(user=user, actor=None)
        return answer
