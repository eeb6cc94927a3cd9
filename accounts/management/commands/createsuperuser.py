"""`manage.py createsuperuser`: Django's, with an event."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from accounts import services


class Command(createsuperuser.Command):
    """Writes an event for the user that was made."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Compare who was there before and after: the command asks for the name itself."""
        before = set(User.objects.values_list("pk", flat=True))
        answer = super().handle(*args, **options)
        for user in User.objects.filter(is_superuser=True).exclude(pk__in=before):
            services.note_made(user=user, actor=None)
        return answer
