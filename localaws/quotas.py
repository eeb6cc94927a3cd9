"""Service Quotas of SageMaker: how many instances of each type the account may run for endpoints.

All types have the same quota, ``--quota``; CreateEndpoint and UpdateEndpoint are held to it. The
quotas of other services are moto's.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import shapes
from .aws_errors import AwsError, unknown_operation
from .instance_memory import MEMORY_GIB
from .options import Options
from .resource_store import ResourceStore
from .statuses import EndpointStatus

_PAGE = 100
_RUNNING = {
    EndpointStatus.CREATING,
    EndpointStatus.IN_SERVICE,
    EndpointStatus.UPDATING,
    EndpointStatus.SYSTEM_UPDATING,
    EndpointStatus.ROLLING_BACK,
}

Members = dict[str, Any]


def is_about_sagemaker(body: bytes) -> bool:
    """Whether a request is about the service whose quotas localaws has itself."""
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        return False
    return isinstance(members, dict) and members.get("ServiceCode") == "sagemaker"


class Quotas:
    """The operations; requests come in by ``call``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.operations: dict[str, Callable[[Members], Members]] = {
            name: getattr(self, name) for name in shapes.QUOTA_OPERATIONS
        }

    def call(self, operation: str, body: bytes) -> bytes:
        """Answer one request; raises AwsError."""
        method = self.operations.get(operation)
        if method is None:
            raise unknown_operation(
                f"{operation} is not offered by localaws for SageMaker. Offered are: "
                f"{', '.join(self.operations)}."
            )
        request = shapes.parse(operation, body, shapes.QUOTAS)
        return shapes.answer(operation, method(request), shapes.QUOTAS)

    def ListServiceQuotas(self, request: Members) -> Members:
        token = request.get("NextToken") or "0"
        if not token.isdigit() or len(token) > 6:
            raise AwsError("InvalidPaginationTokenException", "Invalid token was provided.")
        begin, size = int(token), request.get("MaxResults") or _PAGE
        types = sorted(MEMORY_GIB)
        page = types[begin : begin + size]
        following = str(begin + size) if begin + size < len(types) else None
        return {"Quotas": [self._quota(one) for one in page], "NextToken": following}

    def GetServiceQuota(self, request: Members) -> Members:
        for instance_type in MEMORY_GIB:
            if _code(instance_type) == request["QuotaCode"]:
                return {"Quota": self._quota(instance_type)}
        raise AwsError(
            "NoSuchResourceException", "The request failed because the specified service quota "
            f"does not exist: {request['QuotaCode']}."
        )  # fmt: skip

    def _quota(self, instance_type: str) -> Members:
        code, where = _code(instance_type), f"{self._options.region}:{self._options.account}"
        return {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{where}:sagemaker/{code}",
            "QuotaCode": code,
            "QuotaName": f"{instance_type} for endpoint usage",
            "Value": float(self._options.quota),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def check(options: Options, store: ResourceStore, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise AwsError where the instances that ``wanted`` starts are too many with those that run.

    Those of an endpoint that is updated run beside the new ones.
    """
    asked: dict[str, int] = {}
    for variant in wanted:
        kind = variant["InstanceType"]
        asked[kind] = asked.get(kind, 0) + variant["count"]
    running: dict[str, int] = {}
    for endpoint in store.all("endpoint"):
        if endpoint.status in _RUNNING:
            for variant in endpoint.body["variants"] or endpoint.body.get("wanted", []):
                kind = variant["InstanceType"]
                running[kind] = running.get(kind, 0) + variant["count"]
    for kind, count in asked.items():
        if running.get(kind, 0) + count > options.quota:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{kind} for endpoint usage' is {options.quota} "
                f"Instances, with current utilization of {running.get(kind, 0)} Instances and a "
                f"request delta of {count} Instances. Please use AWS Service Quotas to request an "
                "increase for this quota. If AWS Service Quotas is not available, contact AWS "
                "support to request an increase for this quota.",
            )


def _code(instance_type: str) -> str:
    return f"L-{hashlib.sha256(instance_type.encode()).hexdigest()[:8].upper()}"
