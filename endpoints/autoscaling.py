"""Application Auto Scaling: let AWS change how many instances an endpoint has, and see what it did.

The scalable target is a variant. Its policy keeps the calls of a minute for each instance near a
target. Both calls that set something also change what is there, so that they can be
made again after a crash.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import aws, errors
from core.sentences import Sentence, phrase
from endpoints.limits import Limits
from endpoints.sagemaker import Call
from endpoints.variants import ALONE

POLICY = "mme-portal"
# What the names of the portal's scheduled actions begin with; a number follows.
_SCHEDULED = "mme-portal-"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_CODES: Mapping[str, type[errors.AwsError]] = {
    "ObjectNotFoundException": errors.NotFound,
    "ConcurrentUpdateException": errors.Busy,
}
_VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
# Seen as: Setting desired instance count to 2.
_COUNT = re.compile(r"instance count to (\d{1,6})\b")


@dataclass(frozen=True)
class Activity:
    """What autoscaling did; ``status`` is AWS's word (BC: ScalingActivityStatusCode).

    ``count`` is the number of instances that it set, None where AWS's text does not say.
    """

    id: str
    began_at: datetime
    status: str
    count: int | None
    cause: str
    message: str

    @property
    def over(self) -> bool:
        """Whether its outcome is known."""
        return self.status not in ("Pending", "InProgress")

    @property
    def done(self) -> bool:
        """Whether the endpoint has as many instances as it set."""
        return self.status == "Successful"


def _key(name: str, variant: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _translated(doing: Sentence) -> AbstractContextManager[None]:
    def first(error: aws.ServiceError) -> errors.AwsError | None:
        kind = _CODES.get(error.code)
        if kind is None:
            return aws.not_of_it(error, doing)
        return aws.known_error(kind, error, doing)

    return aws.translated(doing, first)


def register_call(*, name: str, limits: Limits, variant: str = ALONE) -> Call:
    """The call that lets autoscaling change the number of instances, or sets other limits.

    A number outside of them is changed at once (API: RegisterScalableTarget).
    """
    arguments: dict[str, Any] = {**_key(name, variant), "MinCapacity": limits.least}
    return _call("register_scalable_target", arguments | {"MaxCapacity": limits.most})


def policy_call(*, name: str, limits: Limits, variant: str = ALONE) -> Call:
    """The call that sets when the number of instances is changed."""
    tracking = {
        "TargetValue": float(limits.target),
        "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
        "ScaleInCooldown": limits.in_cooldown,
        "ScaleOutCooldown": limits.out_cooldown,
    }
    arguments: dict[str, Any] = {
        "PolicyName": POLICY,
        **_key(name, variant),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    return _call("put_scaling_policy", arguments)


def scheduled_calls(*, name: str, limits: Limits, variant: str = ALONE) -> list[Call]:
    """The calls that set other limits at times of the week, one for each of them."""
    return [
        _call(
            "put_scheduled_action",
            {
                **_key(name, variant),
                "ScheduledActionName": f"{_SCHEDULED}{number}",
                "Schedule": one.cron,
                "Timezone": limits.zone,
                "ScalableTargetAction": {"MinCapacity": one.least, "MaxCapacity": one.most},
            },
        )
        for number, one in enumerate(limits.schedule, 1)
    ]


def unscheduled_call(*, name: str, action: str, variant: str = ALONE) -> Call:
    """The call that deletes a scheduled action."""
    return _call("delete_scheduled_action", {**_key(name, variant), "ScheduledActionName": action})


def deregister_call(*, name: str, variant: str = ALONE) -> Call:
    """The call that ends autoscaling; the number of instances stays.

    Its policies and its scheduled actions go with it (API: DeregisterScalableTarget).
    """
    return _call("deregister_scalable_target", _key(name, variant))


def _call(method: str, arguments: Mapping[str, Any]) -> Call:
    return Call(method, arguments, service="application-autoscaling")


def register(*, name: str, limits: Limits, variant: str = ALONE) -> None:
    """Make the `register_call`; again, it changes nothing. Raises one of :mod:`core.errors`."""
    with _translated(phrase("letting the endpoint %(name)s be scaled", name=name)):
        register_call(name=name, limits=limits, variant=variant).make()


def put_policy(*, name: str, limits: Limits, variant: str = ALONE) -> None:
    """Make the `policy_call`; raises NotFound where the target cannot be seen (yet)."""
    with _translated(phrase("setting when the endpoint %(name)s is scaled", name=name)):
        policy_call(name=name, limits=limits, variant=variant).make()


def deregister(*, name: str, variant: str = ALONE) -> None:
    """Make the `deregister_call`; raises NotFound where the endpoint is not scaled."""
    with _translated(phrase("ending the autoscaling of the endpoint %(name)s", name=name)):
        deregister_call(name=name, variant=variant).make()


@dataclass(frozen=True)
class ScalableTarget:
    """A variant of an endpoint that AWS scales, whether it is there or not."""

    endpoint: str
    variant: str
    arn: str
    created_at: datetime


def listed_targets() -> Iterator[ScalableTarget]:
    """All of the account's variants that AWS scales; asks for a page when needed."""
    with _translated(phrase("listing what AWS scales")):
        pages = aws.autoscaling().get_paginator("describe_scalable_targets")
        for page in pages.paginate(ServiceNamespace="sagemaker"):
            for one in page["ScalableTargets"]:
                if (found := _VARIANT.fullmatch(one["ResourceId"])) is None:
                    continue  # of something else that SageMaker has scaled
                arn = one.get("ScalableTargetARN", found[0])
                yield ScalableTarget(found[1], found[2], arn, one["CreationTime"])


def has_policy(name: str, variant: str = ALONE) -> bool:
    """Whether the endpoint is scaled by the portal's policy; a policy has a target."""
    with _translated(phrase("looking at the autoscaling of the endpoint %(name)s", name=name)):
        found = aws.autoscaling().describe_scaling_policies(
            PolicyNames=[POLICY], **_key(name, variant)
        )
    return bool(found["ScalingPolicies"])


def misscheduled(*, name: str, limits: Limits, variant: str = ALONE) -> list[Call]:
    """The calls that are missing until what is scheduled is as ``limits`` say; none: it is.

    Actions that others have scheduled are left alone.
    """
    with _translated(phrase("looking at the autoscaling of the endpoint %(name)s", name=name)):
        pages = aws.autoscaling().get_paginator("describe_scheduled_actions")
        found = [
            one
            for page in pages.paginate(**_key(name, variant))
            for one in page["ScheduledActions"]
        ]
    there = {one["ScheduledActionName"]: one for one in found}
    calls = scheduled_calls(name=name, limits=limits, variant=variant)
    wanted = {call.arguments["ScheduledActionName"]: call for call in calls}
    missing = [call for key, call in wanted.items() if not _as_scheduled(there.get(key), call)]
    surplus = [key for key in there if key.startswith(_SCHEDULED) and key not in wanted]
    return missing + [unscheduled_call(name=name, action=key, variant=variant) for key in surplus]


def _as_scheduled(found: Mapping[str, Any] | None, call: Call) -> bool:
    names = ("Schedule", "Timezone", "ScalableTargetAction")
    return found is not None and all(found.get(one) == call.arguments[one] for one in names)


def schedule(*, name: str, call: Call) -> None:
    """Make one of the calls of `misscheduled`; again, it changes nothing.

    Raises NotFound where the target cannot be seen (yet), or the action is gone.
    """
    with _translated(phrase("setting when the endpoint %(name)s is scaled", name=name)):
        call.make()


def activities(name: str, variant: str = ALONE) -> list[Activity]:
    """What autoscaling did with the endpoint of late, the oldest first; at most a page of it."""
    with _translated(phrase("asking how the endpoint %(name)s was scaled", name=name)):
        found = aws.autoscaling().describe_scaling_activities(**_key(name, variant), MaxResults=50)
    return [_activity(one) for one in reversed(found["ScalingActivities"])]


def _activity(told: Mapping[str, Any]) -> Activity:
    match = _COUNT.search(told.get("Description", ""))
    return Activity(
        id=told["ActivityId"],
        began_at=told["StartTime"],
        status=told["StatusCode"],
        count=int(match[1]) if match else None,
        cause=told.get("Cause", ""),
        message=told.get("StatusMessage", "") or told.get("Description", ""),
    )
