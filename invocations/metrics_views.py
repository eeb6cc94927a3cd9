"""What an endpoint's page shows of its metrics, and asks again while it is open."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from core.permissions import require_permission
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations import metric_charts
from invocations.metrics import metrics_of
from invocations.roll_ups import HOUR
from invocations.windows import Range


def context_of(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    """What templates/invocations/_metrics.html shows; ``?range=`` says of which time."""
    asked = request.GET.get("range", "")
    range = Range(asked) if asked in Range.values else None
    names = [one.name for one in endpoint.running.parts]
    asked = request.GET.get("variant", "")
    variant = asked if asked in names else names[0]
    metrics = metrics_of(endpoint=endpoint, range=range, variant=variant)
    hours = metrics.window.step // HOUR
    return {
        "endpoint": endpoint,
        "ranges": Range,
        "range": metrics.window.range,
        "variants": names,
        "variant": variant,
        "metrics": metrics,
        "hours": hours if hours > 1 else 0,  # of a bin that is put together of some
        "every_s": settings.METRICS_KEEP_S,
        "of_sagemaker": metric_charts.of_sagemaker(metrics) if metrics.measured.any else [],
        "of_portal": metric_charts.of_portal(metrics) if metrics.own.calls else [],
        "marks": list(enumerate(metrics.events, 1)),
    }


@require_safe
@require_permission(MAY_LOOK, LOOKING)
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The same by itself, for htmx."""
    endpoint = get_object_or_404(Endpoint, pk=pk)
    return render(request, "invocations/_metrics.html", context_of(request, endpoint))
