"""What the activity log says about test sets: a sentence for each event code."""

from typing import Final

from django.utils.translation import gettext_noop as _

TEMPLATES: Final = {
    "model.answer_flagged": _(
        "Flagged an answer of %(version)s as wrong: it said “%(predicted)s”, the right label is "
        "“%(label)s”."
    ),
    "model.flag_undone": _(
        "Took back a flag: the picture with the label “%(label)s” is no longer in the test set "
        "of %(name)s."
    ),
    "model.flag_restored": _(
        "Took back a flag: a picture in the test set of %(name)s has the label “%(label)s” again."
    ),
    "model.test_picture_removed": _(
        "Took a picture with the label “%(label)s” out of the test set of %(name)s."
    ),
    "endpoint.picture_forgotten": _(
        "Had a picture forgotten that was sent to %(version)s on %(name)s (calls: %(calls)s)."
    ),
    "comparison.requested": _(
        "Had %(one)s and %(other)s called with the same pictures on %(endpoint)s (pictures: "
        "%(count)s)."
    ),
    "experiment.requested": _(
        "Began the experiment “%(name)s” on %(endpoint)s (calls: %(calls)s, versions: "
        "%(versions)s)."
    ),
    "experiment.stopped": _("Stopped the experiment “%(name)s”."),
    "comparison.requested_of_one": _(
        "Had %(one)s called with many pictures on %(endpoint)s (pictures: %(count)s)."
    ),
    "warming.requested": _("Had models of %(endpoint)s warmed (versions: %(versions)s)."),
    "warming.stopped": _("Stopped the warming of models of %(endpoint)s."),
    "endpoint.kept_warm": _(
        "Had models of %(name)s kept warm (versions: %(versions)s, minutes between: %(minutes)s)."
    ),
    "endpoint.warmed_after_changes": _(
        "Had models of %(name)s warmed after each deploy and change (versions: %(versions)s)."
    ),
    "endpoint.not_kept_warm": _("Had models of %(name)s no longer kept warm."),
    "comparison.stopped": _("Stopped a comparison of answers: %(versions)s."),
    "comparison.deleted": _("Deleted a comparison of answers: %(versions)s."),
    "model.test_set_emptied": _("Emptied the test set of %(name)s (pictures deleted: %(count)s)."),
}
