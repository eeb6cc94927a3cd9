"""What the activity log says about webhooks. No event holds a secret, or more than an address's
host: the rest of it may be secret."""

from typing import Final

from django.utils.translation import gettext_noop as _

#: The kind of the message that "Send a test" sends.
TEST: Final = "webhook.test"

TEMPLATES: Final = {
    "webhook.made": _("Made a webhook to %(host)s for: %(kinds)s."),
    "webhook.changed": _("Changed the webhook to %(host)s: %(fields)s."),
    "webhook.rotated": _(
        "Made a new secret for the webhook to %(host)s. The old one counts until %(until)s."
    ),
    "webhook.rotated_at_once": _(
        "Made a new secret for the webhook to %(host)s. The old one no longer counts."
    ),
    "webhook.tested": _("Sent a test to the webhook to %(host)s."),
    "webhook.paused": _("Paused the webhook to %(host)s."),
    "webhook.paused_failing": _(
        "Paused the webhook to %(host)s: nothing could be delivered for a day. The last time: "
        "%(problem)s"
    ),
    "webhook.paused_gone": _(
        "Paused the webhook to %(host)s: the receiver answered 410, which means that it is gone."
    ),
    "webhook.resumed": _("Resumed the webhook to %(host)s."),
    "webhook.removed": _("Removed the webhook to %(host)s, and its deliveries."),
}
