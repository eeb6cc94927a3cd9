"""Application Auto Scaling for the instance counts of endpoints' variants.

Each operation is a method named after it, as in :mod:`localaws.controlplane`. Targets, policies,
scheduled actions and activities are rows of the store, so that they survive a restart;
:mod:`localaws.scaling_evaluator` acts on them. Other service namespaces are moto's.
"""

import json
import logging
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from . import schedules, shapes
from .aws_errors import AwsError, unknown_operation, validation_exception
from .clock import Clock
from .options import Options
from .resource_store import EmptyStore, Kind, Resource, ResourceStore
from .statuses import ActivityStatus, EndpointStatus

log = logging.getLogger(__name__)

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING = "TargetTrackingScaling"
INVOCATIONS_METRIC = "SageMakerVariantInvocationsPerInstance"
ACTIVITIES_KEPT = 42 * 24 * 3600.0
"""Seconds; BC, DescribeScalingActivities: "from the previous six weeks"."""
COOLDOWN = 300
"""Seconds of a cooldown that a policy does not name (Application Auto Scaling User Guide)."""
_PAGE = 50
_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}

Members = dict[str, Any]
Scale = Callable[[str, str, int], None]
"""Sets the desired count of a variant of an endpoint; raises AwsError."""


def is_ours(body: bytes) -> bool:
    """Whether a request is about the namespace that localaws has itself."""
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        return False
    return isinstance(members, dict) and members.get("ServiceNamespace") == NAMESPACE


class Autoscaling:
    """The operations; requests come in by ``call``."""

    def __init__(
        self, options: Options, store: ResourceStore, clock: Clock, scale: Scale | None = None
    ) -> None:
        self._options = options
        self._store = store
        self._clock = clock
        self._scale = scale
        self.operations: dict[str, Callable[[Members], Members]] = {
            name: getattr(self, name) for name in shapes.SCALING_OPERATIONS
        }

    def call(self, operation: str, body: bytes, *, region: str | None = None) -> bytes:
        """Answer one request; raises AwsError."""
        if region not in (None, self._options.region):
            store = EmptyStore("There are no endpoints in this region.")
            return Autoscaling(self._options, store, self._clock).call(operation, body)
        method = self.operations.get(operation)
        if method is None:
            raise unknown_operation(
                f"{operation} is not offered by localaws for endpoints. Offered are: "
                f"{', '.join(self.operations)}."
            )
        request = shapes.parse(operation, body, shapes.SCALING)
        if request.get("ScalableDimension", DIMENSION) != DIMENSION:
            raise _not_offered(f"the scalable dimension {request['ScalableDimension']}")
        return shapes.answer(operation, method(request), shapes.SCALING)

    # --- targets

    def RegisterScalableTarget(self, request: Members) -> Members:
        resource = request["ResourceId"]
        with self._store.transaction():
            endpoint = self._endpoint_of(resource)
            row = self._store.get("scalable-target", resource)
            body: Members = row.body if row else {"SuspendedState": dict(_SUSPENDED)}
            for name in ("MinCapacity", "MaxCapacity"):
                if request.get(name) is not None:
                    body[name] = request[name]
                elif name not in body:
                    raise validation_exception(
                        f"{name} must be given when a scalable target is registered."
                    )
            if not 0 <= body["MinCapacity"] <= body["MaxCapacity"]:
                raise validation_exception(
                    "MinCapacity must be 0 or more, and MaxCapacity no less than MinCapacity."
                )
            body["SuspendedState"] |= request.get("SuspendedState") or {}
            if row is None:
                made = uuid.uuid4().hex
                arn = f"{self._arn('application-autoscaling')}:scalable-target/{made}"
                now = self._clock.now()
                row = Resource("scalable-target", resource, arn, now, now, body=body)
            self._store.put(row)
            # BC: otherwise "does not change the … capacity"
            if endpoint.status == EndpointStatus.IN_SERVICE:
                self.bring_into_range(row, "{} capacity was set to {}")
        return {"ScalableTargetARN": row.arn}

    def DescribeScalableTargets(self, request: Members) -> Members:
        wanted = request.get("ResourceIds")
        rows = [row for row in self._rows("scalable-target") if not wanted or row.name in wanted]
        page, token = _page(rows, request)
        role = (
            f"arn:aws:iam::{self._options.account}:role/aws-service-role/sagemaker.application-"
            "autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        )
        targets = [
            {
                **_key(row.name),
                "MinCapacity": row.body["MinCapacity"],
                "MaxCapacity": row.body["MaxCapacity"],
                "RoleARN": role,
                "CreationTime": row.created,
                "SuspendedState": row.body["SuspendedState"],
                "ScalableTargetARN": row.arn,
            }
            for row in page
        ]
        return {"ScalableTargets": targets, "NextToken": token}

    def DeregisterScalableTarget(self, request: Members) -> Members:
        with self._store.transaction():
            self._target(request["ResourceId"], "found")
            _end(self._store, lambda resource: resource == request["ResourceId"])
        return {}

    # --- policies

    def PutScalingPolicy(self, request: Members) -> Members:
        resource, name = request["ResourceId"], request["PolicyName"]
        with self._store.transaction():
            self._target(resource, "registered")
            row = self._store.get("scaling-policy", f"{resource}/{name}")
            kind = request.get("PolicyType") or (TRACKING if row else "StepScaling")
            if kind != TRACKING:
                raise _not_offered(f"the policy type {kind}; it has {TRACKING}")
            config = request.get("TargetTrackingScalingPolicyConfiguration")
            if config is None and row is None:
                raise validation_exception(
                    "TargetTrackingScalingPolicyConfiguration must be given for a policy of the "
                    f"type {TRACKING}."
                )
            if config is not None:
                _check_tracking(config)
            if row is None:
                arn = self._child_arn("scalingPolicy", resource, "policyName", name)
                now = self._clock.now()
                body = {"resource": resource, "name": name, "alarms": str(uuid.uuid4())}
                row = Resource("scaling-policy", f"{resource}/{name}", arn, now, now, body=body)
            if config is not None:
                row.body["config"] = config
            self._store.put(row)
        return {"PolicyARN": row.arn, "Alarms": []}

    def DescribeScalingPolicies(self, request: Members) -> Members:
        rows = self._children("scaling-policy", request, request.get("PolicyNames"))
        page, token = _page(rows, request)
        policies = [
            {
                **_key(row.body["resource"]),
                "PolicyARN": row.arn,
                "PolicyName": row.body["name"],
                "PolicyType": TRACKING,
                "TargetTrackingScalingPolicyConfiguration": row.body["config"],
                "Alarms": [],
                "CreationTime": row.created,
            }
            for row in page
        ]
        return {"ScalingPolicies": policies, "NextToken": token}

    def DeleteScalingPolicy(self, request: Members) -> Members:
        resource, name = request["ResourceId"], request["PolicyName"]
        if not self._store.remove("scaling-policy", f"{resource}/{name}"):
            raise _object_not_found(
                f"No scaling policy found for {_place(resource)}, policy name: {name}"
            )
        return {}

    # --- scheduled actions

    def PutScheduledAction(self, request: Members) -> Members:
        resource, name = request["ResourceId"], request["ScheduledActionName"]
        now = self._clock.now()
        with self._store.transaction():
            self._target(resource, "registered")
            row = self._store.get("scheduled-action", f"{resource}/{name}")
            body = row.body if row else {"resource": resource, "name": name}
            for member in ("Schedule", "Timezone", "ScalableTargetAction"):
                if request.get(member) is not None:
                    body[member] = request[member]
            for member in ("StartTime", "EndTime"):
                if request.get(member) is not None:
                    body[member] = shapes.timestamp(request[member])
            if not body.get("Schedule"):
                raise validation_exception("Schedule must be given for a new scheduled action.")
            try:
                schedules.parse(body["Schedule"], body.get("Timezone"), now)
            except schedules.InvalidSchedule as error:
                raise validation_exception(str(error)) from None
            low, high = _bounds(body.get("ScalableTargetAction") or {}, 0, 2**31 - 1)
            if low > high:
                raise validation_exception("MaxCapacity must be no less than MinCapacity.")
            body["checked"] = now
            if row is None:
                arn = self._child_arn("scheduledAction", resource, "scheduledActionName", name)
                row = Resource("scheduled-action", f"{resource}/{name}", arn, now, now, body=body)
            self._store.put(row)
        return {}

    def DescribeScheduledActions(self, request: Members) -> Members:
        rows = self._children("scheduled-action", request, request.get("ScheduledActionNames"))
        page, token = _page(rows, request)
        members = ("Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction")
        actions = [
            {
                **_key(row.body["resource"]),
                "ScheduledActionName": row.body["name"],
                "ScheduledActionARN": row.arn,
                "CreationTime": row.created,
                **{member: row.body.get(member) for member in members},
            }
            for row in page
        ]
        return {"ScheduledActions": actions, "NextToken": token}

    def DeleteScheduledAction(self, request: Members) -> Members:
        resource, name = request["ResourceId"], request["ScheduledActionName"]
        if not self._store.remove("scheduled-action", f"{resource}/{name}"):
            raise _object_not_found(
                f"No scheduled action found for {_place(resource)}, scheduled action name: {name}"
            )
        return {}

    # --- activities

    def DescribeScalingActivities(self, request: Members) -> Members:
        self.settle_activities()
        rows = self._children("scaling-activity", request, None)
        rows.sort(key=lambda row: (row.created, row.name), reverse=True)
        page, token = _page(rows, request)
        activities = [
            {
                **_key(row.body["resource"]),
                "ActivityId": row.name,
                "Description": row.body["description"],
                "Cause": row.body["cause"],
                "StartTime": row.created,
                "EndTime": row.body.get("ended"),
                "StatusCode": row.status,
                "StatusMessage": row.body["message"],
            }
            for row in page
        ]
        return {"ScalingActivities": activities, "NextToken": token}

    def bring_into_range(self, target: Resource, cause: str) -> None:
        """Set the count of a target's variant to one within its minimum and maximum.

        ``cause`` takes which of the two, and its value.
        """
        count = self.count(target.name)
        low, high = max(1, target.body["MinCapacity"]), max(1, target.body["MaxCapacity"])
        if count is not None and count < low:
            self.set_count(target.name, low, cause.format("minimum", low))
        elif count is not None and count > high:
            self.set_count(target.name, high, cause.format("maximum", high))

    def set_count(self, resource: str, count: int, cause: str, policy: str = "") -> None:
        """Have the variant's count changed, as an activity; where that is refused, a failed one."""
        assert self._scale is not None, "another region has no endpoints"
        endpoint, variant = parse(resource)
        now = self._clock.now()
        activity = Resource(
            "scaling-activity", str(uuid.uuid4()), f"activity/{uuid.uuid4()}", now, now
        )
        activity.status = ActivityStatus.IN_PROGRESS
        activity.body = {
            "resource": resource,
            "description": f"Setting desired instance count to {count}.",
            "cause": cause,
            "message": f"Successfully set desired instance count to {count}. Waiting for change "
            "to be fulfilled by sagemaker.",
            "policy": policy,
            "before": self.count(resource),
            "count": count,
        }
        with self._store.transaction():
            try:
                self._scale(endpoint, variant, count)
            except AwsError as error:
                said = f"Failed to set desired instance count to {count}. Reason: {error.message}"
                self._close(activity, ActivityStatus.FAILED, said)
            self._store.put(activity)
        log.info("%s: %s %s", resource, activity.body["description"], cause)

    def settle_activities(self) -> None:
        """End the activities whose change is over; forget those of more than six weeks ago."""
        now = self._clock.now()
        with self._store.transaction():
            for activity in self._store.all("scaling-activity"):
                if activity.created < now - ACTIVITIES_KEPT:
                    self._store.remove("scaling-activity", activity.name)
                elif activity.status == ActivityStatus.IN_PROGRESS:
                    self._settle(activity)

    def _settle(self, activity: Resource) -> None:
        resource, wanted = activity.body["resource"], activity.body["count"]
        endpoint = self._store.get("endpoint", parse(resource)[0])
        if endpoint is not None and endpoint.status == EndpointStatus.UPDATING:
            return
        if self.count(resource) == wanted:
            said = (
                f"Successfully set desired instance count to {wanted}. Change successfully "
                "fulfilled by sagemaker."
            )
            self._close(activity, ActivityStatus.SUCCESSFUL, said)
        else:
            why = endpoint.body.get("failure") if endpoint is not None else None
            said = f"Desired instance count was set to {wanted}, but was not fulfilled. {why or ''}"
            self._close(activity, ActivityStatus.UNFULFILLED, said.strip())
        self._store.put(activity)

    def _close(self, activity: Resource, status: str, message: str) -> None:
        activity.status = status
        activity.body |= {"message": message, "ended": self._clock.now()}

    # --- common

    def count(self, resource: str) -> int | None:
        """The instances of a target's variant; None where it is not there."""
        endpoint, name = parse(resource)
        row = self._store.get("endpoint", endpoint)
        for variant in row.body["variants"] if row else []:
            if variant["VariantName"] == name:
                return int(variant["count"])
        return None

    def _endpoint_of(self, resource: str) -> Resource:
        """The endpoint of a target, whose variant is there."""
        name, variant = parse(resource)
        endpoint = self._store.get("endpoint", name)
        if endpoint is None or endpoint.status == EndpointStatus.DELETING:
            raise validation_exception(f"Endpoint not found: {name} (resource ID: {resource})")
        present = endpoint.body["variants"] or endpoint.body.get("wanted", [])
        if variant not in [one["VariantName"] for one in present]:
            raise validation_exception(
                f"Variant not found: {variant} of endpoint {name} (resource ID: {resource})"
            )
        return endpoint

    def _target(self, resource: str, what: str) -> Resource:
        row = self._store.get("scalable-target", resource)
        if row is None:
            raise _object_not_found(f"No scalable target {what} for {_place(resource)}")
        return row

    def _rows(self, kind: Kind) -> list[Resource]:
        return self._store.all(kind)

    def _children(
        self, kind: Kind, request: Members, names: Sequence[str] | None
    ) -> list[Resource]:
        resource = request.get("ResourceId")
        return [
            row
            for row in self._rows(kind)
            if resource in (None, row.body["resource"]) and (not names or row.body["name"] in names)
        ]

    def _arn(self, service: str) -> str:
        return f"arn:aws:{service}:{self._options.region}:{self._options.account}"

    def _child_arn(self, kind: str, resource: str, label: str, name: str) -> str:
        begin = f"{self._arn('autoscaling')}:{kind}:{uuid.uuid4()}"
        return f"{begin}:resource/{NAMESPACE}/{resource}:{label}/{name}"


def parse(resource: str) -> tuple[str, str]:
    """Endpoint and variant of ``endpoint/NAME/variant/VARIANT``; empty for another form."""
    parts = resource.split("/")
    if len(parts) == 4 and (parts[0], parts[2]) == ("endpoint", "variant"):
        return parts[1], parts[3]
    return "", ""


def end(store: ResourceStore, endpoint: str) -> None:
    """Deregister the targets of an endpoint, with their policies and scheduled actions."""
    _end(store, lambda resource: parse(resource)[0] == endpoint)


def registered(store: ResourceStore, endpoint: str, variant: str) -> bool:
    """Whether a variant is a scalable target."""
    return store.get("scalable-target", f"endpoint/{endpoint}/variant/{variant}") is not None


def _end(store: ResourceStore, is_its: Callable[[str], bool]) -> None:
    with store.transaction():
        for row in store.all("scalable-target"):
            if is_its(row.name):
                store.remove("scalable-target", row.name)
        kinds: tuple[Kind, ...] = ("scaling-policy", "scheduled-action")
        for kind in kinds:
            for row in store.all(kind):
                if is_its(row.body["resource"]):
                    store.remove(kind, row.name)


def _check_tracking(config: Members) -> None:
    predefined, customized = (
        config.get("PredefinedMetricSpecification"),
        config.get("CustomizedMetricSpecification"),
    )
    if bool(predefined) == bool(customized):
        raise validation_exception(
            "Give either PredefinedMetricSpecification or CustomizedMetricSpecification."
        )
    if config["TargetValue"] <= 0:
        raise validation_exception("TargetValue must be greater than 0.")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if (config.get(name) or 0) < 0:
            raise validation_exception(f"{name} must be 0 or more.")
    if predefined and predefined["PredefinedMetricType"] != INVOCATIONS_METRIC:
        raise _not_offered(
            f"the metric {predefined['PredefinedMetricType']}; it has {INVOCATIONS_METRIC}"
        )
    if customized:
        if customized.get("Metrics"):
            raise _not_offered("metric math (Metrics of a CustomizedMetricSpecification)")
        for name in ("MetricName", "Namespace", "Statistic"):
            if not customized.get(name):
                raise validation_exception(
                    f"{name} must be given in CustomizedMetricSpecification."
                )


def _bounds(body: Members, low: int, high: int) -> tuple[int, int]:
    """MinCapacity and MaxCapacity of ``body``, these where it has none."""
    least, most = body.get("MinCapacity"), body.get("MaxCapacity")
    return low if least is None else least, high if most is None else most


def _key(resource: str) -> Members:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource,
        "ScalableDimension": DIMENSION,
    }


def _place(resource: str) -> str:
    return (
        f"service namespace: {NAMESPACE}, resource ID: {resource}, scalable dimension: {DIMENSION}"
    )


def _page(rows: list[Resource], request: Members) -> tuple[list[Resource], str | None]:
    token = request.get("NextToken") or "0"
    size = request.get("MaxResults") or _PAGE
    if not re.fullmatch(r"\d{1,9}", token):
        raise AwsError("InvalidNextTokenException", "NextToken is not one that was given out.")
    if not 1 <= size <= _PAGE:
        raise validation_exception(f"MaxResults must be from 1 to {_PAGE}.")
    begin = int(token)
    following = str(begin + size) if len(rows) > begin + size else None
    return rows[begin : begin + size], following


def _object_not_found(message: str) -> AwsError:
    return AwsError("ObjectNotFoundException", message)


def _not_offered(what: str) -> AwsError:
    return validation_exception(f"localaws does not offer {what}.")
