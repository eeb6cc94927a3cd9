"""Pages of an endpoint's alarms: made, changed, tested, removed. The list is a tab (views.py)."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_http_methods, require_POST

from core.permissions import actor, require_permission
from endpoints import alarms, planned_acts
from endpoints.forms import AlarmForm
from endpoints.models import Endpoint, EndpointAlarm

_may_change = require_permission("endpoints.add_endpoint", "change endpoints")
_TAB = "endpoints:alarms"


@require_http_methods(["GET", "HEAD", "POST"])
@_may_change
def new_alarm(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an alarm; ``?kind=`` presets what it is of."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if endpoint.gone_at is not None or endpoint.tearing_down:
        return redirect(endpoint)
    names = [one.name for one in endpoint.requested.parts]
    form = AlarmForm(
        request.POST if request.method == "POST" else None,
        variants=names,
        initial={"kind": request.GET.get("kind", ""), "variant": names[0]},
    )
    heading = _("New alarm of %(name)s") % {"name": endpoint.name}
    return _asked(request, endpoint, form, heading)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_change
def alarm(request: HttpRequest, pk: int, alarm_pk: int) -> HttpResponse:
    """Have an alarm go off at another time."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    row = get_object_or_404(EndpointAlarm, pk=alarm_pk, endpoint=endpoint)
    if endpoint.gone_at is not None or endpoint.tearing_down:
        return redirect(endpoint)
    form = AlarmForm(
        request.POST if request.method == "POST" else None,
        variants=[row.variant],
        of=row,
        initial={
            "kind": row.kind,
            "variant": row.variant,
            "threshold": None if row.fixed else row.threshold,
            "minutes": row.minutes,
        },
    )
    heading = _("Alarm %(kind)s of %(name)s") % {"kind": row.key, "name": endpoint.name}
    removal = reverse("endpoints:remove-alarm", args=[pk, alarm_pk])
    return _asked(request, endpoint, form, heading, "" if row.removing else removal)


def _asked(
    request: HttpRequest,
    endpoint: Endpoint,
    form: AlarmForm,
    heading: str,
    removal: str = "",
) -> HttpResponse:
    plan = None
    if form.is_valid():
        told = form.cleaned_data
        names = ("kind", "variant", "threshold", "minutes")
        wanted = {name: told[name] for name in names}
        try:
            if "plan" in request.POST:
                plan = planned_acts.plan_alarm(endpoint=endpoint, actor=actor(request), **wanted)
            else:
                alarms.set_alarm(endpoint=endpoint, actor=actor(request), **wanted)
                return redirect(_TAB, endpoint.pk)
        except ValidationError as error:
            form.add_error(None, error)
    context = {
        "form": form,
        "plan": plan,
        "can_be_planned": True,
        "removal": removal,
        "endpoint": endpoint,
        "heading": heading,
        "lede": _(
            "CloudWatch watches it, and costs about 0.10 USD a month for an alarm. The portal asks "
            "for its state each minute, and tells by webhook and mail when it changes."
        ),
    }
    return render(request, "endpoints/setting.html", context, status=400 if form.errors else 200)


@require_POST
@_may_change
def remove_alarm(request: HttpRequest, pk: int, alarm_pk: int) -> HttpResponse:
    """Have an alarm deleted, or show the plan of that."""
    row = _alarm(pk, alarm_pk)
    if "plan" in request.POST:
        return _removal_planned(request, row)
    try:
        alarms.remove(alarm=row, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.info(request, _("The alarm is being removed from CloudWatch."))
    return redirect(_TAB, pk)


def _removal_planned(request: HttpRequest, row: EndpointAlarm) -> HttpResponse:
    try:
        plan = planned_acts.plan_alarm_removal(alarm=row, actor=actor(request))
    except ValidationError as error:
        messages.info(request, " ".join(error.messages))
        return redirect(_TAB, row.endpoint.pk)
    told = {"kind": row.key, "name": row.endpoint.name}
    context = {
        "endpoint": row.endpoint,
        "heading": _("Alarm %(kind)s of %(name)s") % told,
        "label": pgettext("an alarm", "Remove"),
        "plan": plan,
    }
    return render(request, "endpoints/planned.html", context)


@require_POST
@_may_change
def test_alarm(request: HttpRequest, pk: int, alarm_pk: int) -> HttpResponse:
    """Tell whoever is told of alarms that this one is a test."""
    row = _alarm(pk, alarm_pk)
    try:
        alarms.send_test(alarm=row, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        said = _("A test is on its way to the webhooks and people that are told of alarms.")
        messages.success(request, said)
    return redirect(_TAB, pk)


def _alarm(pk: int, alarm_pk: int) -> EndpointAlarm:
    endpoint = get_object_or_404(Endpoint, pk=pk)
    rows = EndpointAlarm.objects.select_related("endpoint")
    return get_object_or_404(rows, pk=alarm_pk, endpoint=endpoint)
