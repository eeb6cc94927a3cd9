"""Validates SageMaker's control-plane requests and shapes responses by botocore's service model.

botocore itself checks only types and required members. SageMaker also checks lengths, patterns and
enumerations, and answers with the messages that :func:`check` writes ("1 validation error detected:
Value … at … failed to satisfy constraint: …").
"""

import datetime as dt
import functools
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)

from .aws_errors import serialization_exception, validation_exception

OPERATIONS = (
    "CreateModel",
    "DescribeModel",
    "ListModels",
    "DeleteModel",
    "CreateEndpointConfig",
    "DescribeEndpointConfig",
    "ListEndpointConfigs",
    "DeleteEndpointConfig",
    "CreateEndpoint",
    "DescribeEndpoint",
    "ListEndpoints",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
    "DeleteEndpoint",
    "AddTags",
    "ListTags",
    "DeleteTags",
    "ListInferenceComponents",
    "ListMonitoringSchedules",
    "ListMonitoringExecutions",
    "ListMonitoringAlertHistory",
)
"""What localaws offers of SageMaker's control plane."""
SCALING = "application-autoscaling"
SCALING_OPERATIONS = (
    "RegisterScalableTarget",
    "DescribeScalableTargets",
    "DeregisterScalableTarget",
    "PutScalingPolicy",
    "DescribeScalingPolicies",
    "DeleteScalingPolicy",
    "PutScheduledAction",
    "DescribeScheduledActions",
    "DeleteScheduledAction",
    "DescribeScalingActivities",
)
"""What localaws offers of Application Auto Scaling, for variants of endpoints."""
QUOTAS = "service-quotas"
QUOTA_OPERATIONS = ("ListServiceQuotas", "GetServiceQuota")
"""What localaws offers of Service Quotas, for SageMaker."""
PRICING = "pricing"
PRICE_OPERATIONS = ("GetProducts",)
"""What localaws offers of AWS's price list, for SageMaker."""
_JSON_TYPES = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": (str,),
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
}


_LARGEST = {
    "integer": 2**31 - 1,
    "long": 2**63 - 1,
    "float": 3.4028235e38,
    "double": sys.float_info.max,
}


@functools.cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """botocore's model of ``service``; cached, as it is a large file."""
    return botocore.session.get_session().get_service_model(service)


def operation(name: str, service: str = "sagemaker") -> OperationModel:
    return service_model(service).operation_model(name)


@functools.cache
def python_pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern of the service model (Java's dialect) as Python's: ``\p{…}`` and ``\z`` differ."""
    translated = (
        pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]")
        .replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
        .replace(r"[\p{Print}]", r"[\x20-\x7e]")
        .replace(r"\p{Print}+", r"[\x20-\x7e]+")
        .replace(r"\p{Print}", r"\x20-\x7e")
        .replace(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]", r"[\w\s.:/=+\-@]")
        .replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
        .replace(r"\z", r"\Z")
    )
    return re.compile(translated)


def parse(operation_name: str, body: bytes, service: str = "sagemaker") -> dict[str, Any]:
    """The members of a request, checked; raises AwsError as SageMaker would answer."""
    try:
        members = json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise serialization_exception("The request body is not JSON.") from None
    if not isinstance(members, dict):
        raise serialization_exception("The request body is not a JSON object.")
    shape = operation(operation_name, service).input_shape
    if shape is None:
        return {}
    check(shape, members)
    found: dict[str, Any] = shaped(shape, members)  # without those that are null
    return found


def _no_constant(name: str) -> None:
    """Python's json takes NaN and Infinity, which are no JSON."""
    raise ValueError(name)


def check(shape: Shape, value: Any) -> None:
    """Raise if ``value`` does not fit ``shape``, with a sentence for each problem."""
    problems = list(_problems(shape, value, ""))
    if problems:
        plural = "error" if len(problems) == 1 else "errors"
        raise validation_exception(
            f"{len(problems)} validation {plural} detected: " + "; ".join(problems)
        )


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not _is(shape.type_name, value):
        raise serialization_exception(
            f"Expected {shape.type_name} at '{path or 'the request'}', got {_json_type(value)}."
        )
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield _sentence(None, _join(path, name), "Member must not be null")
        for name, member in value.items():
            if name not in shape.members:
                yield f"Unknown member '{_join(path, name)}'"
            elif member is not None:
                yield from _problems(shape.members[name], member, _join(path, name))
    elif isinstance(shape, ListShape):
        yield from _size_problems(shape, len(value), value, path, "length")
        for number, member in enumerate(value, start=1):
            yield from _problems(shape.member, member, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        yield from _size_problems(shape, len(value), value, path, "length")
        for key, member in value.items():
            yield from _problems(shape.key, key, f"{path}.{key}.key")
            yield from _problems(shape.value, member, f"{path}.{key}.value")
    elif isinstance(shape, StringShape):
        if shape.enum and value not in shape.enum:
            constraint = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
            yield _sentence(value, path, constraint)
        yield from _size_problems(shape, len(value), value, path, "length")
        pattern = shape.metadata.get("pattern")
        if pattern and not python_pattern(pattern).fullmatch(value):
            constraint = f"Member must satisfy regular expression pattern: {pattern}"
            yield _sentence(value, path, constraint)
    elif shape.type_name in _LARGEST:
        if abs(value) > _LARGEST[shape.type_name]:
            raise serialization_exception(f"{value} at '{path}' is no {shape.type_name}.")
        yield from _size_problems(shape, value, value, path, "value")
    elif shape.type_name == "timestamp":
        _check_timestamp(value, path)


def _is(type_name: str, value: Any) -> bool:
    allowed = _JSON_TYPES[type_name]
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def _size_problems(shape: Shape, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        constraint = f"Member must have {what} greater than or equal to {low}"
        yield _sentence(value, path, constraint)
    if high is not None and size > high:
        constraint = f"Member must have {what} less than or equal to {high}"
        yield _sentence(value, path, constraint)


def _check_timestamp(value: Any, path: str) -> None:
    try:
        timestamp(value)
    except (ValueError, OverflowError):
        raise serialization_exception(f"'{value}' at '{path}' is not a timestamp.") from None


def timestamp(value: float | str) -> float:
    """A request's timestamp as seconds since 1970: a number, or ISO 8601 text."""
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value)


def _sentence(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _json_type(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    names |= {dict: "structure", list: "list", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def shaped(shape: Shape, value: Any) -> Any:
    """``value`` with only the members that ``shape`` knows, ``None`` members left out."""
    if isinstance(shape, StructureShape):
        return {
            name: shaped(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [shaped(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: shaped(shape.value, item) for key, item in value.items()}
    return value


def answer(operation_name: str, value: dict[str, Any], service: str = "sagemaker") -> bytes:
    """The body of a successful answer."""
    shape = operation(operation_name, service).output_shape
    return json.dumps(shaped(shape, value)).encode() if shape is not None else b""
