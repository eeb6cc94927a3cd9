"""The page on which models of an endpoint are warmed, and kept warm."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from core.permissions import actor, require_permission
from core.ui import EXACT_TEXT
from endpoints.models import Endpoint
from invocations.experiments import targets
from invocations.models import Warming
from invocations.thrash_views import MAY_CHANGE
from invocations.views import may_invoke
from invocations.warming import chosen, keeping, running
from invocations.warming.running import WarmingRefused

SHOWN = 10


def _models_field() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Models"),
        max_length=targets.MAX_LENGTH,
        initial=chosen.ALL_ALIASES,
        help_text=gettext_lazy(
            "@* is every version that an alias points at, * all ready versions. Or digits:*, "
            "digits@live, or several with commas between."
        ),
        widget=forms.TextInput(attrs=EXACT_TEXT),
    )


class WarmForm(forms.Form):
    """What is warmed now."""

    models = _models_field()


class KeepWarmForm(forms.Form):
    """What is kept warm, and how."""

    models = _models_field()
    minutes = forms.IntegerField(
        label=gettext_lazy("Minutes between"),
        required=False,
        min_value=keeping.LEAST_MINUTES,
        max_value=keeping.MOST_MINUTES,
        help_text=gettext_lazy("Empty: it is not repeated."),
    )
    after_change = forms.BooleanField(
        label=gettext_lazy("After a deploy or a change, too"), required=False, initial=True
    )


@require_http_methods(["GET", "HEAD", "POST"])
@may_invoke
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """The forms, and the latest warmings; for htmx these alone. POST warms now."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    form = WarmForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            running.start(
                endpoint=endpoint, models=form.cleaned_data["models"], actor=actor(request)
            )
            return redirect("capacity:warm", endpoint.pk)
        except WarmingRefused as refused:
            form.add_error("models", str(refused))
    return _page(request, endpoint, form, None)


@require_POST
@require_permission(MAY_CHANGE, "create endpoints")
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep models warm from now on."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    form = KeepWarmForm(request.POST)
    if form.is_valid():
        told = form.cleaned_data
        try:
            keeping.keep(
                endpoint=endpoint,
                models=told["models"],
                every_minutes=told["minutes"],
                after_change=told["after_change"],
                actor=actor(request),
            )
            return redirect("capacity:warm", endpoint.pk)
        except WarmingRefused as refused:
            form.add_error(None, str(refused))
    return _page(request, endpoint, WarmForm(), form)


@require_POST
@require_permission(MAY_CHANGE, "create endpoints")
def off(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep nothing warm any more."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    keeping.end(endpoint=endpoint, actor=actor(request))
    return redirect("capacity:warm", endpoint.pk)


@require_POST
@may_invoke
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Call no further version."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    for one in Warming.objects.unfinished().filter(endpoint=endpoint).select_related("endpoint"):
        running.stop(warming=one, actor=actor(request))
        messages.success(request, _("No further version is called."))
    return redirect("capacity:warm", endpoint.pk)


def _page(
    request: HttpRequest, endpoint: Endpoint, form: WarmForm, keep_form: KeepWarmForm | None
) -> HttpResponse:
    latest = list(Warming.objects.listed().filter(endpoint=endpoint)[:SHOWN])
    context: dict[str, Any] = {
        "endpoint": endpoint,
        "warmings": latest,
        "goes_on": any(one.running for one in latest),
    }
    if cast(Any, request).htmx:
        return render(request, "invocations/_warmings.html", context)
    schedule = keeping.of_endpoint(endpoint)
    initial = {}
    if schedule is not None:
        initial = {
            "models": schedule.named,
            "minutes": schedule.every_minutes,
            "after_change": schedule.after_change,
        }
    context |= {
        "form": form,
        "keep_form": keep_form or KeepWarmForm(initial=initial, auto_id="keep_%s"),
        "schedule": schedule,
        "calls_a_day": keeping.calls_a_day(schedule) if schedule is not None else None,
        "may_keep": request.user.has_perm(MAY_CHANGE),
    }
    errors = form.errors or (keep_form is not None and keep_form.errors)
    return render(request, "invocations/warm.html", context, status=400 if errors else 200)
