"""What an endpoint's page shows of its models' turns in memory."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from endpoints.models import Endpoint
from invocations.capacity import thrash
from invocations.capacity.thrash import Thrash, Verdict

MAY_CHANGE = "endpoints.add_endpoint"


def context_of(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    """What templates/invocations/_thrash.html shows; nothing where there is too little to say."""
    if endpoint.gone_at is not None:
        return None
    found = thrash.of_endpoint(endpoint)
    if found.verdict == Verdict.FEW_CALLS:
        return None
    return {
        "found": found,
        "thrashes": found.verdict == Verdict.THRASH,
        "change": _change(request, found),
    }


def _change(request: HttpRequest, found: Thrash) -> str:
    """Where the form of a change has what is advised; empty where the reader cannot do it."""
    better, endpoint = found.better, found.endpoint
    if better is None or not endpoint.may_be_changed or not request.user.has_perm(MAY_CHANGE):
        return ""
    preset = {
        "instance_type": better.instance_type,
        "instance_count": better.instance_count,
    }
    return f"{reverse('endpoints:change', args=[endpoint.pk])}?{urlencode(preset)}"
