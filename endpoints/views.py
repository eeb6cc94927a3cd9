"""Pages of the endpoints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.models import Event
from core import clock, errors, shared_parts, ui, where
from core.natural import by_name
from core.permissions import actor, require_permission
from core.tables import PER_PAGE
from core.ui import Tab
from endpoints import (
    alarms,
    beside,
    drift,
    durations,
    end_dates,
    expiry,
    idle_limits,
    idling,
    images,
    last_calls,
    pausing,
    planned_acts,
    planning,
    postponed,
    presets,
    prices,
    scaling,
    services,
    spending,
    tables,
)
from endpoints.forms import (
    ChangeForm,
    DriftForm,
    EndDateForm,
    HoursForm,
    IdleForm,
    NewEndpointForm,
    ScalingForm,
    TeardownForm,
    TeardownOfManyForm,
    WeightsForm,
)
from endpoints.models import Endpoint, Revision
from endpoints.options import DeploymentOptions
from endpoints.rights import LOOKING, MAY_LOOK
from endpoints.tabs import list_tabs
from models_catalog import stores
from models_catalog.models import Version

_may_look = require_permission(MAY_LOOK, LOOKING)
_may_create = require_permission("endpoints.add_endpoint", "create endpoints")
_may_tear_down = require_permission(end_dates.MAY_TEAR_DOWN, "tear endpoints down")

# A page asks at most this many times, a second apart, for the result of the look that it queued.
LOOKS_AWAITED = 10
LATEST_EVENTS = 5
# A parameter of what is asked while nothing is under way.
_REST = "rest"
# What ends an endpoint: who did is told on its page.
_ENDINGS = (
    "endpoint.teardown_requested",
    "endpoint.deletion_accepted",
    "endpoint.deletion_accepted_why",
)
# The button of the forms that asks for a plan.
_PLAN = "plan"


@require_safe
@_may_look
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """The endpoints that are not torn down; for htmx the part that changes alone."""
    if cast(Any, request).htmx:
        return shared_parts.shared(request, lambda: _list_part(request))
    return render(request, "endpoints/list.html", _list_context(request))


def _list_part(request: HttpRequest) -> HttpResponse:
    context = _list_context(request) | {"csrf_token": shared_parts.TOKEN, "part_path": "list"}
    return render(request, "endpoints/_list.html", context)


def _list_context(request: HttpRequest) -> dict[str, Any]:
    table = tables.running(request)
    counted = tables.counted()
    for endpoint in table.rows:
        endpoint.servable = counted.versions[endpoint.bucket, endpoint.prefix]
        endpoint.calls_today = counted.calls.get(endpoint.pk, last_calls.CallsToday())
    total = tables.with_money(table)
    filters = {one.name: one.value for one in table.filters}
    return {
        "table": table,
        "total": total,
        "estimate": prices.known().estimate,
        "currency": prices.known().currency,
        "may_tear_down": request.user.has_perm(end_dates.MAY_TEAR_DOWN),
        "none": not table.filtered and not table.total,
        "tabs": list_tabs(request, torn_down=counted.torn_down),
        # What the filter of states asks is known of the portal's own alone.
        "beside": None if filters["state"] else beside.found(filters["q"]),
        "looked": counted.looked,
        "rest_s": shared_parts.AT_REST_S,
    }


@require_safe
@_may_look
def torn_down(request: HttpRequest) -> HttpResponse:
    """The endpoints that were torn down, the latest first."""
    table = tables.torn_down(request)
    context = {
        "table": table,
        "tabs": list_tabs(request, torn_down=Endpoint.objects.gone().count()),
    }
    return render(request, "endpoints/torn_down.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def new_endpoint(request: HttpRequest) -> HttpResponse:
    """Request an endpoint; the button "Show the plan" shows what that would do.

    ``?preset=`` names what it is for; ``?instance_type=``, ``?instance_count=`` and ``?store=``
    preset these.
    """
    preset = presets.values(request.GET.get("preset", ""))
    user = actor(request)
    form = NewEndpointForm(
        request.POST if request.method == "POST" else None,
        chosen=DeploymentOptions.of(preset),
        initial={
            "expires_at": end_dates.preset_for(user),
            "idle_hours": idle_limits.preset_for(user),
            "owner": user.get_username(),
            **preset,
            **presets.of_instances(request.GET),
            "store": request.GET.get("store", ""),
        },
        may_change_image=request.user.has_perm(services.MAY_CHANGE_IMAGE),
    )
    # Empty: that of the settings.
    form.fields["image"].widget.attrs["placeholder"] = settings.CONTAINER_IMAGE
    form.fields["role_arn"].widget.attrs["placeholder"] = settings.EXECUTION_ROLE_ARN
    _say_the_limit(form, user)
    _say_the_idle_limit(form, user)
    plan = None
    if form.is_valid():
        try:
            if _PLAN in request.POST:
                plan = planning.plan_creation(**form.asked, actor=user)
            else:
                made = services.create_endpoint(**form.asked, actor=user)
                _tell_quotas(request, made)
                return redirect(made)
        except ValidationError as error:
            form.add_error(None, error)
        except services.ChangeNotAllowed as refusal:
            form.add_error("image", str(refusal))
        except errors.AwsError as error:
            form.add_error(None, str(error))
    context = {
        "form": form,
        "plan": plan,
        "ecr": _images_asked_for(request),
        "image": settings.CONTAINER_IMAGE,
        "role_arn": settings.EXECUTION_ROLE_ARN,
        "presets": presets.Preset.choices,
        "preset": request.GET.get("preset", ""),
    }
    return render(request, "endpoints/new.html", context, status=400 if form.errors else 200)


@dataclass(frozen=True)
class _Part:
    """A tab of an endpoint's page.

    ``live``: whether its content is in the part that asks for itself again. Where it is not, people
    type or search there. ``beside``: it comes beside that part while nothing is under way, and is
    changed in place; what is typed stays. Metrics, and logs that are followed, ask by themselves.
    """

    name: str
    address: str
    live: bool = False
    beside: bool = False


_OVERVIEW = _Part("overview", "endpoints:detail", live=True)
_MODELS = _Part("models", "endpoints:models", beside=True)
_USE = _Part("use", "endpoints:use", beside=True)
_METRICS = _Part("metrics", "endpoints:metrics")
_LOGS = _Part("logs", "endpoints:logs")
_ALARMS = _Part("alarms", "endpoints:alarms", live=True)
_CONFIGURATION = _Part("configuration", "endpoints:configuration", live=True)
_REVISIONS = _Part("revisions", "endpoints:revisions", live=True)
_HISTORY = _Part("history", "endpoints:history", live=True)
_PARTS = (
    *(_OVERVIEW, _MODELS, _USE, _METRICS, _LOGS, _ALARMS),
    *(_CONFIGURATION, _REVISIONS, _HISTORY),
)


@require_safe
@_may_look
def overview(request: HttpRequest, pk: int) -> HttpResponse:
    """One endpoint: its state, what runs, and its calls."""
    return _page(request, pk, _OVERVIEW)


@require_safe
@_may_look
def servable(request: HttpRequest, pk: int) -> HttpResponse:
    """All that an endpoint can serve."""
    return _page(request, pk, _MODELS)


@require_safe
@_may_look
def use(request: HttpRequest, pk: int) -> HttpResponse:
    """How programs call an endpoint."""
    return _page(request, pk, _USE)


@require_safe
@_may_look
def metrics(request: HttpRequest, pk: int) -> HttpResponse:
    """What is measured of an endpoint; panels of other apps show it."""
    return _page(request, pk, _METRICS)


@require_safe
@_may_look
def logs(request: HttpRequest, pk: int) -> HttpResponse:
    """What the containers of an endpoint log; panels of other apps show it."""
    return _page(request, pk, _LOGS)


@require_safe
@_may_look
def alarms_tab(request: HttpRequest, pk: int) -> HttpResponse:
    """The alarms of an endpoint, with their states as last seen."""
    return _page(request, pk, _ALARMS)


@require_safe
@_may_look
def configuration(request: HttpRequest, pk: int) -> HttpResponse:
    """What runs, what was requested, and the names of the resources in SageMaker."""
    return _page(request, pk, _CONFIGURATION)


@require_safe
@_may_look
def revisions(request: HttpRequest, pk: int) -> HttpResponse:
    """What an endpoint was asked to be, and what came of each."""
    return _page(request, pk, _REVISIONS)


@require_safe
@_may_look
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """What happened to an endpoint."""
    return _page(request, pk, _HISTORY)


def _page(request: HttpRequest, pk: int, part: _Part) -> HttpResponse:
    endpoint = get_object_or_404(Endpoint.objects.with_time(), pk=pk)
    query = request.GET.copy()
    query["tab"] = part.name
    looking = services.look_if_old(endpoint=endpoint, now=endpoint.read_at)
    if looking:
        query["looks"] = str(LOOKS_AWAITED)
        query["seen"] = _seen(endpoint)
    context = _context(request, endpoint, part)
    context |= _asking(endpoint, context, query, looking=looking)
    return render(request, "endpoints/detail.html", context)


def _asking(
    endpoint: Endpoint, context: dict[str, Any], query: QueryDict, *, looking: bool
) -> dict[str, Any]:
    """What the part that is asked for again asks with, and how often."""
    looking = looking or context.get("under_way", False)
    query.pop(_REST, None)
    if context.get("example") is not None:  # which somebody may be copying: a newer one is not it
        query["version"] = str(context["example"].pk)
    if endpoint.settled and not looking:
        query[_REST] = "1"
    return {
        "looking": looking,
        "live_query": query.urlencode(),
        "rest_s": shared_parts.AT_REST_S,
    }


@require_safe
@_may_look
def endpoint_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while something is under way, or is being looked at."""
    return shared_parts.shared(request, lambda: _live(request, pk))


def _live(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = get_object_or_404(Endpoint, pk=pk)
    query = request.GET.copy()
    part = next((one for one in _PARTS if one.name == query.get("tab")), _OVERVIEW)
    asked = query.get("looks", "")
    looks = int(asked) - 1 if asked.isascii() and asked.isdigit() and len(asked) < 4 else 0
    looking = 0 < looks <= LOOKS_AWAITED and query.get("seen") == _seen(endpoint)
    query["looks"] = str(looks)
    if not looking:
        query.pop("looks", None)
        query.pop("seen", None)
    context = _context(request, endpoint, part)
    context |= _asking(endpoint, context, query, looking=looking) | {
        # While the page only awaits a look, nothing has changed there.
        "oob": endpoint.settled and part.beside and not asked,
        "csrf_token": shared_parts.TOKEN,
    }
    return render(request, "endpoints/_polled.html", context)


def _seen(endpoint: Endpoint) -> str:
    return endpoint.checked_at.isoformat() if endpoint.checked_at else "-"


def _context(request: HttpRequest, endpoint: Endpoint, part: _Part) -> dict[str, Any]:
    """What the head of each tab shows, and what this tab shows."""
    versions = tables.servable(endpoint).count()
    context: dict[str, Any] = {
        "endpoint": endpoint,
        "part": part,
        "versions": versions,
        "tabs": _tabs(endpoint, part, versions),
        "resources": list(endpoint.resources.order_by("id")),
        "refused_revision": None if endpoint.gone_at else endpoint.refused_change,
    }
    events = Event.objects.about(Endpoint.activity_kind, endpoint.pk)
    if not endpoint.may_be_torn_down:
        asked = events.filter(action__in=_ENDINGS)
        context["teardown_event"] = asked.first()
    if part is _OVERVIEW:
        known = prices.known()
        context |= {"latest": True, "events": events[:LATEST_EVENTS]}
        context |= {"cost": known.of(endpoint), "estimate": known.estimate}
        context["scaled_cost"] = known.of_limits(endpoint)
        context |= {"spent": spending.so_far([endpoint])[endpoint.pk], "currency": known.currency}
        context["is_local"] = where.is_local()
        rows = endpoint.requested.variants
        if len(rows) > 1 and endpoint.serving:
            context["weights"] = WeightsForm(variants=rows)
    elif part is _MODELS:
        context["table"] = tables.versions(request, endpoint)
    elif part is _USE:
        context |= _use_context(request, endpoint)
    elif part is _ALARMS:
        rows_of_alarms = alarms.of_endpoint(endpoint)
        context |= {"alarms": rows_of_alarms, "watch": alarms.the_watch()}
        may = request.user.has_perm("endpoints.add_endpoint")
        context["may_change"] = may and endpoint.may_pause
        context["under_way"] = any(one.under_way for one in rows_of_alarms)
    elif part is _REVISIONS:
        table = tables.revisions(request, endpoint)
        context |= {"table": table, "revisions": tables.with_differences(table.rows)}
    elif part is _HISTORY:
        table = tables.events(request, endpoint)
        told, progress = durations.with_durations(endpoint, table.rows)
        context |= {"table": table, "events": told, "progress": progress}
    if "progress" not in context:
        context["progress"] = durations.progress([endpoint]).get(endpoint.pk)
    return context


def _tabs(endpoint: Endpoint, part: _Part, versions: int) -> list[Tab]:
    labels = {
        _OVERVIEW: _("Overview"),
        _MODELS: _("Models"),
        _USE: _("Use"),
        _METRICS: _("Metrics"),
        _LOGS: _("Logs"),
        _ALARMS: _("Alarms"),
        _CONFIGURATION: _("Configuration"),
        _REVISIONS: _("Revisions"),
        _HISTORY: pgettext("of an endpoint", "History"),
    }
    return [
        Tab(
            labels[one],
            reverse(one.address, args=[endpoint.pk]),
            one is part,
            versions if one is _MODELS and endpoint.gone_at is None else None,
        )
        for one in _PARTS
    ]


def _use_context(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    """The version that the examples call: the one that was chosen, else the newest."""
    known = tables.servable(endpoint).only("number", "bucket", "prefix", "key", "model__name")
    versions: list[Version] = list(known)
    newest = max(versions, key=lambda version: version.pk, default=None)
    chosen = request.GET.get("version", "")
    example = next((one for one in versions if str(one.pk) == chosen), newest)
    return {"choices": versions, "example": example, "region": settings.AWS_REGION}


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a living endpoint; ``?back_to=N`` presets what it was in that revision.

    ``?instance_type=`` and ``?instance_count=`` preset these. The button "Show the plan" shows what
    the change would do.
    """
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if not endpoint.may_be_changed:
        messages.info(request, _("It cannot be changed now. Nothing was changed."))
        return redirect(endpoint)
    asked = request.GET.get("back_to", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    back = endpoint.revisions.filter(number=number).first()
    facts: Endpoint | Revision = back or endpoint
    size, owner = back.size if back else endpoint.requested, endpoint.owned_by
    # Of the revision to go back to, where that one is another.
    place = (back.place or endpoint.place) if back else endpoint.place
    store = stores.at(*place) if place != endpoint.place else None
    form = ChangeForm(
        request.POST if request.method == "POST" else None,
        chosen=facts.chosen,
        initial={
            **ChangeForm.presets(size),
            "image": facts.image,
            "role_arn": facts.role_arn,
            "owner": owner.get_username() if owner else "",
            **presets.of_instances(request.GET),
            "store": store.name if store else request.GET.get("store", ""),
        },
        place=endpoint.place,
        may_change_image=request.user.has_perm(services.MAY_CHANGE_IMAGE),
        alarms=[one for one in alarms.of_endpoint(endpoint) if not one.removing],
    )
    plan = None
    if form.is_valid():
        told, user = form.cleaned_data, actor(request)
        wanted = services.SettingsChange(
            variants=told["variants"],
            image=told["image"] or None,
            role_arn=told["role_arn"] or None,
            store=form.other_store,
            # One that cannot be chosen is refused by the service, with the reason.
            place=None if form.other_store or form.offers(store) else place,
            policy=form.by_policy,
            reason=told["reason"],
            options=form.options,
            owner=told["owner"] or None,
            back_to=back.number if back else None,
        )
        try:
            if _PLAN in request.POST:
                plan = planning.plan_change(endpoint=endpoint, change=wanted, actor=user)
            else:
                row = services.request_change(endpoint=endpoint, change=wanted, actor=user)
                _tell_quotas(request, row)
                if _is_other(row, endpoint):
                    return redirect(endpoint)
                said = _("It is so already: change the type, the number, the image or an option.")
                form.add_error(None, said)
        except ValidationError as error:
            form.add_error(None, error)
        except services.OwnerNotAllowed as refusal:
            form.add_error("owner", str(refusal))
        except services.ChangeNotAllowed as refusal:
            form.add_error("image", str(refusal))
        except errors.AwsError as error:
            form.add_error(None, str(error))
    context = {
        "form": form,
        "endpoint": endpoint,
        "back": back,
        "plan": plan,
        "ecr": _images_asked_for(request),
    }
    return render(request, "endpoints/change.html", context, status=400 if form.errors else 200)


@require_POST
@_may_create
def weights(request: HttpRequest, pk: int) -> HttpResponse:
    """Share the calls among the variants of an endpoint in another way, or show the plan of it."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    form = WeightsForm(request.POST, variants=endpoint.requested.variants)
    if not form.is_valid():
        wrong = form.errors.get_json_data().items()
        said = [f"{form[name].label}: {one['message']}" for name, rows in wrong for one in rows]
        messages.error(request, " ".join([*said, _("Nothing was changed.")]))
        return redirect(endpoint)
    wanted = services.SettingsChange(weights=form.weights)
    if _PLAN in request.POST:
        plan = partial(planning.plan_change, change=wanted)
        return _plan_of(request, pk, plan, _("Share the calls so"), tuple(form.fields))
    try:
        services.request_change(endpoint=endpoint, change=wanted, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(endpoint)


def _tell_quotas(request: HttpRequest, row: Endpoint) -> None:
    for said in row.quota_notes:
        messages.warning(request, said)


def _images_asked_for(request: HttpRequest) -> images.ImageList | None:
    """What is in ECR, where the page was asked to show it: that takes a call of AWS."""
    may = request.user.has_perm(services.MAY_CHANGE_IMAGE)
    return images.listed() if may and "images" in request.GET else None


def _is_other(row: Endpoint, before: Endpoint) -> bool:
    """Whether a change did anything."""
    now = (row.update_state, row.revision, row.owned_by)
    return now != (before.update_state, before.revision, before.owned_by)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def end_date(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an endpoint an end date, another one, or none."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if endpoint.gone_at is not None or endpoint.tearing_down:
        return redirect(endpoint)
    user = actor(request)
    form = EndDateForm(
        request.POST if request.method == "POST" else None,
        initial={"expires_at": endpoint.expires_at or end_dates.preset_for(user)},
    )
    _say_the_limit(form, user)
    if endpoint.expires_at is not None and form.is_bound and not form.has_changed():
        return redirect(endpoint)
    if form.is_valid():
        try:
            expiry.set_end(endpoint=endpoint, actor=user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except services.ChangeNotAllowed as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect(endpoint)
    context = {
        "form": form,
        "endpoint": endpoint,
        "heading": _("End date of %(name)s") % {"name": endpoint.name},
        "lede": _(
            "The portal tears the endpoint down by itself then, so that it is not forgotten and "
            "paid for."
        ),
    }
    return render(request, "endpoints/setting.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def idle(request: HttpRequest, pk: int) -> HttpResponse:
    """Have an endpoint torn down after so many hours without a call, or no more."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if endpoint.gone_at is not None or endpoint.tearing_down:
        return redirect(endpoint)
    user = actor(request)
    form = IdleForm(
        request.POST if request.method == "POST" else None,
        initial={"idle_hours": endpoint.idle_hours or idle_limits.preset_for(user)},
    )
    _say_the_idle_limit(form, user)
    if form.is_valid():
        try:
            idling.set_idle_hours(endpoint=endpoint, actor=user, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        except services.ChangeNotAllowed as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect(endpoint)
    context = {
        "form": form,
        "endpoint": endpoint,
        "heading": _("Idle hours of %(name)s") % {"name": endpoint.name},
        "lede": _(
            "The portal tears the endpoint down by itself when nobody calls it any more. It counts "
            "its own calls, and those that SageMaker’s metrics tell of. Calls that only keep "
            "models warm do not count."
        ),
    }
    return render(request, "endpoints/setting.html", context, status=400 if form.errors else 200)


def _say_the_idle_limit(form: NewEndpointForm | IdleForm, user: User) -> None:
    most = idle_limits.most_for(user)
    if most is not None:
        said = _("At most %(hours)s. The endpoint is torn down then; you are told before.")
        form.fields["idle_hours"].help_text = said % {"hours": most}
        form.fields["idle_hours"].widget.attrs["max"] = most


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def postpone_idle(request: HttpRequest, pk: int) -> HttpResponse:
    """Let an endpoint be idle a day longer."""
    return _longer(request, pk, _IDLE_LONGER)


def _say_the_limit(form: NewEndpointForm | EndDateForm, user: User) -> None:
    if days := end_dates.most_days_for(user):
        said = _(
            "At most %(days)s days from now. The endpoint is torn down then; you are told before."
        )
        form.fields["expires_at"].help_text = said % {"days": days}


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def scaling_of(request: HttpRequest, pk: int) -> HttpResponse:
    """Have AWS scale an endpoint, or set other limits; "Show the plan" shows what that would do."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if not endpoint.serving:
        messages.info(request, _("It cannot be scaled now. Nothing was changed."))
        return redirect(endpoint)
    now = endpoint.limits
    initial: dict[str, Any] = {"min_instances": 1, "max_instances": endpoint.instance_count + 1}
    initial["zone"] = timezone.get_current_timezone_name()
    if now is not None:
        initial = {
            "min_instances": now.least,
            "max_instances": now.most,
            "calls_per_minute": now.target,
            "in_cooldown_s": now.in_cooldown,
            "out_cooldown_s": now.out_cooldown,
            "schedule": now.schedule,
            "zone": now.zone or initial["zone"],
        }
    form = ScalingForm(request.POST if request.method == "POST" else None, initial=initial)
    plan = None
    if form.is_valid():
        user = actor(request)
        try:
            if _PLAN in request.POST:
                plan = planning.plan_scaling(endpoint=endpoint, limits=form.limits, actor=user)
            else:
                row = scaling.set_scaling(endpoint=endpoint, limits=form.limits, actor=user)
                _tell_quotas(request, row)
                return redirect(endpoint)
        except ValidationError as error:
            form.add_error(None, error)
    context = {"form": form, "endpoint": endpoint, "plan": plan}
    return render(request, "endpoints/scaling.html", context, status=400 if form.errors else 200)


@require_POST
@_may_create
def scaling_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch the autoscaling of an endpoint off; or show the plan of that."""
    if _PLAN in request.POST:
        off = partial(planning.plan_scaling, limits=None)
        return _plan_of(request, pk, off, _("Switch autoscaling off"))
    endpoint = get_object_or_404(Endpoint, pk=pk)
    try:
        scaling.set_scaling(endpoint=endpoint, limits=None, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(endpoint)


@dataclass(frozen=True)
class _Longer:
    """What lets an endpoint stay longer. ``column``: until when it stays, where it has such a time.

    ``done`` and the other texts are asked for when they are shown, in the reader's language.
    """

    column: str
    act: Callable[..., Endpoint]
    texts: Callable[[], "_LongerTexts"]


@dataclass(frozen=True)
class _LongerTexts:
    lede: str
    label: str
    done: str


_LATER_END = _Longer(
    "expires_at",
    expiry.postpone,
    lambda: _LongerTexts(
        _("The portal tears it down at its end date:"),
        _("One day longer"),
        _("The end date is a day later."),
    ),
)
_IDLE_LONGER = _Longer(
    "idle_ends_at",
    idling.postpone_idle,
    lambda: _LongerTexts(
        _("Nobody calls it. It is torn down:"),
        _("One day longer"),
        _("The endpoint may stay without a call longer."),
    ),
)
_RUN_LONGER = _Longer(
    "pauses_at",
    pausing.extend,
    lambda: _LongerTexts(
        _("Its working hours end:"),
        _("Two hours longer"),
        _("The endpoint runs two hours longer."),
    ),
)

_RUN_A_DAY_LONGER = _Longer(
    "pauses_at",
    partial(pausing.extend, longer=pausing.A_DAY),
    lambda: _LongerTexts(
        _("Its working hours end:"),
        _("One day longer"),
        _("The endpoint runs a day longer."),
    ),
)


def _longer(request: HttpRequest, pk: int, what: _Longer) -> HttpResponse:
    """Let an endpoint stay longer; a GET, to which mails lead, shows the one button for it."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    texts = what.texts()
    if request.method != "POST":
        moment = getattr(endpoint, what.column)
        if moment is None or not endpoint.may_pause:
            messages.info(request, _("It does not end at a time that could be later."))
            return redirect(endpoint)
        context = {
            "endpoint": endpoint,
            "heading": f"{endpoint.name}: {texts.label}",
            "lede": texts.lede,
            "label": texts.label,
            "moment": moment,
        }
        return render(request, "endpoints/longer.html", context)
    try:
        row = what.act(endpoint=endpoint, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        if row.undo:
            url = f"{reverse('endpoints:undo-postponed')}?{urlencode({'of': row.undo})}"
            ui.undo(request, texts.done, url)
        else:
            messages.success(request, texts.done)
    return redirect(ui.back(request, endpoint.get_absolute_url()))


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def postpone(request: HttpRequest, pk: int) -> HttpResponse:
    """Move the end date of an endpoint a day later."""
    return _longer(request, pk, _LATER_END)


@require_POST
@_may_create
def undo_postponed(request: HttpRequest) -> HttpResponse:
    """Take back that an endpoint ends a day later; ``?of=`` says what."""
    url = reverse("endpoints:list")
    try:
        row = postponed.take_back(undo=request.GET.get("of", ""), actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        url = row.get_absolute_url()
        messages.success(request, _("It ends when it did before."))
    return redirect(ui.back(request, url))


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def hours(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an endpoint working hours, other ones, or none."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if not endpoint.may_pause:
        return redirect(endpoint)
    zone = endpoint.hours_zone or timezone.get_current_timezone_name()
    form = HoursForm(
        request.POST if request.method == "POST" else None,
        initial={"hours": endpoint.hours, "zone": zone},
    )
    plan = None
    if form.is_valid():
        told = form.cleaned_data
        asked = {"endpoint": endpoint, "actor": actor(request), **told}
        try:
            if _PLAN in request.POST:
                plan = planned_acts.plan_hours(**asked)
            else:
                pausing.set_hours(**asked)
                return redirect(endpoint)
        except ValidationError as error:
            form.add_error(None, error)
        except services.ChangeNotAllowed as refusal:
            form.add_error(None, str(refusal))
    context = {
        "form": form,
        "plan": plan,
        "can_be_planned": True,
        "endpoint": endpoint,
        "heading": _("Working hours of %(name)s") % {"name": endpoint.name},
        "lede": _(
            "Outside of them it is paused: no instance runs, and it costs nothing. It is made "
            "again under the same name when they begin, which takes some minutes."
        ),
    }
    return render(request, "endpoints/setting.html", context, status=400 if form.errors else 200)


@require_POST
@_may_create
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Pause an endpoint now; or show the plan of that."""
    if _PLAN in request.POST:
        return _plan_of(request, pk, planned_acts.plan_pause, _("Pause now"))
    return _act(request, pk, pausing.pause_now, _("The endpoint is being paused."))


@require_POST
@_may_create
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Resume an endpoint now; or show the plan of that."""
    if _PLAN in request.POST:
        return _plan_of(request, pk, planned_acts.plan_resume, _("Resume now"))
    return _act(
        request, pk, pausing.resume_now, _("The endpoint resumes. That takes some minutes.")
    )


def _plan_of(
    request: HttpRequest,
    pk: int,
    plan: Callable[..., planning.EndpointPlan],
    label: str,
    keep: Sequence[str] = (),
) -> HttpResponse:
    """The plan of what the same POST does without ``plan``, with the button for that.

    ``keep``: names of what was given that it is to have, too.
    """
    endpoint = get_object_or_404(Endpoint, pk=pk)
    try:
        found = plan(endpoint=endpoint, actor=actor(request))
    except ValidationError as error:
        messages.info(request, " ".join(error.messages))
        return redirect(endpoint)
    except (services.ChangeNotAllowed, errors.AwsError) as refusal:
        messages.info(request, str(refusal))
        return redirect(endpoint)
    context = {
        "endpoint": endpoint,
        "heading": f"{endpoint.name}: {label}",
        "label": label,
        "plan": found,
        "carried": [(name, request.POST[name]) for name in keep if name in request.POST],
    }
    return render(request, "endpoints/planned.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def extend(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep an endpoint running two hours longer this once."""
    return _longer(request, pk, _RUN_LONGER)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def extend_by_a_day(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep an endpoint running a day longer this once."""
    return _longer(request, pk, _RUN_A_DAY_LONGER)


def _act(request: HttpRequest, pk: int, act: Callable[..., Endpoint], done: str) -> HttpResponse:
    endpoint = get_object_or_404(Endpoint, pk=pk)
    try:
        row = act(endpoint=endpoint, actor=actor(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except services.ChangeNotAllowed as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, done)
        _tell_quotas(request, row)
    return redirect(endpoint)


@require_POST
@_may_create
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Want what somebody changed outside the portal, or that the endpoint is gone; or plan it."""
    if _PLAN in request.POST:
        return _plan_of(request, pk, planned_acts.plan_accept, _("Accept"), ("reason",))
    return _decide(request, pk, drift.accept, _("The endpoint is wanted now as it runs in AWS."))


@require_POST
@_may_create
def put_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the endpoint as it is wanted again, after a change outside the portal; or plan it."""
    if _PLAN in request.POST:
        return _plan_of(request, pk, planned_acts.plan_put_back, _("Put back"), ("reason",))
    return _decide(request, pk, drift.put_back, _("The endpoint is being put back."))


def _decide(
    request: HttpRequest, pk: int, decide: Callable[..., Endpoint], done: str
) -> HttpResponse:
    endpoint = get_object_or_404(Endpoint, pk=pk)
    form = DriftForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    try:
        row = decide(endpoint=endpoint, actor=actor(request), reason=reason)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except (services.ChangeNotAllowed, errors.AwsError) as refusal:
        messages.error(request, str(refusal))
    else:
        if row.tearing_down:
            done = _("The end of the endpoint is accepted. What it used is being removed.")
        messages.success(request, done)
        _tell_quotas(request, row)
    return redirect(endpoint)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_tear_down
def teardown(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what will be deleted and what stays; the user types the name to confirm."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if endpoint.gone_at is not None or endpoint.wanted == Endpoint.Wanted.ABSENT:
        return redirect(endpoint)
    services.look_if_old(endpoint=endpoint)
    planned = {name: name in request.POST for name in ("keep_config", "keep_model")}
    if request.method == "POST" and _PLAN not in request.POST:
        form = TeardownForm(request.POST)
    else:
        typed = {"typed_name": request.POST.get("typed_name", "")}
        form = TeardownForm(initial={**typed, **planned})
    if form.is_valid():
        name = form.cleaned_data["typed_name"]
        try:
            row = services.request_teardown(
                endpoint=endpoint,
                typed_name=name,
                actor=actor(request),
                keep_config=form.cleaned_data["keep_config"],
                keep_model=form.cleaned_data["keep_model"],
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            _offer_undo(request, row)
            return redirect(endpoint)
    deleted, left = endpoint.to_be_torn_down(**planned)
    context = {
        "form": form,
        "endpoint": endpoint,
        "going": deleted,
        "left": left,
        "plan": planned_acts.plan_teardown(endpoint=endpoint, **planned),
    }
    return render(request, "endpoints/teardown.html", context, status=400 if form.errors else 200)


def _offer_undo(request: HttpRequest, row: Endpoint) -> None:
    if _may_undo(row):
        said = _("The teardown of %(name)s begins in a few seconds.") % {"name": row.name}
        ui.undo(request, said, reverse("endpoints:undo-teardown", args=[row.pk]))


def _may_undo(row: Endpoint) -> bool:
    return row.may_be_undone and row.teardown_at is not None and row.teardown_at > clock.now()


def _offer_undo_of_many(request: HttpRequest, asked: list[Endpoint]) -> None:
    rows = [row for row in asked if _may_undo(row)]
    if not rows:
        return
    said = ngettext(
        "The teardown of %(count)s endpoint begins in a few seconds.",
        "The teardown of %(count)s endpoints begins in a few seconds.",
        len(rows),
    )
    query = urlencode({"pk": [row.pk for row in rows]}, doseq=True)
    url = f"{reverse('endpoints:undo-teardowns')}?{query}"
    ui.undo(request, said % {"count": len(rows)}, url)


def _chosen(given: QueryDict) -> list[int]:
    """The keys of the endpoints that were ticked."""
    pks = given.getlist("pk")
    return [int(pk) for pk in pks if pk.isascii() and pk.isdigit() and len(pk) < 10]


@require_POST
@_may_tear_down
def undo_teardowns(request: HttpRequest) -> HttpResponse:
    """Want endpoints again whose teardown has not begun; what cannot be undone is said of each."""
    undone = 0
    for endpoint in Endpoint.objects.filter(pk__in=_chosen(request.GET)[:MOST_AT_ONCE]):
        try:
            services.undo_teardown(endpoint=endpoint, actor=actor(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            undone += 1
    if undone:
        said = ngettext(
            "The teardown of %(count)s endpoint is undone.",
            "The teardown of %(count)s endpoints is undone.",
            undone,
        )
        messages.success(request, said % {"count": undone})
    return redirect(ui.back(request, reverse("endpoints:list")))


@require_POST
@_may_tear_down
def undo_teardown(request: HttpRequest, pk: int) -> HttpResponse:
    """Want an endpoint again whose teardown has not begun."""
    said = _("The teardown is undone. The endpoint goes on as before.")
    return _act(request, pk, services.undo_teardown, said)


#: At most this many are torn down at once: all that can be ticked on a page.
MOST_AT_ONCE = PER_PAGE


@require_http_methods(["GET", "HEAD", "POST"])
@_may_tear_down
def teardown_of_many(request: HttpRequest) -> HttpResponse:
    """Say what of the chosen endpoints will be deleted; the user types their names to confirm."""
    given = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(given)
    living = Endpoint.objects.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT, pk__in=chosen)
    endpoints = list(living.order_by(*by_name("name")).prefetch_related("resources")[:MOST_AT_ONCE])
    for one in endpoints:
        services.look_if_old(endpoint=one)
    if not endpoints:
        messages.info(request, _("No endpoint was chosen that can be torn down."))
        return redirect("endpoints:list")
    form = TeardownOfManyForm(given if "typed_names" in given else None, endpoints=endpoints)
    if request.method == "POST" and form.is_valid():
        asked = services.request_teardowns(endpoints=endpoints, actor=actor(request), **form.kept)
        _offer_undo_of_many(request, asked)
        return redirect("endpoints:list")
    context = {
        "form": form,
        "endpoints": endpoints,
        "left_out": len(set(chosen)) - len(endpoints),
        "most": MOST_AT_ONCE,
        "total": prices.known().total(endpoints),
        "estimate": prices.known().estimate,
    }
    status = 400 if form.errors else 200
    return render(request, "endpoints/teardown_of_many.html", context, status=status)


@require_POST
@_may_create
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Retry at once, instead of when the endpoint is due."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    services.check_now(endpoint=endpoint)
    messages.info(request, _("The portal is asking AWS about the endpoint now."))
    return redirect(endpoint)
