"""`manage.py createsuperuser`: Django's command, which also records an event."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from accounts import services


class Command(createsuperuser.Command):
    """Records an event for the user that was created."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        """Compare the users before and after, since the command asks for the name itself."""
        before = set(User.objects.values_list("pk", flat=True))
        answer = super().handle(*args, **options)
        for user in User.objects.filter(is_superuser=True).exclude(pk__in=before):
            services.record_created(user=user, actor=None)
        return answer
