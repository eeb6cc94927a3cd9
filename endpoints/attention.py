"""Endpoints that need somebody, for Today: those that stopped, and those changed outside."""

from django.db.models import Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.attention import SHOWN, Act, Item, ItemGroup
from endpoints import orphans, tables
from endpoints.budgets import TOLD_AT, BudgetSoFar, CostSoFar, so_far
from endpoints.end_dates import MAY_POSTPONE
from endpoints.models import Endpoint, MonthSoFar, Orphan, Resource

# At most this many are loaded: more than anybody runs, so one query serves the list of what runs.
MOST = 200


def running(request: HttpRequest) -> list[Endpoint]:
    """The endpoints that are not gone, with their resources; queried once for a request."""
    known = getattr(request, "_running_endpoints", None)
    if known is None:
        figures = MonthSoFar.objects.present().values("figures")[:1]
        known = list(Endpoint.objects.shown().annotate(figures=Subquery(figures))[:MOST])
        request._running_endpoints = known  # type: ignore[attr-defined]
    return known


def month_so_far(request: HttpRequest) -> CostSoFar | None:
    """What the present month cost, as last added up; queried with what runs.

    Where nothing runs, the query of its resources is not made, and one of these figures is.
    """
    found = running(request)
    if found:
        figures = getattr(found[0], "figures", None)
    else:
        figures = MonthSoFar.objects.present().values_list("figures", flat=True).first()
    return so_far(figures)


def budgeted(request: HttpRequest) -> list[ItemGroup]:
    """The budgets of which half and more is used, as Today shows them."""
    month = month_so_far(request)
    found = month.reached if month is not None else []
    if month is None or not found:
        return []
    summary = ngettext(
        "%(count)s budget is used by half or more",
        "%(count)s budgets are used by half or more",
        len(found),
    ) % {"count": len(found)}
    url = reverse("endpoints:cost")
    items = [Item(_used(one), url, _used_so_far(one, month)) for one in found[:SHOWN]]
    used_up = any(one.percent >= max(TOLD_AT) for one in found)
    return [ItemGroup(summary, items, url if len(found) > SHOWN else "", error=used_up)]


def _used(one: BudgetSoFar) -> str:
    said = _("%(percent)s %% of the budget of all endpoints is used.")
    if one.owner:
        said = _("%(percent)s %% of the budget of the owner %(owner)s is used.")
    elif one.tag:
        said = _("%(percent)s %% of the budget of the tag %(tag)s is used.")
    return said % {"percent": one.percent, "owner": one.owner, "tag": one.tag}


def _used_so_far(one: BudgetSoFar, month: CostSoFar) -> str:
    said = _("%(cost)s of %(amount)s %(currency)s this month.")
    return said % {"cost": one.cost, "amount": one.amount, "currency": month.currency}


def waiting(request: HttpRequest) -> list[ItemGroup]:
    """The endpoints that failed or stopped, and those changed outside, as Today shows them."""
    failed = [one for one in running(request) if one.failure]
    changed = [one for one in running(request) if one.changed_outside and not one.failure]
    ending = [one for one in running(request) if one.ends_soon or one.idles]
    groups = []
    if failed:
        summary = ngettext(
            "%(count)s endpoint needs a decision",
            "%(count)s endpoints need a decision",
            len(failed),
        ) % {"count": len(failed)}
        items = [_failed(one) for one in failed[:SHOWN]]
        groups.append(ItemGroup(summary, items, _all(failed, tables.HALTED), error=True))
    if changed:
        summary = ngettext(
            "%(count)s endpoint changed outside the portal",
            "%(count)s endpoints changed outside the portal",
            len(changed),
        ) % {"count": len(changed)}
        items = [_changed(one) for one in changed[:SHOWN]]
        groups.append(ItemGroup(summary, items, _all(changed, tables.CHANGED)))
    if ending:
        summary = ngettext(
            "%(count)s endpoint ends soon", "%(count)s endpoints end soon", len(ending)
        ) % {"count": len(ending)}
        may_act = request.user.has_perm(MAY_POSTPONE)
        items = [_ending(one, may_act=may_act) for one in ending[:SHOWN]]
        groups.append(ItemGroup(summary, items, _all(ending, tables.ENDING)))
    return groups


def orphaned(_request: HttpRequest) -> list[ItemGroup]:
    """What the portal made and no endpoint owns, as Today shows it."""
    found = list(Orphan.objects.waiting().exclude(told_at=None)[:MOST])
    if not found:
        return []
    summary = ngettext(
        "%(count)s resource in the AWS account belongs to no endpoint",
        "%(count)s resources in the AWS account belong to no endpoint",
        len(found),
    ) % {"count": len(found)}
    # What costs money comes first.
    some = sorted(found, key=lambda one: one.kind != Resource.Kind.ENDPOINT)[:SHOWN]
    url = reverse("endpoints:orphans")
    items = [Item(str(one), url, _orphan_costs(one)) for one in orphans.with_costs(some)]
    return [ItemGroup(summary, items, url if len(found) > SHOWN else "")]


def _orphan_costs(orphan: Orphan) -> str:
    return orphan.cost.said if orphan.cost is not None else ""


def _failed(endpoint: Endpoint) -> Item:
    text = _("%(endpoint)s: %(state)s.") % {"endpoint": endpoint, "state": endpoint.badge.label}
    return Item(text, endpoint.get_absolute_url(), str(endpoint.failure_said))


def _changed(endpoint: Endpoint) -> Item:
    text = _("%(endpoint)s was changed outside the portal.") % {"endpoint": endpoint}
    more = _("It runs on %(now)s; %(wanted)s was requested here.") % {
        "now": endpoint.running,
        "wanted": endpoint.requested,
    }
    return Item(text, endpoint.get_absolute_url(), more)


def _ending(endpoint: Endpoint, *, may_act: bool) -> Item:
    if not endpoint.ends_soon:
        return _idle(endpoint, may_act=may_act)
    text = _("%(endpoint)s is torn down at its end date.") % {"endpoint": endpoint}
    assert endpoint.expires_at is not None  # ends_soon
    moment = date_format(timezone.localtime(endpoint.expires_at), "DATETIME_FORMAT")
    more = _("End date: %(moment)s.") % {"moment": moment}
    act = _a_day_longer(endpoint, "endpoints:postpone") if may_act else None
    return Item(text, endpoint.get_absolute_url(), more, act=act)


def _a_day_longer(endpoint: Endpoint, view: str, option: str = "") -> Act:
    command = " ".join(filter(None, ("mme endpoint postpone", endpoint.name, option)))
    return Act(_("One day longer"), reverse(view, args=[endpoint.pk]), command)


def _idle(endpoint: Endpoint, *, may_act: bool) -> Item:
    text = _("%(endpoint)s is torn down, as nobody calls it.") % {"endpoint": endpoint}
    assert endpoint.idle_ends_at is not None  # idles
    moment = date_format(timezone.localtime(endpoint.idle_ends_at), "DATETIME_FORMAT")
    more = _("At: %(moment)s.") % {"moment": moment}
    act = _a_day_longer(endpoint, "endpoints:postpone-idle", "--idle") if may_act else None
    return Item(text, endpoint.get_absolute_url(), more, act=act)


def _all(found: list[Endpoint], state: str) -> str:
    return f"{reverse('endpoints:list')}?state={state}" if len(found) > SHOWN else ""
