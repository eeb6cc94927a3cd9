"""What is measured of an endpoint: by SageMaker, its containers and the portal; what happened."""

from collections.abc import Sequence
from dataclasses import dataclass

from activity.models import Event
from core import clock
from endpoints.events import CHANGES
from endpoints.models import Endpoint
from invocations import container_page, measured_hours, own_calls, recording
from invocations.cloudwatch import Measured
from invocations.container_page import ContainerFigures
from invocations.own_calls import OwnCalls
from invocations.windows import Range, Window, fitting

#: The latest changes that are marked.
MOST_MARKS = 20


@dataclass(frozen=True)
class Metrics:
    """The metrics of a window. ``events``: what happened to the endpoint then, in order.

    ``containers``: what these count since they were started; None of an endpoint that is gone.
    """

    endpoint: Endpoint
    window: Window
    measured: Measured
    own: OwnCalls
    containers: ContainerFigures | None
    events: Sequence[Event]


def metrics_of(*, endpoint: Endpoint, range: Range | None, variant: str = "") -> Metrics:
    """The metrics of the time before now; of an endpoint that is gone, of that before its end.

    ``range`` None: a day, or less of an endpoint that is younger.
    SageMaker's are those of a ``variant``; of the first where none is named.
    Where CloudWatch does not answer, ``measured.problem`` says why, after some seconds; the rest
    is known. So it is with ``containers``.
    """
    recording.recorder().settle()
    until = endpoint.gone_at or clock.now()
    chosen = range or fitting(endpoint.created_at, until)
    measured = measured_hours.measured(endpoint, chosen, until, variant)
    window = measured.window
    events = Event.objects.about(Endpoint.activity_kind, endpoint.pk).filter(
        action__in=CHANGES, at__gte=window.begin, at__lt=window.end
    )
    return Metrics(
        endpoint=endpoint,
        window=window,
        measured=measured,
        own=own_calls.calls_of(endpoint, window),
        containers=container_page.figures(endpoint),
        events=list(reversed(events[:MOST_MARKS])),
    )
