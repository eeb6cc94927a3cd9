"""What SageMaker says only in its texts, and how the calls look on the wire."""

from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from core import aws, errors
from endpoints import sagemaker
from tests import aws_clients

ARN = "arn:aws:sagemaker:ap-northeast-2:123456789012"


@pytest.fixture
def stub(monkeypatch):
    client = aws_clients.client("sagemaker")
    monkeypatch.setattr(aws, "sagemaker", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("operation", "call", "text", "expected"),
    [
        (
            "describe_endpoint",
            lambda: sagemaker.describe_endpoint("demo"),
            f'Could not find endpoint "{ARN}:endpoint/demo".',
            errors.NotFound,
        ),
        (
            "describe_endpoint_config",
            lambda: sagemaker.describe_config("demo-r1"),
            f'Could not find endpoint configuration "{ARN}:endpoint-config/demo-r1".',
            errors.NotFound,
        ),
        (
            "describe_model",
            lambda: sagemaker.describe_model("demo-r1"),
            f'Could not find model "{ARN}:model/demo-r1".',
            errors.NotFound,
        ),
        (
            "delete_model",
            lambda: sagemaker.delete_model("demo-r1"),
            f'Could not find model "{ARN}:model/demo-r1".',
            errors.NotFound,
        ),
        (
            "delete_endpoint",
            lambda: sagemaker.delete_endpoint("demo"),
            "Cannot find endpoint demo",
            errors.NotFound,
        ),
        (
            "delete_endpoint",
            lambda: sagemaker.delete_endpoint("demo"),
            f'Cannot update in-progress endpoint "{ARN}:endpoint/demo".',
            errors.Busy,
        ),
        (
            "delete_endpoint",
            lambda: sagemaker.delete_endpoint("demo"),
            "Cannot delete endpoint demo in state Creating",
            errors.Busy,
        ),
        (
            "create_endpoint",
            lambda: sagemaker.create_endpoint(name="demo", config_name="c", tags={}),
            f'Cannot create already existing endpoint "{ARN}:endpoint/demo".',
            errors.AlreadyExists,
        ),
        (
            "create_model",
            lambda: sagemaker.create_model(
                name="m", image="i", role_arn="arn:aws:iam::1:role/r", data_url="s3://b/", tags={}
            ),
            f'Cannot create already existing model "{ARN}:model/m".',
            errors.AlreadyExists,
        ),
        (
            "create_model",
            lambda: sagemaker.create_model(
                name="m", image="i", role_arn="arn:aws:iam::1:role/r", data_url="s3://b/", tags={}
            ),
            "Could not find model data at s3://b/.",
            errors.Invalid,
        ),
        (  # names are people's own words
            "update_endpoint",
            lambda: sagemaker.update_endpoint(name="in-progress", config_name="c"),
            f'Endpoint "{ARN}:endpoint/in-progress" has a variant that is not offered here.',
            errors.Invalid,
        ),
        (
            "delete_endpoint",
            lambda: sagemaker.delete_endpoint("in-progress"),
            f'Cannot update in-progress endpoint "{ARN}:endpoint/in-progress".',
            errors.Busy,
        ),
    ],
)
def test_a_validation_exception_is_told_by_its_text(stub, operation, call, text, expected):
    stub.add_client_error(operation, "ValidationException", text, 400)
    with pytest.raises(errors.AwsError) as caught:
        call()
    assert type(caught.value) is expected
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ThrottlingException", 400, errors.Throttled),
        ("InternalFailure", 500, errors.Throttled),
        ("AccessDeniedException", 400, errors.Denied),
        ("ResourceLimitExceeded", 400, errors.QuotaReached),
        ("ResourceInUse", 400, errors.Busy),
        ("ResourceNotFound", 400, errors.NotFound),
    ],
)
def test_other_errors_go_by_their_code(stub, code, status, expected):
    stub.add_client_error("describe_endpoint", code, "so it says", status)
    with pytest.raises(errors.AwsError) as caught:
        sagemaker.describe_endpoint("demo")
    assert type(caught.value) is expected


def test_a_model_is_made_multi_model_and_tagged(stub):
    stub.add_response(
        "create_model",
        {"ModelArn": f"{ARN}:model/demo-r1"},
        {
            "ModelName": "demo-r1",
            "PrimaryContainer": {
                "Image": "image:1",
                "ModelDataUrl": "s3://bucket/models/",
                "Mode": "MultiModel",
            },
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r",
            "Tags": [{"Key": "mme-portal:endpoint", "Value": "demo"}],
        },
    )
    arn = sagemaker.create_model(
        name="demo-r1",
        image="image:1",
        role_arn="arn:aws:iam::123456789012:role/r",
        data_url="s3://bucket/models/",
        tags={"mme-portal:endpoint": "demo"},
    )
    assert arn == f"{ARN}:model/demo-r1"


def test_a_config_has_one_variant(stub):
    stub.add_response(
        "create_endpoint_config",
        {"EndpointConfigArn": f"{ARN}:endpoint-config/demo-r1"},
        {
            "EndpointConfigName": "demo-r1",
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "ModelName": "demo-r1",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 2,
                    "InitialVariantWeight": 1.0,
                }
            ],
            "Tags": [],
        },
    )
    sagemaker.create_config(
        name="demo-r1",
        model_name="demo-r1",
        instance_type="ml.m5.large",
        instance_count=2,
        tags={},
    )


@pytest.mark.parametrize(
    ("more", "percent", "extras"),
    [
        ({}, 20, ()),
        ({"EnableCapture": False}, None, ()),
        ({"DestinationS3Uri": "s3://b/elsewhere"}, None, ("DataCaptureConfig",)),
        ({"CaptureOptions": [{"CaptureMode": "Input"}]}, None, ("DataCaptureConfig",)),
        ({"KmsKeyId": "a-key"}, None, ("DataCaptureConfig",)),
    ],
)
def test_the_portals_own_data_capture_is_known_and_other_is_told(stub, more, percent, extras):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://b/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    stub.add_response(
        "describe_endpoint_config",
        {
            "EndpointConfigName": "demo-r1",
            "EndpointConfigArn": f"{ARN}:endpoint-config/demo-r1",
            "ProductionVariants": [{"VariantName": "AllTraffic", "InitialInstanceCount": 1}],
            "DataCaptureConfig": capture | more,
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        },
        {"EndpointConfigName": "demo-r1"},
    )
    found = sagemaker.describe_config("demo-r1")
    assert found.options.capture_percent == percent
    assert found.extras == extras


def test_a_failed_endpoint_tells_its_reason(stub):
    stub.add_response(
        "describe_endpoint",
        {
            "EndpointName": "demo",
            "EndpointArn": f"{ARN}:endpoint/demo",
            "EndpointConfigName": "demo-r1",
            "EndpointStatus": "Failed",
            "FailureReason": "No capacity.",
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "LastModifiedTime": datetime(2026, 1, 1, tzinfo=UTC),
        },
        {"EndpointName": "demo"},
    )
    found = sagemaker.describe_endpoint("demo")
    assert (found.status, found.failure) == ("Failed", "No capacity.")
