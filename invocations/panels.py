"""What the pages of models, versions and endpoints, and the home page, show of calls."""

from typing import Any

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from core import panels
from endpoints import last_calls
from endpoints.models import Endpoint
from endpoints.rights import MAY_LOOK
from invocations import log_views, measured_calls, metrics_views, side_by_side, thrash_views
from invocations.models import AnswerComparison, Invocation, LabelledPicture
from invocations.today import calls_since_midnight, calls_today
from models_catalog.models import LIVE, Alias, RegisteredModel, Version

MAY_INVOKE = "endpoints.invoke_endpoint"
DOING = gettext_noop("call models")
SHOWN = 8
PICTURES = 12
EARLIER = 3


def register_all() -> None:
    """Register the panels of this module, and the link to the page of calls."""
    panels.register_link(
        _("Call a model"), "invoke", "invocations:page", permission=MAY_INVOKE, order=30
    )
    for slot, context in (
        ("home.actions", _home_button),
        ("endpoint.actions", _endpoint_button),
        ("endpoint.card", _small_endpoint_button),
        ("endpoint.version", _version_on_endpoint_button),
        ("model.actions", _model_button),
        ("alias.actions", _alias_button),
        ("version.actions", _version_button),
    ):
        panels.register(
            slot, "invocations/_button.html", permission=MAY_INVOKE, context=context, order=10
        )
    panels.register(
        "endpoint.further",
        "invocations/_experiment_button.html",
        permission=MAY_INVOKE,
        context=_experiment_button,
        order=20,
    )
    panels.register(
        "endpoints.actions",
        "invocations/_planner_button.html",
        permission=MAY_LOOK,
        context=lambda request: {},
    )
    panels.register(
        "endpoint.further",
        "invocations/_warm_button.html",
        permission=MAY_INVOKE,
        context=_warm_button,
        order=30,
    )
    panels.register("home.strip", "invocations/_today.html", permission=MAY_INVOKE, context=_today)
    panels.register(
        "home.more",
        "invocations/_home.html",
        permission=MAY_INVOKE,
        context=_latest_calls,
        order=10,
    )
    last_calls.register(_last_call)
    last_calls.register_today(calls_since_midnight)
    last_calls.register_measured(measured_calls.measured_since)
    panels.register(
        "model", "invocations/_test_set.html", permission=MAY_INVOKE, context=_test_set, order=20
    )
    panels.register(
        "version.compare",
        "invocations/_both_answers.html",
        permission=MAY_INVOKE,
        context=_both_answers,
    )
    panels.register(
        "endpoint", "invocations/_endpoint.html", permission=MAY_INVOKE, context=_calls_of_endpoint
    )
    panels.register(
        "endpoint.metrics",
        "invocations/_thrash.html",
        permission=MAY_LOOK,
        context=thrash_views.context_of,
        order=-10,
    )
    panels.register(
        "endpoint.metrics",
        "invocations/_metrics.html",
        permission=MAY_LOOK,
        context=metrics_views.context_of,
    )
    panels.register(
        "endpoint.logs",
        "invocations/_logs.html",
        permission=MAY_LOOK,
        context=log_views.context_of,
    )


def _button(classes: str, query: str = "", text: str = "") -> dict[str, Any]:
    return {"classes": classes, "query": query, "text": text or gettext("Call a model")}


def _home_button(request: HttpRequest) -> dict[str, Any]:
    return _button("primary")


def _endpoint_button(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    return _button("primary", f"?endpoint={endpoint.pk}") if endpoint.serving else None


def _experiment_button(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    return {"endpoint": endpoint} if endpoint.serving else None


def _warm_button(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    # Also of one that does not serve yet: its first models can be chosen while it starts.
    return None if endpoint.gone_at is not None else {"endpoint": endpoint}


def _small_endpoint_button(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    return (
        _button("small", f"?endpoint={endpoint.pk}", gettext("Call")) if endpoint.serving else None
    )


def _version_on_endpoint_button(
    request: HttpRequest, endpoint: Endpoint, version: Version
) -> dict[str, Any] | None:
    if not endpoint.serving:
        return None
    return _button("small", f"?endpoint={endpoint.pk}&version={version.pk}", gettext("Call"))


def _model_button(request: HttpRequest, model: RegisteredModel) -> dict[str, Any] | None:
    latest = model.latest()
    if latest is None:
        return None
    live = next((alias for alias in model.aliases.all() if alias.name == LIVE), None)
    if live is not None:
        text = gettext("Call live (v%(number)s)") % {"number": live.version.number}
        return _button("", f"?model={model.name}@{LIVE}", text)
    return _button(
        "", f"?version={latest.pk}", gettext("Call v%(number)s") % {"number": latest.number}
    )


def _alias_button(request: HttpRequest, alias: Alias) -> dict[str, Any]:
    return _button("", f"?model={alias}", gettext("Call it"))


def _version_button(request: HttpRequest, version: Version) -> dict[str, Any] | None:
    if version.state != Version.State.READY:
        return None
    return _button("primary", f"?version={version.pk}", gettext("Call this version"))


def _test_set(request: HttpRequest, model: RegisteredModel) -> dict[str, Any] | None:
    """The newest pictures of the model's test set; nothing where there is none, nor may be."""
    rows = LabelledPicture.objects.filter(model=model).listed()
    count = rows.count()
    if not count and not settings.TEST_SETS:
        return None
    return {"model": model, "count": count, "pictures": rows[:PICTURES] if count else []}


def _both_answers(request: HttpRequest, one: Version, other: Version) -> dict[str, Any] | None:
    """To call both with the same pictures, and the latest times that it was done."""
    ready = Version.State.READY
    if one.pk == other.pk or one.state != ready or other.state != ready:
        return None
    both = AnswerComparison.objects.filter(one__in=(one, other), other__in=(one, other))
    return {
        "one": one,
        "other": other,
        "choices": side_by_side.choices(one, other),
        "most": side_by_side.MOST_PICTURES,
        "earlier": both.select_related("endpoint").order_by("-pk")[:EARLIER],
    }


def _today(request: HttpRequest) -> dict[str, Any]:
    return {"calls": calls_today()}


def _latest_calls(request: HttpRequest) -> dict[str, Any] | None:
    calls = list(Invocation.objects.traffic().recent()[:6])
    return {"calls": calls} if calls else None


def _calls_of_endpoint(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    calls = Invocation.objects.traffic().recent().filter(endpoint=endpoint)
    return {"calls": list(calls[:SHOWN]), "endpoint": endpoint}


def _last_call() -> Subquery:
    calls = Invocation.everybodys.traffic().filter(endpoint=OuterRef("pk")).order_by("-id")
    return Subquery(calls.values("created_at")[:1])
