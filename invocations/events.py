"""What the activity log says about test sets: a sentence for each event code."""

from typing import Final

from django.utils.translation import gettext_noop as _

TEMPLATES: Final = {
    "test_set.flagged": _(
        "Flagged an answer of %(version)s as wrong: it said “%(predicted)s”, right is “%(label)s”."
    ),
    "test_set.emptied": _("Emptied the test set of %(name)s. Pictures deleted: %(count)s."),
}
