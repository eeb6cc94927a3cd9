"""What the activity log says about test sets: a sentence for each event code."""

from typing import Final

from django.utils.translation import gettext_noop as _

TEMPLATES: Final = {
    "model.answer_flagged": _(
        "Flagged an answer of %(version)s as wrong: it said “%(predicted)s”, the right label is "
        "“%(label)s”."
    ),
    "model.test_set_emptied": _("Emptied the test set of %(name)s (pictures deleted: %(count)s)."),
}
