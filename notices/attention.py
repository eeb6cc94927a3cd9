"""Webhooks that the portal paused, which Today shows until somebody resumes or removes them."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.attention import SHOWN, Item, ItemGroup
from notices.models import Webhook


def paused(request: HttpRequest) -> list[ItemGroup]:
    """The webhooks that the portal paused because they failed."""
    found = list(Webhook.objects.filter(paused_by_portal=True).exclude(paused_at=None))
    if not found:
        return []
    items = [
        Item(
            _("The webhook %(name)s is paused: nothing could be delivered.") % {"name": one},
            one.get_absolute_url(),
        )
        for one in found[:SHOWN]
    ]
    count = len(found)
    summary = ngettext("%(count)s webhook paused", "%(count)s webhooks paused", count)
    url = reverse("notices:list") if count > SHOWN else ""
    return [ItemGroup(summary % {"count": count}, items, url, error=True)]
