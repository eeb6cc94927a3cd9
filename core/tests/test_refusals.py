"""Each way in which AWS refuses has its own advice, from the bodies that AWS really sends."""

import gc
import logging
import weakref
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError
from botocore.stub import Stubber

from core import aws, aws_refusals, errors
from endpoints import sagemaker

_WHO = "User: arn:aws:sts::123456789012:assumed-role/portal/i-0b7c4e2f"
_OBJECT = 'resource: "arn:aws:s3:::store/models/m_v1.tar.gz"'
_KEY = "resource: arn:aws:kms:ap-northeast-2:123456789012:key/1111aaaa-22bb-33cc-44dd-5555eeee6666"


def _s3(action: str, why: str) -> str:
    return f"{_WHO} is not authorized to perform: {action} on {_OBJECT} {why}"


# What happened: code, HTTP status, operation, text, and words that its advice alone has.
REFUSALS: dict[str, tuple[str, int, str, str, list[str]]] = {
    "a session that is over (S3)": (
        "ExpiredToken", 400, "PutObject", "The provided token has expired.",
        ["credentials have expired", "Give it new ones"],
    ),
    "a session that is over (SageMaker)": (
        "ExpiredTokenException", 403, "DescribeEndpoint",
        "The security token included in the request is expired",
        ["credentials have expired", "Give it new ones"],
    ),
    "a session that is over (EC2's form)": (
        "RequestExpired", 400, "DescribeEndpoint", "The security token has expired",
        ["credentials have expired", "Give it new ones"],
    ),
    "a wrong secret (S3)": (
        "SignatureDoesNotMatch", 403, "PutObject",
        "The request signature we calculated does not match the signature you provided. Check "
        "your key and signing method.",
        ["secret access key does not belong", "proxy"],
    ),
    "a wrong secret (SageMaker)": (
        "InvalidSignatureException", 403, "DescribeEndpoint",
        "The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for "
        "details.",
        ["secret access key does not belong", "proxy"],
    ),
    "a clock that is behind (SageMaker)": (
        "InvalidSignatureException", 403, "DescribeEndpoint",
        "Signature expired: 20261126T075444Z is now earlier than 20261126T075952Z "
        "(20261126T080452Z - 5 min.)",
        ["clock", "NTP"],
    ),
    "a clock that is ahead (SageMaker)": (
        "InvalidSignatureException", 403, "DescribeEndpoint",
        "Signature not yet current: 20261126T080444Z is still later than 20261126T075940Z "
        "(20261126T075440Z + 5 min.)",
        ["clock", "NTP"],
    ),
    "a clock that is behind (STS)": (
        "SignatureDoesNotMatch", 403, "GetCallerIdentity",
        "Signature expired: 20261126T072529Z is now earlier than 20261126T193257Z "
        "(20261126T194757Z - 15 min.)",
        ["clock", "NTP"],
    ),
    "a clock that is off (S3)": (
        "RequestTimeTooSkewed", 403, "PutObject",
        "The difference between the request time and the current time is too large.",
        ["clock", "NTP"],
    ),
    "a request that is too old": (
        "RequestExpired", 400, "DescribeEndpoint",
        "Request signature is too far in the past and has expired. Timestamp date: "
        "2026-11-26T10:04:57Z",
        ["clock", "NTP"],
    ),
    "a request of the future": (
        "RequestInTheFuture", 400, "DescribeEndpoint", "Request is in the future.",
        ["clock", "NTP"],
    ),
    "a key that is unknown (S3)": (
        "InvalidAccessKeyId", 403, "ListObjectsV2",
        "The AWS Access Key Id you provided does not exist in our records.",
        ["does not know the portal's access key", "valid credentials"],
    ),
    "a key that is unknown (SageMaker)": (
        "UnrecognizedClientException", 400, "DescribeEndpoint",
        "The security token included in the request is invalid.",
        ["does not know the portal's access key", "valid credentials"],
    ),
    "a key that is unknown (query services)": (
        "InvalidClientTokenId", 403, "GetCallerIdentity",
        "The security token included in the request is invalid.",
        ["does not know the portal's access key", "valid credentials"],
    ),
    "a token that is malformed (S3)": (
        "InvalidToken", 400, "PutObject",
        "The provided token is malformed or otherwise invalid.",
        ["does not know the portal's access key", "valid credentials"],
    ),
    "no credentials at all": (
        "MissingAuthenticationTokenException", 403, "DescribeEndpoint",
        "Missing Authentication Token", ["There are no AWS credentials", "role"],
    ),
    "no right to a data key": (
        "AccessDenied", 403, "PutObject",
        f"{_WHO} is not authorized to perform: kms:GenerateDataKey on {_KEY} because no "
        "identity-based policy allows the kms:GenerateDataKey action",
        ["KMS does not let", "kms:GenerateDataKey and kms:Decrypt"],
    ),
    "no right to decrypt": (
        "AccessDenied", 403, "GetObject",
        f"{_WHO} is not authorized to perform: kms:Decrypt on {_KEY} because no resource-based "
        "policy allows the kms:Decrypt action",
        ["KMS does not let", "the key's own"],
    ),
    "an explicit deny of the key": (
        "AccessDenied", 403, "CopyObject",
        f"{_WHO} is not authorized to perform: kms:Decrypt on {_KEY} with an explicit deny in a "
        "resource-based policy",
        ["KMS does not let", "the key's own"],
    ),
    "a key that is disabled": (
        "KMS.DisabledException", 400, "PutObject",
        "arn:aws:kms:ap-northeast-2:123456789012:key/1111 is disabled.",
        ["disabled", "S3_KMS_KEY_ID"],
    ),
    "a key that is not there": (
        "KMS.NotFoundException", 400, "PutObject", "Invalid keyId aws/s3",
        ["not there", "S3_KMS_KEY_ID"],
    ),
    "a key that is being deleted": (
        "KMS.KMSInvalidStateException", 400, "GetObject",
        "arn:aws:kms:ap-northeast-2:123456789012:key/1111 is pending deletion.",
        ["being deleted", "cancel its deletion"],
    ),
    "a bucket that demands encryption": (
        "AccessDenied", 403, "PutObject",
        _s3("s3:PutObject", "with an explicit deny in a resource-based policy"),
        ["demand that objects are encrypted", "S3_ENCRYPTION"],
    ),
    "… of a large archive": (
        "AccessDenied", 403, "CreateMultipartUpload",
        _s3("s3:PutObject", "with an explicit deny in a resource control policy"),
        ["demand that objects are encrypted", "S3_ENCRYPTION"],
    ),
    "… as S3 said it before, and other servers do": (
        "AccessDenied", 403, "CopyObject", "Access Denied",
        ["does not say why", "S3_ENCRYPTION"],
    ),
    "an explicit deny of the organization": (
        "AccessDeniedException", 400, "CreateEndpoint",
        f"{_WHO} is not authorized to perform: sagemaker:CreateEndpoint on resource: "
        "arn:aws:sagemaker:ap-northeast-2:123456789012:endpoint/demo with an explicit deny in a "
        "service control policy: arn:aws:organizations::1:policy/o-a/service_control_policy/p-0",
        ["service control policy", "No right that is given", "manages the organization"],
    ),
    "an explicit deny of the bucket": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "with an explicit deny in a resource-based policy"),
        ["policy of the bucket", "No right that is given"],
    ),
    "an explicit deny of the role": (
        "AccessDenied", 403, "ListObjectsV2",
        _s3("s3:ListBucket", "with an explicit deny in an identity-based policy: "
            "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"),
        ["a policy of the portal's own role", "No right that is given"],
    ),
    "an explicit deny of a boundary": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "with an explicit deny in a permissions boundary: arn:aws:iam::1:p/b."),
        ["permissions boundary", "No right that is given"],
    ),
    "an explicit deny of a policy that is not named": (
        "AccessDeniedException", 400, "CreateEndpoint",
        f"{_WHO} is not authorized to perform: sagemaker:CreateEndpoint on resource: "
        "arn:aws:sagemaker:ap-northeast-2:123456789012:endpoint/demo with an explicit deny",
        ["a policy that AWS does not name", "No right that is given"],
    ),
    "… of a write": (
        "AccessDenied", 403, "PutObject", _s3("s3:PutObject", "with an explicit deny"),
        ["demand that objects are encrypted", "S3_ENCRYPTION"],
    ),
    "… of the execution role": (
        "AccessDeniedException", 400, "CreateModel",
        f"{_WHO} is not authorized to perform: iam:PassRole on resource: "
        "arn:aws:iam::123456789012:role/execution with an explicit deny",
        ["forbids the portal iam:PassRole", "No right that is given"],
    ),
    "an explicit deny of a VPC's endpoint": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "with an explicit deny in a VPC endpoint policy"),
        ["VPC endpoint", "manages the network"],
    ),
    "a right that is missing": (
        "AccessDeniedException", 400, "CreateModel",
        f"{_WHO} is not authorized to perform: sagemaker:CreateModel on resource: arn:aws:sagemaker"
        ":ap-northeast-2:123456789012:model/demo-r1 because no identity-based policy allows the "
        "sagemaker:CreateModel action",
        ["is not allowed sagemaker:CreateModel", "docs/aws.md"],
    ),
    "a right that the boundary does not name": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "because no permissions boundary allows the s3:GetObject action"),
        ["permissions boundary", "own policy is not enough"],
    ),
    "a right that the organization does not give": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "because no service control policy allows the s3:GetObject action"),
        ["service control policy", "manages the organization"],
    ),
    "a right of a session": (
        "AccessDenied", 403, "GetObject",
        _s3("s3:GetObject", "because no session policy allows the s3:GetObject action"),
        ["policy of the session", "own policy is not enough"],
    ),
    "the execution role may not be passed": (
        "AccessDeniedException", 400, "CreateModel",
        f"{_WHO} is not authorized to perform: iam:PassRole on resource: "
        "arn:aws:iam::123456789012:role/execution because no identity-based policy allows the "
        "iam:PassRole action",
        ["execution role to SageMaker", "iam:PassRole on EXECUTION_ROLE_ARN"],
    ),
    "the execution role cannot be taken on": (
        "ValidationException", 400, "CreateModel",
        "Could not assume role arn:aws:iam::123456789012:role/execution. Please ensure that the "
        "role exists and allows principal 'sagemaker.amazonaws.com' to assume the role.",
        ["execution role", "trust policy"],
    ),
    "no such bucket": (
        "NoSuchBucket", 404, "PutObject", "The specified bucket does not exist",
        ["no such bucket", "MODEL_BUCKET"],
    ),
    "another region": (
        "PermanentRedirect", 301, "PutObject",
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint.",
        ["another region", "AWS_REGION"],
    ),
    "another region, by the signature": (
        "AuthorizationHeaderMalformed", 400, "ListObjectsV2",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
        "'ap-northeast-2'",
        ["another region", "AWS_REGION"],
    ),
    "an account that is not signed up": (
        "OptInRequired", 403, "DescribeEndpoint",
        "The AWS Access Key Id needs a subscription for the service",
        ["account itself", "signed up"],
    ),
}  # fmt: skip


CLIENTS: tuple[Any, ...] = (
    *(aws.s3, aws.s3_for_browsers, aws.sagemaker, aws.sagemaker_runtime, aws.autoscaling),
    *(aws.cloudwatch, aws.logs, aws.service_quotas, aws.pricing, aws.ecr),
)


def error_of(what: str) -> ClientError:
    code, status, operation, text, _ = REFUSALS[what]
    return ClientError(
        {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@pytest.fixture(autouse=True)
def _clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(aws, "_read_again_at", 0.0)
    yield
    for client in CLIENTS:
        client.cache_clear()


@pytest.mark.parametrize("what", REFUSALS)
def test_each_refusal_says_what_happened_and_what_to_do(what: str) -> None:
    _, _, _, text, words = REFUSALS[what]
    error = aws.from_client_error(error_of(what), "publishing it")
    assert isinstance(error, errors.Denied)
    assert all(word in str(error) for word in words), str(error)
    assert error.todo in str(error)
    assert text in str(error), "what AWS says is told, too"


def test_no_two_kinds_have_the_same_advice() -> None:
    advice = {
        tuple(words): aws.from_client_error(error_of(what), "x").todo
        for what, (*_, words) in REFUSALS.items()
    }
    by_kind = {words[0]: todo for words, todo in advice.items()}
    assert len(by_kind) >= 20
    clock, secret = by_kind["clock"], by_kind["secret access key does not belong"]
    assert len({clock, secret, by_kind["KMS does not let"], by_kind["disabled"]}) == 4


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, errors.Throttled),
        ("KMS.ThrottlingException", 400, errors.Throttled),
        ("KMS.KMSInternalException", 500, errors.Throttled),
        ("QuotaExceeded", 403, errors.StorageFull),  # as Ceph says it
        ("NoSuchKey", 404, errors.NotFound),
        ("PreconditionFailed", 412, errors.AlreadyExists),
        ("EntityTooLarge", 400, errors.Invalid),
    ],
)
def test_what_is_no_refusal_stays_what_it_is(
    code: str, status: int, kind: type[errors.AwsError]
) -> None:
    response: Any = {
        "Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}
    }  # fmt: skip
    error = aws.from_client_error(ClientError(response, "PutObject"), "writing")
    assert type(error) is kind
    assert error.todo == ""


@pytest.mark.not_quick
def test_through_a_real_client() -> None:
    client = aws.sagemaker()
    with Stubber(client) as stub:
        code, status, _, text, words = REFUSALS["an explicit deny of the organization"]
        stub.add_client_error("describe_endpoint", code, text, status)
        with pytest.raises(errors.Denied) as caught:
            sagemaker.describe_endpoint("demo")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.not_quick
def test_credentials_that_expired_are_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    lines = "[default]\naws_access_key_id = {}\naws_secret_access_key = x\naws_session_token = y\n"
    file.write_text(lines.format("OLD"))
    assert _key_ids() == {"OLD"}
    file.write_text(lines.format("NEW"))
    assert _key_ids() == {"OLD"}
    aws.from_client_error(error_of("a session that is over (S3)"), "writing")
    assert _key_ids() == {"NEW"}


@pytest.mark.not_quick
def test_clients_with_old_credentials_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes some MiB, and there may be one for each ten seconds of a refused session."""
    for _ in range(3):
        monkeypatch.setattr(aws, "_read_again_at", 0.0)
        old = weakref.ref(aws.sagemaker_runtime())
        aws._invoke_address(aws.sagemaker_runtime())
        aws._read_credentials_again()
        aws._invoke_address(aws.sagemaker_runtime())
        gc.collect()
        assert old() is None


def _key_ids() -> set[str]:
    clients: list[Any] = [
        client("ap-northeast-2") if client is aws.ecr else client() for client in CLIENTS
    ]
    return {client._request_signer._credentials.access_key for client in clients}


def test_credentials_that_cannot_be_fetched_have_their_advice() -> None:
    with pytest.raises(errors.Denied) as caught, aws.translated("writing"):
        raise CredentialRetrievalError(provider="container-role", error_msg="timed out")
    assert str(aws_refusals.NO_CREDENTIALS.todo) in str(caught.value)
    assert "timed out" in str(caught.value)


@pytest.mark.not_quick
def test_nothing_is_read_again_for_a_right_that_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    before = aws.s3()
    aws.from_client_error(error_of("a right that is missing"), "writing")
    assert aws.s3() is before
