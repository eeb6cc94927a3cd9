"""The last call of an endpoint that somebody else made, by SageMaker's metrics.

SageMaker counts all calls, the portal's too. Those that the portal made are taken off, so that
calls that only keep models warm do not count as use. What is left was made by others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from core import aws, clock, errors
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations.models import Invocation

#: What is newer may not be in the metrics yet, and is left out.
LAG = timedelta(minutes=5)
# CloudWatch keeps minutes for 15 days, five of them for 63 days, and hours for 455 days.
_PERIODS = (
    (timedelta(days=1), timedelta(minutes=1)),
    (timedelta(days=60), timedelta(minutes=5)),
    (timedelta.max, timedelta(hours=1)),
)
#: The portal's own calls that are looked at to find out when somebody else called.
MOST_LOCATED = 20_000
#: The names of variants, of all revisions, that are asked for.
MOST_VARIANTS = 20


def measured_since(endpoint: Endpoint, since: datetime) -> datetime | None:
    """The end of the last period after ``since`` in which others called; None: nobody did.

    Takes some seconds. Raises an AwsError where CloudWatch does not say all that it has.
    """
    until = clock.now() - LAG
    period = next(step for span, step in _PERIODS if until - since <= span)
    begin = _floor(since, period)
    # A period that is not over is left out with what may come late.
    end = _floor(until, period) if period == timedelta(minutes=1) else until
    if end <= begin:
        return None
    counted = _counted(endpoint, begin, end, period)
    if not counted:
        return None
    answered = Invocation.everybodys.filter(
        endpoint=endpoint, state=Invocation.State.DONE, created_at__gte=begin, created_at__lt=end
    )
    if sum(counted.values()) <= answered.count():
        return None
    times = answered.order_by("-created_at").values_list("created_at", flat=True)
    own = Counter(_floor(at, period) for at in times[:MOST_LOCATED])
    others = [at for at, calls in counted.items() if calls > own[at]]
    return min(max(others or counted) + period, until)


def _counted(
    endpoint: Endpoint, begin: datetime, end: datetime, period: timedelta
) -> Mapping[datetime, int]:
    """How many calls CloudWatch counted in each period, by its beginning; none: left out."""
    found: Counter[datetime] = Counter()
    queries = [_query(endpoint, number, name, period) for number, name in _variants(endpoint)]
    with aws.translated(phrase("asking CloudWatch whether an endpoint was called")):
        pages = (
            aws.cloudwatch()
            .get_paginator("get_metric_data")
            .paginate(
                MetricDataQueries=queries,
                StartTime=begin,
                EndTime=end,
                ScanBy="TimestampDescending",
            )
        )
        for result in (one for page in pages for one in page["MetricDataResults"]):
            # PartialData goes on in the next page.
            if result.get("StatusCode") not in ("Complete", "PartialData"):
                said = phrase("CloudWatch did not tell of all calls of an endpoint.")
                raise errors.AwsError(said)
            for at, value in zip(result["Timestamps"], result["Values"], strict=False):
                if value > 0:
                    found[at.astimezone(UTC)] += round(value)
    return found


def _variants(endpoint: Endpoint) -> Iterator[tuple[int, str]]:
    """The names that its variants have and had."""
    names = [one.name for one in endpoint.running.parts]
    for revision in endpoint.revisions.all()[:MOST_VARIANTS]:
        names += [one.name for one in revision.size.parts]
    return iter(list(enumerate(dict.fromkeys(names)))[:MOST_VARIANTS])


def _query(endpoint: Endpoint, number: int, variant: str, period: timedelta) -> dict[str, Any]:
    dimensions = {"EndpointName": endpoint.name, "VariantName": variant}
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "Invocations",
                "Dimensions": [{"Name": key, "Value": dimensions[key]} for key in dimensions],
            },
            "Period": int(period.total_seconds()),
            "Stat": "Sum",
        },
    }


def _floor(moment: datetime, period: timedelta) -> datetime:
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return zero + (moment - zero) // period * period
