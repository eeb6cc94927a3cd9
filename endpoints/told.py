"""What of endpoints people and programs can be told (notices/kinds.py)."""

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from endpoints.end_dates import MAY_POSTPONE
from endpoints.models import Budget, Endpoint
from notices import kinds
from notices.kinds import Concern, OfferedAct, api_path

_VIEW = "endpoints.view_endpoint"


def register() -> None:
    """Make the kinds known; a new one is a line here."""
    for name, label, codes in (
        ("endpoint.serving", _("An endpoint is in service"), ["endpoint.endpoint.in_service"]),
        ("endpoint.failed", _("An endpoint failed, or AWS refuses it"), _FAILED),
        ("endpoint.changed", _("An endpoint was changed"), _CHANGED),
        ("endpoint.scaled", _("Autoscaling acted, or could not"), _SCALED),
        ("endpoint.change_refused", _("A change of an endpoint was not made"), _NOT_MADE),
        ("endpoint.expiring", _("An endpoint ends within a day, or an hour"), _EXPIRING),
        ("endpoint.expired", _("An endpoint is torn down by its end date, or as idle"), _EXPIRED),
        ("endpoint.gone", _("An endpoint is torn down"), ["endpoint.gone"]),
        ("endpoint.alarm", _("An alarm of an endpoint went off, is over, or is tested"), _ALARMS),
        ("endpoint.drift", _("An endpoint was changed outside the portal"), _DRIFT),
    ):
        kinds.register(name, label, codes, permission=_VIEW, concern=_of_endpoint, acts=_ACTS)
    kinds.register(
        "orphans.found",
        _("Something in the AWS account belongs to no endpoint"),
        ["orphans.found"],
        permission=_VIEW,
        concern=_of_account,
    )
    kinds.register(
        "budget.reached",
        _("A part of a budget is used: 50, 80 or 100\N{NO-BREAK SPACE}%"),
        ["budget.reached"],
        permission=_VIEW,
        concern=_of_budget,
    )


_ALARMS = ["endpoint.alarm_on", "endpoint.alarm_over", "endpoint.alarm_tested"]
_SCALED = ["endpoint.scaled", "endpoint.not_scaled"]
_EXPIRING = [
    "endpoint.expires_in_a_day",
    "endpoint.expires_in_an_hour",
    "endpoint.pauses_first",
    "endpoint.pauses_in_an_hour",
    "endpoint.idle_ends_in_a_day",
    "endpoint.idle_ends_in_an_hour",
    "endpoint.idle_unknown",
]
_DAY_LONGER = OfferedAct(_("One day longer"), "postpone/", MAY_POSTPONE)
_IDLE_DAY_LONGER = OfferedAct(_("One day longer"), "idle/postpone/", MAY_POSTPONE)
_ACTS = {
    "endpoint.expires_in_a_day": _DAY_LONGER,
    "endpoint.expires_in_an_hour": _DAY_LONGER,
    "endpoint.idle_ends_in_a_day": _IDLE_DAY_LONGER,
    "endpoint.idle_ends_in_an_hour": _IDLE_DAY_LONGER,
    "endpoint.pauses_first": OfferedAct(_("One day longer"), "extend/day/", MAY_POSTPONE),
    "endpoint.pauses_in_an_hour": OfferedAct(_("Two hours longer"), "extend/", MAY_POSTPONE),
}
_EXPIRED = ["endpoint.expired", "endpoint.idle_over"]
_NOT_MADE = ["endpoint.update_refused", "endpoint.update_rolled_back"]
_CHANGED = ["endpoint.updated", "endpoint.updated_variants"]
_FAILED = [
    "endpoint.endpoint.failed",
    "endpoint.endpoint.update_rollback_failed",
    "endpoint.endpoint.out_of_service",
    "endpoint.denied",
    "endpoint.refused",
    "endpoint.scaling_refused",
]
_DRIFT = [
    "endpoint.updated_outside",
    "endpoint.deleted_outside",
    "endpoint.scaling_lost",
    *(
        f"endpoint.{what}.{how}"
        for what in ("model", "config", "endpoint")
        for how in ("lost", "replaced", "foreign")
    ),
]


def _of_account(_account: object) -> Concern:
    return Concern(page=reverse("endpoints:orphans"), api=api_path("orphans"))


def _of_budget(budget: Budget) -> Concern:
    return Concern(
        people=frozenset(filter(None, [budget.owner_id])),
        page=budget.get_absolute_url(),
        api=api_path("cost"),
    )


def _of_endpoint(endpoint: Endpoint) -> Concern:
    return Concern(
        people=frozenset(filter(None, [endpoint.created_by_id, endpoint.owner_id])),
        page=endpoint.get_absolute_url(),
        api=api_path("endpoints", endpoint.name),
    )
