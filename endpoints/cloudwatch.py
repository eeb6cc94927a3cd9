"""CloudWatch's alarms: put, listed, deleted. All three can be made again after a crash."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import aws, errors
from core.sentences import Sentence, phrase
from endpoints.alarm_presets import AlarmPreset
from endpoints.sagemaker import Call

_MISSING = ("ResourceNotFound", "ResourceNotFoundException")
_MINUTE = 60


@dataclass(frozen=True)
class ListedAlarm:
    """An alarm as CloudWatch describes it; ``state`` is its word (API: MetricAlarm, StateValue).

    ``does``: what `alarm_arguments` gave it, as far as the portal sets it.
    """

    name: str
    arn: str
    state: str
    reason: str
    changed_at: datetime | None
    updated_at: datetime
    namespace: str
    dimensions: Mapping[str, str]
    does: Mapping[str, Any]


def _translated(doing: Sentence) -> Any:
    def first(error: aws.ServiceError) -> errors.AwsError | None:
        if error.code in _MISSING:
            return aws.known_error(errors.NotFound, error, doing)
        return None

    return aws.translated(doing, first)


def alarm_arguments(
    preset: AlarmPreset, *, endpoint: str, variant: str, threshold: int, minutes: int
) -> dict[str, Any]:
    """What an alarm does, as PutMetricAlarm takes it, without its name."""
    statistic = "ExtendedStatistic" if preset.statistic.startswith("p") else "Statistic"
    return {
        "Namespace": preset.namespace,
        "MetricName": preset.metric,
        "Dimensions": [
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ],
        statistic: preset.statistic,
        "Period": _MINUTE if preset.each_minute else _MINUTE * minutes,
        "EvaluationPeriods": minutes if preset.each_minute else 1,
        "Threshold": round(threshold * preset.factor, 6),
        "ComparisonOperator": preset.comparison,
        "TreatMissingData": preset.missing,
    }


def put_call(
    name: str, does: Mapping[str, Any], *, description: str, tags: Mapping[str, str]
) -> Call:
    """The call that makes an alarm, or makes it do something else; its state stays then.

    API: PutMetricAlarm. CloudWatch takes the tags of a new one alone.
    """
    arguments: dict[str, Any] = {
        "AlarmName": name,
        "AlarmDescription": description,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    return Call("put_metric_alarm", {**arguments, **does}, service="cloudwatch")


def put_alarm(
    name: str, does: Mapping[str, Any], *, description: str, tags: Mapping[str, str]
) -> None:
    """Make the `put_call`. Raises one of :mod:`core.errors`."""
    with _translated(phrase("making the alarm %(name)s", name=name)):
        put_call(name, does, description=description, tags=tags).make()


def delete_call(name: str) -> Call:
    """The call that deletes an alarm."""
    return Call("delete_alarms", {"AlarmNames": [name]}, service="cloudwatch")


def delete_alarm(name: str) -> None:
    """Make the `delete_call`; CloudWatch may say NotFound of one that is not there."""
    with _translated(phrase("deleting the alarm %(name)s", name=name)):
        delete_call(name).make()


def listed_alarms(prefix: str = "") -> Iterator[ListedAlarm]:
    """The account's alarms of one metric whose names begin so; asks for a page when needed."""
    asked: dict[str, Any] = {"AlarmTypes": ["MetricAlarm"]}
    if prefix:
        asked["AlarmNamePrefix"] = prefix
    with _translated(phrase("looking at the alarms")):
        for page in aws.cloudwatch().get_paginator("describe_alarms").paginate(**asked):
            for one in page.get("MetricAlarms", []):
                yield _listed(one)


_DOES = (
    *("Namespace", "MetricName", "Dimensions", "Statistic", "ExtendedStatistic", "Period"),
    *("EvaluationPeriods", "Threshold", "ComparisonOperator", "TreatMissingData"),
)


def _listed(one: Mapping[str, Any]) -> ListedAlarm:
    does = {name: one[name] for name in _DOES if one.get(name) is not None}
    dimensions = one.get("Dimensions", [])
    does["Dimensions"] = sorted(dimensions, key=lambda pair: str(pair["Name"]))
    return ListedAlarm(
        name=one["AlarmName"],
        arn=one["AlarmArn"],
        updated_at=one["AlarmConfigurationUpdatedTimestamp"],
        namespace=one.get("Namespace", ""),
        dimensions={pair["Name"]: pair["Value"] for pair in dimensions},
        state=one["StateValue"],
        reason=one.get("StateReason", ""),
        changed_at=one.get("StateTransitionedTimestamp") or one.get("StateUpdatedTimestamp"),
        does=does,
    )
