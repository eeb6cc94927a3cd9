"""The alarms that the portal offers for an endpoint: what each measures, and its presets."""

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.sentences import Sentence, phrase

#: A day, in minutes: CloudWatch takes no longer period times periods below an hour.
LONGEST_MINUTES = 1440


class AlarmKind(models.TextChoices):
    """What an alarm is of; the values are in addresses and in CloudWatch's names."""

    ERRORS = "5xx", _("Failed calls (5XX)")
    LATENCY = "p99", _("Latency (p99)")
    CACHE_HITS = "cache-hits", _("Cache hit ratio")
    MEMORY = "memory", _("Memory")
    NO_CALLS = "no-calls", _("No calls")


@dataclass(frozen=True)
class AlarmPreset:
    """How an alarm is made of a threshold and a time (API: PutMetricAlarm).

    ``threshold`` and ``minutes`` are preset; the threshold is at most ``most``, and ``most`` equal
    to the preset leaves no choice. ``factor`` makes the metric's unit of the threshold's.
    ``each_minute``: each of the minutes is a datapoint; else all of them are one.
    """

    namespace: str
    metric: str
    statistic: str
    comparison: str
    missing: str
    threshold: int
    most: int
    minutes: int
    factor: float = 1.0
    each_minute: bool = False

    @property
    def fixed(self) -> bool:
        """Whether nobody chooses the threshold."""
        return self.most == self.threshold


_OF_CALLS, _OF_INSTANCES = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
_ABOVE, _AT_LEAST = "GreaterThanThreshold", "GreaterThanOrEqualToThreshold"
_BELOW = "LessThanThreshold"
# Without calls there are no data of calls, which is no trouble but to the alarm of no calls.
# DG/multi-model-endpoint-cloudwatch-metrics, DG/monitoring-cloudwatch: latencies in microseconds,
# ModelCacheHit from 0 to 1, the memory of an instance in percent.
PRESETS: dict[str, AlarmPreset] = {
    AlarmKind.ERRORS: AlarmPreset(
        _OF_CALLS, "Invocation5XXErrors", "Sum", _AT_LEAST, "notBreaching", 5, 1_000_000, 5
    ),
    AlarmKind.LATENCY: AlarmPreset(
        _OF_CALLS, "ModelLatency", "p99", _ABOVE, "notBreaching", 2000, 60_000, 5, factor=1000
    ),
    AlarmKind.CACHE_HITS: AlarmPreset(
        _OF_CALLS, "ModelCacheHit", "Average", _BELOW, "notBreaching", 60, 100, 15, factor=0.01
    ),
    AlarmKind.MEMORY: AlarmPreset(
        _OF_INSTANCES, "MemoryUtilization", "Maximum", _ABOVE, "missing", 90, 100_000, 5
    ),
    AlarmKind.NO_CALLS: AlarmPreset(
        _OF_CALLS, "Invocations", "Sum", _BELOW, "breaching", 1, 1, 60, each_minute=True
    ),
}


def condition(kind: str, threshold: int, minutes: int) -> Sentence:
    """When an alarm goes off, in the reader's language."""
    told = {"threshold": threshold, "minutes": minutes}
    sentences = {
        AlarmKind.ERRORS: phrase("%(threshold)s or more failed calls in %(minutes)s min", **told),
        AlarmKind.LATENCY: phrase(
            "the slowest percent of the calls above %(threshold)s ms, over %(minutes)s min", **told
        ),
        AlarmKind.CACHE_HITS: phrase(
            "fewer than %(threshold)s percent of the calls find their model in memory, over "
            "%(minutes)s min",
            **told,
        ),
        AlarmKind.MEMORY: phrase(
            "more than %(threshold)s percent of an instance’s memory within %(minutes)s min", **told
        ),
        AlarmKind.NO_CALLS: phrase("no call in %(minutes)s min", minutes=minutes),
    }
    return sentences[AlarmKind(kind)]
