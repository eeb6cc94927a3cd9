"""Webhooks and mails: who is told of what happens."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from activity import codes, subjects
from core import attention, palette, panels


class NoticesConfig(AppConfig):
    """Registers the outbox, and what other apps show of webhooks."""

    name = "notices"

    def ready(self) -> None:
        """Register events, the subject, the outbox, the link, rights, and what Today shows."""
        from accounts import roles
        from activity import redaction
        from activity.panels import MAY_LOOK
        from activity.services import register_listener
        from notices import delivering, finding, kinds, mail_page
        from notices.attention import paused
        from notices.events import TEMPLATES
        from notices.models import DeliveryAttempt, Webhook
        from notices.services import MAY_MANAGE

        codes.register(TEMPLATES, max_length=codes.LONG)
        told = _("Webhooks and their deliveries")
        redaction.register("webhooks", told, Webhook, "note", "created_by_name")
        redaction.register("webhooks", told, DeliveryAttempt, "answer", "problem", "problem_code")
        subjects.register(
            Webhook.activity_kind,
            Webhook,
            permission=MAY_MANAGE,
            doing=gettext_noop("manage webhooks"),
            label=_("Webhooks"),
        )
        register_listener(delivering.note)
        kinds.register(
            "webhook.paused",
            _("The portal paused a webhook"),
            ["webhook.paused_failing", "webhook.paused_gone"],
            permission=MAY_MANAGE,
            concern=lambda webhook: kinds.Concern(
                people=frozenset(filter(None, [webhook.created_by_id])),
                page=webhook.get_absolute_url(),
                api=kinds.api_path("webhooks", webhook.uid),
            ),
        )
        roles.grant(roles.ADMIN, MAY_MANAGE)
        attention.register(paused, permission=MAY_MANAGE, order=30)
        palette.register(finding.hits)
        panels.register(
            "preferences",
            "notices/_mails.html",
            permission=MAY_LOOK,
            context=mail_page.context,
        )
        panels.register(
            "activity.head",
            "notices/_activity_head.html",
            permission=MAY_MANAGE,
            context=lambda request: {},
        )
