"""The page of what endpoints cost, and the same as a file."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from core import charts, clock, spreadsheet, where
from core.charts import Chart, Series
from core.permissions import actor, require_permission
from endpoints import beside, budgets, prices
from endpoints.forms import BudgetForm
from endpoints.models import Budget, Endpoint
from endpoints.months import Month
from endpoints.rights import LOOKING, MAY_LOOK
from endpoints.spending import Grouping, Spending, month_named, spending
from endpoints.tabs import list_tabs

_may_look = require_permission(MAY_LOOK, LOOKING)
_may_set = require_permission(budgets.MAY_SET, "set budgets")


@require_safe
@_may_look
def cost(request: HttpRequest) -> HttpResponse:
    """What a month cost by endpoint, owner, tag or day; the present one by default."""
    found = _asked(request)
    context = {
        "tabs": list_tabs(request, torn_down=Endpoint.objects.gone().count()),
        "spending": found,
        "chart": _chart(found),
        "months": [(str(one), _named(one)) for one in found.months],
        "month_name": _named(found.month),
        "groupings": Grouping.choices,
        "empty": not found.whole.hours and not found.whole.expected,
        "is_local": where.is_local(),
        "others": beside.found() if found.current else None,
        "budgets": budgets.standings(found),
        "may_set": request.user.has_perm(budgets.MAY_SET),
    }
    return render(request, "endpoints/cost.html", context)


@require_safe
@_may_look
def as_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The lines of the page as a file for spreadsheets."""
    found = _asked(request)
    answer = StreamingHttpResponse(_lines(found), content_type="text/csv; charset=utf-8")
    name = f"cost-{found.month}-{found.grouping}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@_may_set
def budget(request: HttpRequest) -> HttpResponse:
    """Set what a month may cost, or remove that; the address can name an owner or a tag."""
    currency = prices.known().currency
    if request.method == "POST":
        form = BudgetForm(request.POST, currency=currency)
        if form.is_valid() and _set(request, form):
            return redirect("endpoints:cost")
        return render(request, "endpoints/budget.html", {"form": form}, status=400)
    form = BudgetForm(initial=_chosen(request), currency=currency)
    return render(request, "endpoints/budget.html", {"form": form})


def _chosen(request: HttpRequest) -> dict[str, Any]:
    """The owner and the tag of the address, with the budget that they have."""
    name, tag = (request.GET.get(one, "").replace("\0", "") for one in ("owner", "tag"))
    owner = User.objects.filter(username=name).first() if name else None
    row = Budget.objects.filter(owner=owner, tag="" if owner else tag).first()
    return {"owner": owner, "tag": tag, "amount": row.amount if row is not None else None}


def _set(request: HttpRequest, form: BudgetForm) -> bool:
    """Do what a valid form asks for; False, with the reason in the form, where that is refused."""
    asked = form.cleaned_data
    whose: Any = {"owner": asked["owner"], "tag": asked["tag"], "actor": actor(request)}
    if asked["amount"] is None:
        if budgets.remove_budget(**whose):
            messages.success(request, _("The budget is removed."))
        else:
            messages.info(request, _("There was no such budget. Nothing was changed."))
        return True
    try:
        budgets.set_budget(amount=asked["amount"], **whose)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    messages.success(request, _("The budget is set. You are told when 50, 80 and 100 % are used."))
    return True


def _asked(request: HttpRequest) -> Spending:
    """What the address asks for; what it does not know is as if it were not given."""
    now = clock.now()
    month = month_named(request.GET.get("month", ""), now)
    by = request.GET.get("by", "")
    grouping = Grouping(by) if by in Grouping.values else Grouping.ENDPOINT
    return spending(month=month, grouping=grouping, now=now)


def _lines(found: Spending) -> Iterator[str]:
    head = [
        found.grouping,
        *("instance_hours", "cost", "forecast", "currency", "idle_days", "unpriced_types"),
    ]
    rows = [
        [
            line.name,
            line.spent.instance_hours,
            line.spent.so_far,
            line.spent.forecast,
            found.currency,
            line.idle_days,
            " ".join(line.spent.unpriced_types),
        ]
        for line in found.lines
    ]
    return spreadsheet.lines(head, rows)


def _named(month: Month) -> str:
    return str(date_format(month.begin.date(), "YEAR_MONTH_FORMAT"))


def _money(value: float) -> str:
    return f"{value:.2f}"


def _chart(found: Spending) -> Chart:
    """The days of the month: what each cost, and what is expected of those that are to come."""
    days = [date.fromisoformat(one.name) for one in found.days]
    today = found.now.date()
    past = [
        float(line.spent.so_far) if day <= today else None
        for day, line in zip(days, found.days, strict=True)
    ]
    series = [Series(_("so far"), past)]
    if found.current:
        to_come = [
            float(line.spent.expected.quantize(line.spent.so_far)) if day >= today else None
            for day, line in zip(days, found.days, strict=True)
        ]
        series.append(Series(_("expected"), to_come))
    return charts.over_classes(
        title=_("Cost a day"),
        unit=charts.Unit(found.currency, _money),
        labels=[str(date_format(day, "MONTH_DAY_FORMAT")) for day in days],
        series=series,
        across=_("Days in UTC"),
        style=charts.STACKED,
        about=_(
            "What the instances of each day cost, and what is expected if nobody changes anything."
        ),
    )
