"""The activity log: who did what, and when."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy, gettext_noop


class ActivityConfig(AppConfig):
    """Registers what other pages show of the log, and what may be redacted in it."""

    name = "activity"

    def ready(self) -> None:
        """Make panels, the event of a redaction and the columns of events known."""
        from activity import codes, panels, redaction, sealing, subjects
        from activity.models import Event

        panels.register_all()
        codes.register(
            {"log.redacted": gettext_noop("Redacted a text, which stood in %(count)s rows.")}
        )
        subjects.register(redaction.Log.activity_kind, None, label=gettext_lazy("The log itself"))
        redaction.register(
            "events",
            gettext_lazy("Events"),
            Event,
            "actor_name",
            "subject_name",
            "text",
            "parameters",
            "address",
            write=sealing.write_redacted,
        )
