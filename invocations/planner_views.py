"""The page that plans instances for models and calls, before a deploy or a change."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from core import charts
from core.charts import Chart, Series
from core.natural import by_name
from core.permissions import require_permission
from core.ui import EXACT_TEXT
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations.capacity import planner
from invocations.capacity.choices import InstanceChoice
from invocations.capacity.planner import (
    MOST_INSTANCES,
    CapacityPlan,
    CapacityRefused,
    WantedCapacity,
)
from invocations.experiments import targets
from invocations.thrash_views import MAY_CHANGE
from models_catalog import stores
from models_catalog.forms import offer_stores


class PlannerForm(forms.Form):
    """What is to be served, and how it is called."""

    store = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Store"),
        help_text=gettext_lazy("Where the models are that the endpoint is to serve."),
    )
    models = forms.CharField(
        label=gettext_lazy("Models"),
        max_length=targets.MAX_LENGTH,
        initial="*",
        help_text=gettext_lazy(
            "* is all ready versions in the store. Or digits:*, digits:1, digits@live, or several "
            "with commas between; what is named first is called most."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    calls_per_hour = forms.FloatField(
        label=gettext_lazy("Calls an hour"),
        min_value=0.001,
        max_value=planner.MOST_CALLS_PER_HOUR,
        initial=600,
    )
    draw = forms.CharField(
        label=gettext_lazy("Draw"),
        max_length=20,
        initial="zipf:1.1",
        help_text=gettext_lazy(
            "uniform: all alike. zipf:1.1: a few are called often, the first most."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )
    percent = forms.FloatField(
        label=gettext_lazy("Calls that may wait, in %"),
        min_value=0,
        max_value=100,
        initial=1,
        help_text=gettext_lazy("Calls that wait until their model is loaded again."),
    )
    instances = forms.IntegerField(
        label=gettext_lazy("At most so many instances"), min_value=1, initial=3
    )

    def __init__(self, *args: Any, endpoints: QuerySet[Endpoint], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_stores(self, stores.offered())
        self.fields["like"] = forms.ModelChoiceField(
            endpoints,
            label=_("Draw as recorded"),
            required=False,
            to_field_name="name",
            empty_label=_("– no endpoint –"),
            help_text=_("The calls of an endpoint lately, in place of the draw."),
        )
        most = min(MOST_INSTANCES, settings.MAX_INSTANCES)
        self.fields["instances"].widget.attrs["max"] = most

    def wanted(self) -> WantedCapacity:
        """What a valid form asks for."""
        told = self.cleaned_data
        return WantedCapacity(
            models=told["models"],
            store=told.get("store", ""),
            calls_per_hour=told["calls_per_hour"],
            draw=told["draw"],
            like=told["like"],
            cold_share=told["percent"] / 100,
            most_instances=told["instances"],
        )


_FIELDS = {
    "calls_per_hour": "calls_per_hour",
    "cold_share": "percent",
    "most_instances": "instances",
    "models": "models",
    "store": "store",
    "draw": "draw",
    "like": "like",
}


@require_safe
@require_permission(MAY_LOOK, LOOKING)
def page(request: HttpRequest) -> HttpResponse:
    """The form; with answers in the address, the plan, so that a link shows the same."""
    living = Endpoint.objects.filter(gone_at=None).order_by(*by_name("name"))
    asked = "models" in request.GET
    initial = {name: request.GET[name] for name in ("like", "store") if name in request.GET}
    form = PlannerForm(request.GET if asked else None, initial=initial, endpoints=living)
    plan = None
    if asked and form.is_valid():
        try:
            plan = planner.plan(form.wanted())
        except CapacityRefused as refused:
            form.add_error(_FIELDS.get(refused.field), str(refused))
    context = {
        "form": form,
        "plan": plan,
        "chart": chart_of(plan) if plan is not None and len(plan.frontier) != 1 else None,
        "rows": [] if plan is None else _rows(request, plan),
        "percent": form.cleaned_data["percent"] if plan is not None else None,
    }
    status = 400 if asked and form.errors else 200
    return render(request, "invocations/planner.html", context, status=status)


def chart_of(plan: CapacityPlan) -> Chart:
    """What each cost buys: the smallest share of calls that wait."""
    found = plan.frontier
    currency = plan.prices.currency
    return charts.over_classes(
        title=_("What the cost buys"),
        about=_("For each cost, the smallest share of calls that wait for their model."),
        unit=replace(charts.PERCENT, most=0.0),
        labels=[one.cost.hourly for one in found if one.cost is not None],
        series=[Series(_("calls that wait"), [100 * one.cold_share for one in found])],
        across=_("Cost, in %(currency)s an hour") % {"currency": currency},
        style=charts.LINES,
        empty=_("No price of these types is known."),
    )


def _rows(request: HttpRequest, plan: CapacityPlan) -> list[dict[str, Any]]:
    may_create = request.user.has_perm(MAY_CHANGE)
    prices = [one.choice.cost.per_hour.normalize() for one in plan.choices if one.choice.cost]
    # As many digits for each, so that they stand below each other.
    places = max((-int(price.as_tuple().exponent) for price in prices), default=0)
    places = max(places, 0)
    return [
        {
            "choice": one.choice,
            "hourly": f"{one.choice.cost.per_hour:.{places}f}" if one.choice.cost else "–",
            "recommended": one.recommended,
            "fits": one.fits,
            "percent": 100 * one.choice.cold_share,
            "cold_per_hour": plan.cold_per_hour(one.choice),
            "busy": 100 * one.busy_share,
            "href": _create(one.choice, plan.wanted.store)
            if may_create and one.recommended
            else "",
        }
        for one in plan.choices
    ]


def _create(choice: InstanceChoice, store: str) -> str:
    asked: dict[str, str | int] = {
        "instance_type": choice.instance_type,
        "instance_count": choice.instance_count,
    }
    if store:
        asked["store"] = store
    return f"{reverse('endpoints:new')}?{urlencode(asked)}"
