"""`manage.py changepassword`: Django's command, which also records an event."""

from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User

from accounts import services


class Command(changepassword.Command):
    """Records an event for the user whose password was set."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Compare the users before and after, since the command asks for the password itself.

        This is not one transaction: it would block all writes while somebody types.
        """
        before = dict(User.objects.values_list("pk", "password"))
        answer = super().handle(*args, **options)
        for user in User.objects.all():
            if before.get(user.pk, user.password) != user.password:
                services.record_password(user=user, actor=None)
        return answer
