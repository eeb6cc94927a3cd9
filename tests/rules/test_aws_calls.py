"""Each call of AWS that the code makes is allowed by docs/aws.md, and its errors are understood.

Both are found by themselves: the calls in the code, their errors in botocore's service models. So
a new call fails here until its right is documented, and what its errors mean is said.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from django.utils.translation import override

from core import aws, errors
from core.sentences import phrase
from endpoints import autoscaling, cloudwatch, sagemaker
from invocations import runtime
from localaws import shapes
from tests import aws_clients

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "activity", "accounts", "notices", "models_catalog", "endpoints", "invocations")
Operation = tuple[str, str]

#: What boto3's own functions call (boto3's S3 transfers), by their names.
TRANSFERS = {
    "upload_fileobj": (
        *("PutObject", "CreateMultipartUpload", "UploadPart"),
        *("CompleteMultipartUpload", "AbortMultipartUpload"),
    ),
    "copy": ("HeadObject", "CopyObject"),
}
#: Calls that need no right of their own name (S3 API; STS API; Service Authorization Reference).
RIGHTS: dict[Operation, tuple[str, ...]] = {
    ("s3", "DeleteObjects"): ("s3:DeleteObject",),
    ("sts", "GetCallerIdentity"): (),
    ("s3", "HeadObject"): ("s3:GetObject",),
    ("s3", "ListObjectsV2"): ("s3:ListBucket",),
    ("s3", "ListMultipartUploads"): ("s3:ListBucketMultipartUploads",),
    ("s3", "CopyObject"): ("s3:GetObject", "s3:PutObject"),
    ("s3", "UploadPartCopy"): ("s3:GetObject", "s3:PutObject"),
    ("s3", "CreateMultipartUpload"): ("s3:PutObject",),
    ("s3", "UploadPart"): ("s3:PutObject",),
    ("s3", "CompleteMultipartUpload"): ("s3:PutObject",),
    ("cloudwatch", "PutMetricAlarm"): ("cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
    ("sagemaker", "CreateModel"): ("sagemaker:CreateModel", "iam:PassRole"),
    # AWS asks these of who scales, in the portal's name (Application Auto Scaling User Guide).
    ("application-autoscaling", "RegisterScalableTarget"): (
        "application-autoscaling:RegisterScalableTarget",
        "iam:CreateServiceLinkedRole",
    ),
    ("application-autoscaling", "PutScalingPolicy"): (
        "application-autoscaling:PutScalingPolicy",
        *("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms"),
    ),
    ("application-autoscaling", "DeregisterScalableTarget"): (
        "application-autoscaling:DeregisterScalableTarget",
        "cloudwatch:DeleteAlarms",
    ),
}
_SERVICES = {"sagemaker-runtime": "sagemaker"}


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def _services() -> tuple[str, ...]:
    """The services that core/aws.py makes clients of."""
    text = (ROOT / "core" / "aws.py").read_text()
    return tuple(sorted(set(re.findall(r'boto3\.client\(\s*"([a-z0-9-]+)"', text))))


@cache
def _by_method() -> dict[str, set[Operation]]:
    """By boto3's names of the methods: the operations of these services."""
    found: dict[str, set[Operation]] = {}
    for service in _services():
        for name in _model(service).operation_names:
            found.setdefault(xform_name(name), set()).add((service, name))
    for method, names in TRANSFERS.items():
        found[method] = {("s3", name) for name in names}
    return found


def _gateways() -> Iterator[Path]:
    """Modules that get a client: those that import core.aws, and that itself."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            text = path.read_text()
            if "tests" not in parts and (path.name == "aws.py" or re.search(r"\baws\.\w+\(", text)):
                yield path


def _names(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Methods that are called, and texts that may name one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node.func.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node


@cache
def calls() -> frozenset[Operation]:
    """The operations that the portal's code names, each with its service."""
    found: set[Operation] = {("sagemaker-runtime", "InvokeEndpoint")}  # core/aws.py signs it itself
    for path in _gateways():
        tree = ast.parse(path.read_text())
        text = path.read_text()
        for name, where in _names(tree):
            if isinstance(where, ast.Name) and where.id not in ("client", "aws"):
                continue  # a function of ours: copy.copy, services.create_endpoint
            for service, operation in _by_method().get(name, ()):
                client = {"application-autoscaling": "autoscaling"}.get(service, service)
                client = {"service-quotas": "service_quotas"}.get(client, client)
                if re.search(rf"\b_?{client}\w*\(|\"{service}\"|Call\(", text):
                    found.add((service, operation))
    return frozenset(found)


def _rights(operation: Operation) -> tuple[str, ...]:
    service, name = operation
    prefix = _SERVICES.get(service, _model(service).signing_name)
    prefix = {"monitoring": "cloudwatch", "service-quotas": "servicequotas"}.get(prefix, prefix)
    return RIGHTS.get(operation, (f"{prefix}:{name}",))


def _allowed() -> set[str]:
    page = (ROOT / "docs" / "aws.md").read_text()
    policy = json.loads(page.split("<!-- policy: portal -->")[1].split("```")[1][4:])
    actions = [one["Action"] for one in policy["Statement"]]
    return {right for one in actions for right in ([one] if isinstance(one, str) else one)}


def test_the_calls_are_found() -> None:
    found = calls()
    assert len(found) > 35, sorted(found)
    for known in (
        ("sagemaker", "UpdateEndpoint"),
        ("sagemaker", "ListTags"),
        ("application-autoscaling", "PutScalingPolicy"),
        ("s3", "UploadPartCopy"),
        ("ecr", "DescribeImages"),
        ("service-quotas", "ListServiceQuotas"),
        ("logs", "FilterLogEvents"),
        ("cloudwatch", "GetMetricData"),
        ("iam", "ListAccountAliases"),
    ):
        assert known in found, known


def test_the_role_of_the_docs_has_the_rights_that_the_calls_need_and_no_more() -> None:
    needed = {right for operation in calls() for right in _rights(operation)}
    allowed = _allowed()
    missing, idle = sorted(needed - allowed), sorted(allowed - needed)
    assert not missing, (
        f"The code needs these rights: add them to the policy of docs/aws.md: {missing}"
    )
    assert not idle, f"No code needs these: take them out of the policy of docs/aws.md: {idle}"


#: What localaws has of the services that are not moto's, its S3's or IAM's.
OF_LOCALAWS = {
    "sagemaker": shapes.OPERATIONS,
    "application-autoscaling": shapes.SCALING_OPERATIONS,
    "service-quotas": shapes.QUOTA_OPERATIONS,
    "pricing": shapes.PRICE_OPERATIONS,
}


def test_localaws_has_the_calls() -> None:
    called = calls()
    assert set(OF_LOCALAWS) <= {service for service, _ in called}
    missing = sorted(
        f"{service}: {operation}"
        for service, operation in called
        if service in OF_LOCALAWS and operation not in OF_LOCALAWS[service]
    )
    assert not missing, (
        "On one machine the portal would be refused these. Name them in localaws/shapes.py, write "
        f"their methods (docs/localaws.md lists them), and test them there: {missing}"
    )


# --- what an error of a call means ---------------------------------------------------------

#: SageMaker API, "Common Error Types", which every call may answer, with their HTTP statuses.
COMMON = {
    "AccessDeniedException": 400,
    "ExpiredTokenException": 403,
    "IncompleteSignature": 403,
    "InternalFailure": 500,
    "MalformedHttpRequestException": 400,
    "NotAuthorized": 401,
    "OptInRequired": 403,
    "RequestAbortedException": 400,
    "RequestEntityTooLargeException": 413,
    "RequestExpired": 400,
    "RequestTimeoutException": 408,
    "ServiceUnavailable": 503,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 403,
    "UnknownOperationException": 404,
    "ValidationError": 400,
    # botocore has it of the services besides.
    "ValidationException": 400,
}
OF_SAGEMAKER = {"ResourceNotFound": 400, "ResourceInUse": 400, "ConflictException": 400}
_WRONG, _AGAIN = errors.Invalid, errors.Throttled
#: What each code comes to: what passes is tried again, for what must be mended somebody is asked.
MEANS: dict[str, type[errors.AwsError]] = {
    **dict.fromkeys(
        [
            *("AccessDeniedException", "ExpiredTokenException", "IncompleteSignature"),
            *("NotAuthorized", "OptInRequired", "RequestExpired", "UnrecognizedClientException"),
            "FailedResourceAccessException",
        ],
        errors.Denied,
    ),
    **dict.fromkeys(
        [
            *("InternalFailure", "RequestAbortedException", "RequestTimeoutException"),
            *("ServiceUnavailable", "ThrottlingException", "InternalServiceException"),
            "UnknownOperationException",  # it is not SageMaker that answered
        ],
        _AGAIN,
    ),
    **dict.fromkeys(
        [
            *("MalformedHttpRequestException", "RequestEntityTooLargeException"),
            *("ValidationError", "ValidationException", "InvalidNextTokenException"),
        ],
        _WRONG,
    ),
    **dict.fromkeys(["ResourceLimitExceeded", "LimitExceededException"], errors.QuotaReached),
    **dict.fromkeys(["ResourceInUse", "ConflictException"], errors.Busy),
    "ConcurrentUpdateException": errors.Busy,
    "ResourceNotFound": errors.NotFound,
    "ObjectNotFoundException": errors.NotFound,
}
MEANS |= {
    **dict.fromkeys(
        [
            *("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidObjectState"),
            *("NoSuchBucket", "ObjectNotInActiveTierError", "PermanentRedirect"),
            *("RequestTimeTooSkewed", "SignatureDoesNotMatch"),
        ],
        errors.Denied,
    ),
    **dict.fromkeys(
        [
            *("InternalDependencyException", "InternalError", "InternalErrorException"),
            *("NoSuchUpload", "RequestTimeout", "ServerException", "ServiceException"),
            *("ServiceFailure", "ServiceUnavailableException", "SlowDown"),
            *("TooManyRequestsException", "ConditionalRequestConflict"),
        ],
        _AGAIN,
    ),
    **dict.fromkeys(
        [
            *("EncryptionTypeMismatch", "EntityTooLarge", "ExpiredNextTokenException"),
            *("IllegalArgumentException", "InvalidNextToken", "InvalidPaginationTokenException"),
            *("InvalidParameterException", "InvalidRequest", "InvalidWriteOffset", "TooManyParts"),
        ],
        _WRONG,
    ),
    **dict.fromkeys(
        [
            *("ImageNotFoundException", "NoSuchKey", "NoSuchResourceException"),
            *("NotFoundException", "RepositoryNotFoundException", "ResourceNotFoundException"),
        ],
        errors.NotFound,
    ),
    **dict.fromkeys(["OperationAbortedException", "ResourceConflict"], errors.Busy),
    "LimitExceeded": errors.QuotaReached,
    "PreconditionFailed": errors.AlreadyExists,
    "ModelError": errors.ModelFailed,
    "ModelNotReadyException": errors.NotReady,
}
Translated = Callable[[Any], AbstractContextManager[None]]
_called = partial(runtime._known_error, endpoint_name="demo", target_model="digits_v1.tar.gz")
#: Services with a translation of their own; all others have that of core/aws.py.
TRANSLATED: dict[str, Translated] = {
    "sagemaker": sagemaker._translated,
    "application-autoscaling": autoscaling._translated,
    "cloudwatch": cloudwatch._translated,
    "sagemaker-runtime": lambda doing: aws.translated(doing, _called),
}
#: S3 API, "List of error codes": what any of its calls may answer.
OF_S3 = {
    "AccessDenied": 403,
    "ConditionalRequestConflict": 409,
    "EntityTooLarge": 400,
    "ExpiredToken": 400,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "RequestTimeout": 400,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
}


def _codes(operation: Operation) -> dict[str, int]:
    """The codes that are documented for a call, with their HTTP statuses."""
    service, name = operation
    found = dict(OF_S3 if service == "s3" else COMMON)
    if service == "sagemaker":
        found |= OF_SAGEMAKER
    for shape in _model(service).operation_model(name).error_shapes:
        said = shape.metadata.get("error", {})
        found.setdefault(said.get("code", shape.name), said.get("httpStatusCode", 400))
    return found


def _raised(operation: Operation, code: str, status: int) -> errors.AwsError:
    service, name = operation
    answer: Any = {
        "Error": {"Code": code, "Message": "The words of AWS."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    doing = phrase("creating the endpoint %(name)s", name="demo")
    translated = TRANSLATED.get(service, aws.translated)
    with pytest.raises(errors.AwsError) as raised, translated(doing):
        raise ClientError(answer, name)
    return raised.value


@pytest.mark.parametrize("operation", sorted(calls()), ids=lambda one: f"{one[0]}-{one[1]}")
def test_each_documented_error_of_a_call_means_something_and_is_worded(
    operation: Operation,
) -> None:
    for code, status in _codes(operation).items():
        assert code in MEANS, f"Say what {code} of {operation[1]} means (MEANS)."
        error = _raised(operation, code, status)
        assert type(error) is MEANS[code], (code, error)
        with override("en"):
            english = str(error)
        with override("ko"):
            korean = str(error)
        assert "The words of AWS." in english or code == "NoSuchUpload"
        if code == "ModelError":  # the container's own words, which the page of the call quotes
            continue
        assert re.search("[가-힣]", korean), f"{code} is not worded in Korean: {korean}"
        if operation[0] == "sagemaker-runtime" and "creating the endpoint" not in english:
            assert english.startswith("SageMaker "), "it says what SageMaker could not do"
            continue
        assert "creating the endpoint demo" in english, "it says what was tried"
        if MEANS[code] in (errors.Denied, errors.QuotaReached):
            assert error.todo, f"{code}: what can a person do?"


def test_no_404_of_another_server_means_that_an_endpoint_is_gone() -> None:
    for service in ("sagemaker", "application-autoscaling"):
        translated = TRANSLATED[service]
        with pytest.raises(errors.Throttled, match="Something else than AWS"), translated(service):
            raise ClientError(
                {"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}},  # type: ignore[typeddict-item]
                "DescribeEndpoint",
            )


@pytest.mark.not_quick
def test_every_call_is_in_the_service_model_that_boto3_has() -> None:
    for service, name in calls():
        assert name in _model(service).operation_names
        assert xform_name(name) in dir(aws_clients.client(service))
