"""Calls of models, their pictures and their answers."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class InvocationsConfig(AppConfig):
    """Registers what other apps show of calls and test sets."""

    name = "invocations"

    def ready(self) -> None:
        """Register events, rights of the roles, panels, and what the search finds."""
        from accounts import roles
        from activity import codes, redaction, subjects
        from core import palette
        from endpoints import warm_ups
        from invocations import found, of_version, panels, seeing
        from invocations.events import TEMPLATES
        from invocations.models import (
            AnswerComparison,
            ComparedPicture,
            Experiment,
            Invocation,
            LabelledPicture,
            Picture,
            PictureGiver,
            Warming,
            WarmSchedule,
        )
        from invocations.warming import keeping
        from models_catalog import comparing, retiring

        codes.register(TEMPLATES)
        calls = gettext_lazy("Calls: names of pictures, answers and errors")
        redaction.register(
            *("calls", calls, Invocation),
            *("picture_name", "predictions", "answer", "error", "error_code"),
        )
        redaction.register("calls", calls, Picture, "name")
        redaction.register("calls", calls, PictureGiver, "name")
        redaction.register(
            "experiments",
            gettext_lazy("Experiments"),
            Experiment,
            "name",
            "created_by_name",
            "error",
            "error_code",
            "result",
        )
        warming = gettext_lazy("Warming of models")
        redaction.register("warmings", warming, Warming, "created_by_name", "results")
        redaction.register("warmings", warming, WarmSchedule, "changed_by_name")
        test_sets = gettext_lazy("Test sets and comparisons of answers")
        redaction.register(
            "test_sets", test_sets, LabelledPicture, "name", "label", "predicted", "flagged_by_name"
        )
        redaction.register("test_sets", test_sets, AnswerComparison, "created_by_name")
        redaction.register("test_sets", test_sets, ComparedPicture, "name", "label", "one", "other")
        subjects.register(
            AnswerComparison.activity_kind,
            AnswerComparison,
            label=gettext_lazy("Comparisons of answers"),
        )
        subjects.register(Warming.activity_kind, Warming, label=warming)
        subjects.register(Experiment.activity_kind, Experiment, label=gettext_lazy("Experiments"))
        roles.grant_while("VIEWERS_SEE_ALL_CALLS", seeing.MAY_SEE_ALL)
        roles.grant(roles.OPERATOR, "invocations.run_large_experiment")
        roles.grant(roles.ADMIN, "invocations.empty_test_set")
        panels.register_all()
        palette.register(found.pages)
        palette.register(found.versions)
        warm_ups.register(keeping.note_aliases)
        comparing.register_calls(of_version.calls_of)
        retiring.register_uses(of_version.last_call)
        retiring.register_left_overs(of_version.forget_pictures)
