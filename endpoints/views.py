"""Pages of the endpoints."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from activity.models import Event
from core import errors
from core.permissions import actor, require_permission
from endpoints import services
from endpoints.forms import NewEndpointForm, TeardownForm
from endpoints.models import Endpoint
from models_catalog.models import Version

_may_look = require_permission("endpoints.view_endpoint", "look at endpoints")
_may_create = require_permission("endpoints.add_endpoint", "create endpoints")
_may_tear_down = require_permission("endpoints.teardown_endpoint", "tear endpoints down")


@require_safe
@_may_look
def endpoint_list(request: HttpRequest) -> HttpResponse:
    """Endpoints that exist, then the latest ones that were torn down."""
    context = {
        "endpoints": Endpoint.objects.shown(),
        "gone": Endpoint.objects.gone()[:10],
    }
    return render(request, "endpoints/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@_may_create
def new_endpoint(request: HttpRequest) -> HttpResponse:
    """Ask for an endpoint."""
    form = NewEndpointForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            endpoint = services.create_endpoint(**form.cleaned_data, actor=actor(request))
        except ValidationError as error:
            form.add_errors(error)
        except errors.AwsError as error:
            form.add_error(None, f"Nothing was created, since the account cannot be asked: {error}")
        else:
            return redirect(endpoint)
    context = {
        "form": form,
        "image": settings.CONTAINER_IMAGE,
        "role_arn": settings.EXECUTION_ROLE_ARN,
    }
    return render(request, "endpoints/new.html", context, status=400 if form.errors else 200)


@require_safe
@_may_look
def endpoint_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One endpoint: its three resources, its log, how to call it, what it can serve."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    context = _live_context(endpoint) | _use_context(endpoint)
    return render(request, "endpoints/detail.html", context)


@require_safe
@_may_look
def endpoint_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while something is under way."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    context = _live_context(endpoint)
    if endpoint.settled:  # the page's last request: what can be done has changed
        context |= _use_context(endpoint) | {"oob": True}
    return render(request, "endpoints/_polled.html", context)


def _use_context(endpoint: Endpoint) -> dict[str, Any]:
    versions = Version.objects.ready().filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
    return {
        "versions": versions[:50],
        "example": versions.first(),
        "region": settings.AWS_REGION,
    }


def _live_context(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "resources": list(endpoint.resources.order_by("id")),
        "events": Event.objects.about(Endpoint.activity_kind, endpoint.pk)[:60],
    }


@require_http_methods(["GET", "HEAD", "POST"])
@_may_tear_down
def teardown(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what will be deleted and what stays; the user types the name to confirm."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    if endpoint.gone_at is not None or endpoint.wanted == Endpoint.Wanted.ABSENT:
        return redirect(endpoint)
    form = TeardownForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            services.request_teardown(endpoint=endpoint, actor=actor(request), **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(endpoint)
    context = {
        "form": form,
        "endpoint": endpoint,
        "resources": endpoint.resources.all().by_deletion(),
    }
    return render(request, "endpoints/teardown.html", context, status=400 if form.errors else 200)


@require_POST
@_may_create
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Retry at once, instead of when the endpoint is due."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    services.check_now(endpoint=endpoint)
    messages.info(request, "The portal is looking at the endpoint now.")
    return redirect(endpoint)
