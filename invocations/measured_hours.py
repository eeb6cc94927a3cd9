"""What SageMaker measured, kept by the hour, so that four weeks of it are read at once.

A job asks CloudWatch for the hours that are over, once for all who look. It begins after the last
hour that is kept, and writes the hours of one answer in one transaction: so there are no gaps but
at the end. Whatever ended it, the next one goes on from there, for as long as CloudWatch has the
hours. Two at once write the same rows, and the first one's stay.

Of a day and more the pages read these rows, and ask CloudWatch for the hours after them.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q, Sum
from django.db.models.functions import Greatest

from core import clock, errors
from core.remembered import Shared
from endpoints.models import Endpoint
from invocations import cloudwatch
from invocations.cloudwatch import METRICS, OF_AN_HOUR, Measured, put_together
from invocations.models import Experiment, Invocation, MeasuredHour
from invocations.roll_ups import HOUR, begin_of
from invocations.windows import Range, Window

log = logging.getLogger(__name__)

#: How far back hours are asked for: as far as the longest time shown.
REACH = timedelta(days=28)
#: What SageMaker measures may be in CloudWatch so long after the hour.
SETTLED_AFTER = timedelta(minutes=30)
#: Hours of one question, and questions of one run.
BATCH, MOST_ASKED = 7 * 24, 100
#: Rows are kept so long; those of an endpoint that is gone, so long after its end.
KEPT = timedelta(weeks=5)

Figures = Mapping[str, float]

_SHARED: Shared[tuple[int, Range, str], Measured] = Shared(keep_s=settings.METRICS_KEEP_S)


def measured(endpoint: Endpoint, range: Range, now: datetime, variant: str = "") -> Measured:
    """As cloudwatch.measured(); where bins are full hours, the hours that are kept are read.

    Where CloudWatch does not answer, what is kept is there beside the ``problem``.
    """
    window = Window.until(now, range)
    if window.step % HOUR:
        return cloudwatch.measured(endpoint, range, now, variant)
    variant = variant or endpoint.running.parts[0].name
    found = _SHARED.get(
        (endpoint.pk, range, variant), lambda: _put_together(endpoint, variant, window, now)
    )
    assert found is not None
    return found


def _put_together(endpoint: Endpoint, variant: str, window: Window, now: datetime) -> Measured:
    rows = MeasuredHour.objects.filter(
        endpoint=endpoint, variant=variant, begin__gte=window.begin, begin__lt=window.end
    )
    hours: dict[datetime, Figures] = dict(rows.values_list("begin", "figures"))
    problem = None
    begin = max([window.begin, begin_of(endpoint.created_at, HOUR), *(at + HOUR for at in hours)])
    end = begin_of(now, HOUR) + HOUR
    if begin < end:
        try:
            hours |= _ask(endpoint, variant, begin, end)
        except errors.AwsError as error:
            log.warning("The metrics of %s are not known: %s", endpoint.name, error)
            problem = error
    bins: list[list[Figures]] = [[] for _ in window.times]
    for at, figures in hours.items():
        place = window.place(at)
        if place is not None:
            bins[place].append(figures)
    values = {one.name: [put_together(one, each) for each in bins] for one in METRICS}
    return Measured(window, values, problem)


def _ask(
    endpoint: Endpoint, variant: str, begin: datetime, end: datetime
) -> dict[datetime, Figures]:
    """What was measured in each hour from ``begin`` to before ``end``. Raises an AwsError."""
    window = Window(Range.WEEKS, begin, end, HOUR)
    values = cloudwatch.values_of(endpoint, variant, window, OF_AN_HOUR)
    return {
        at: {name: value for name, row in values.items() if (value := row[place]) is not None}
        for place, at in enumerate(window.times)
    }


def keep() -> int:
    """Write the hours that are over and not kept yet; returns how many.

    Where AWS throttles or cannot be reached the rest waits for the next run; where it refuses one
    endpoint, that one does.
    """
    written = asked = 0
    for endpoint, variant, begin, end in _missing(clock.now()):
        at = begin
        while at < end and asked < MOST_ASKED:
            until = min(at + BATCH * HOUR, end)
            asked += 1
            try:
                hours = _ask(endpoint, variant, at, until)
            except errors.AwsError as error:
                log.warning(
                    "The hours of %s, %s, since %s are asked for again later: %s",
                    *(endpoint.name, variant, at, error),
                )
                if isinstance(error, errors.Throttled):
                    return written
                break
            _write(endpoint, variant, hours)
            written += len(hours)
            at = until
    return written


def _missing(now: datetime) -> Iterator[tuple[Endpoint, str, datetime, datetime]]:
    """Which hours of which variants are to be asked for: from, and to before."""
    over = begin_of(now - SETTLED_AFTER, HOUR)
    reach = begin_of(now - REACH, HOUR)
    found = MeasuredHour.objects.filter(begin__gte=reach).values_list("endpoint_id", "variant")
    last = {(pk, variant): at for pk, variant, at in found.annotate(Max("begin"))}
    within = Endpoint.objects.filter(Q(gone_at=None) | Q(gone_at__gte=reach))
    for endpoint in within.prefetch_related("resources").order_by("pk"):
        begin = max(reach, begin_of(endpoint.created_at, HOUR))
        end = over
        if endpoint.gone_at is not None:
            end = min(over, begin_of(endpoint.gone_at, HOUR) + HOUR)
        for part in endpoint.running.parts:
            kept = last.get((endpoint.pk, part.name))
            since = begin if kept is None else kept + HOUR
            if since < end:
                yield endpoint, part.name, since, end


def _write(endpoint: Endpoint, variant: str, hours: Mapping[datetime, Figures]) -> None:
    """Write the hours, and when others called last, or nothing; what another worker wrote stays."""
    rows = [
        MeasuredHour(endpoint=endpoint, variant=variant, begin=at, figures=figures)
        for at, figures in hours.items()
    ]
    with transaction.atomic():
        MeasuredHour.objects.bulk_create(rows, ignore_conflicts=True)
        for at in sorted(hours, reverse=True):
            calls = hours[at].get("invocations", 0)
            if calls > 0 and calls > _own_calls(endpoint, variant, at):
                Endpoint.objects.called_by_others(endpoint.pk, at + HOUR)
                break


def _own_calls(endpoint: Endpoint, variant: str, at: datetime) -> int:
    """How many calls of an hour the portal made itself, those that warm models among them.

    Each try is one for SageMaker. Of experiments, which are not rows, all calls are taken off in
    each hour that they were in: rather a call of others is missed than the portal's taken for one.
    """
    # Of a call that failed it is not known which variant it came to.
    of_variant = Invocation.objects.filter(endpoint=endpoint, variant__in=(variant, ""))
    rows = of_variant.filter(created_at__gte=at, created_at__lt=at + HOUR)
    tries = rows.aggregate(all=Sum(Greatest("attempts", 1)))["all"] or 0
    within = Q(finished_at=None) | Q(finished_at__gte=at)
    experiments = Experiment.objects.filter(within, endpoint=endpoint, started_at__lt=at + HOUR)
    results = experiments.values_list("result", flat=True)
    return tries + sum(int(one.get("calls", 0)) for one in results)


def drop_old() -> int:
    """Delete hours that no page reads any more; returns how many."""
    before = clock.now() - KEPT
    old = Q(endpoint__gone_at=None, begin__lt=before) | Q(endpoint__gone_at__lt=before)
    gone, _by_model = MeasuredHour.objects.filter(old).delete()
    if gone:
        log.info("%d hours of metrics were deleted: from before %s.", gone, before)
    return gone
