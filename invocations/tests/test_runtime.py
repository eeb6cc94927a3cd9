"""InvokeEndpoint: what goes over the wire, and each error as one of the portal."""

import io

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from core import aws, errors
from invocations import runtime, services

CALL = {
    "endpoint_name": "demo",
    "target_model": "digits_v1.tar.gz",
    "body": b"picture",
    "content_type": "image/png",
}
SENT = {
    "EndpointName": "demo",
    "TargetModel": "digits_v1.tar.gz",
    "Body": b"picture",
    "ContentType": "image/png",
    "Accept": "application/json",
}


@pytest.fixture
def stub(monkeypatch):
    client = boto3.client("sagemaker-runtime", region_name="ap-northeast-2")
    monkeypatch.setattr(aws, "sagemaker_runtime", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_the_answer_comes_with_what_sagemaker_adds(stub):
    body = b'{"predictions": []}'
    stub.add_response(
        "invoke_endpoint",
        {
            "Body": StreamingBody(io.BytesIO(body), len(body)),
            "ContentType": "application/json",
            "InvokedProductionVariant": "AllTraffic",
            "CustomAttributes": "cold=1;load_ms=12.3",
            "ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": 200},
        },
        SENT,
    )
    answer = runtime.invoke(**CALL)
    assert answer == runtime.Answer(
        body, "application/json", "cold=1;load_ms=12.3", "r-1", "AllTraffic"
    )


@pytest.mark.parametrize(
    ("code", "status", "text", "expected", "says"),
    [
        ("ModelNotReadyException", 429, "Model is not ready", errors.NotReady, "still loading"),
        (
            "ValidationError",
            400,
            "Failed to download model data (bucket: b, key: models/digits_v1.tar.gz)",
            errors.NotFound,
            "could not fetch the archive digits_v1.tar.gz",
        ),
        (
            "ValidationError",
            400,
            "Endpoint demo of account 123456789012 not found.",
            errors.NotFound,
            "has no endpoint demo",
        ),
        ("ValidationError", 400, "something else", errors.Invalid, "something else"),
        ("ServiceUnavailable", 503, "try later", errors.Throttled, "just now"),
        ("InternalDependencyException", 530, "try later", errors.Throttled, "just now"),
        ("ThrottlingException", 400, "Rate exceeded", errors.Throttled, "Rate exceeded"),
        ("AccessDeniedException", 403, "not authorized", errors.Denied, "not authorized"),
    ],
)
def test_errors_are_sentences_of_the_portal(stub, code, status, text, expected, says):
    stub.add_client_error("invoke_endpoint", code, text, status)
    with pytest.raises(errors.AwsError) as caught:
        runtime.invoke(**CALL)
    assert type(caught.value) is expected
    assert says in str(caught.value)


def test_a_model_error_carries_the_containers_status_and_words(stub):
    stub.add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received client error (400) from model",
        424,
        modeled_fields={"OriginalStatusCode": 400, "OriginalMessage": "not a picture"},
    )
    with pytest.raises(errors.ModelFailed) as caught:
        runtime.invoke(**CALL)
    assert (caught.value.status, str(caught.value)) == (400, "not a picture")


def test_more_than_sagemaker_takes_is_not_sent(stub):
    with pytest.raises(errors.Invalid, match="6,291,456"):
        runtime.invoke(**CALL | {"body": bytes(runtime.MAX_PAYLOAD_BYTES + 1)})


def test_sagemakers_id_of_a_request_that_failed_is_known(stub):
    stub.add_client_error(
        "invoke_endpoint",
        service_error_code="ModelError",
        service_message="Prediction failed",
        http_status_code=424,
        response_meta={"RequestId": "r-failed"},
        expected_params=SENT,
    )
    with pytest.raises(errors.ModelFailed) as raised:
        runtime.invoke(**CALL)
    assert services._request_id(raised.value) == "r-failed"
    assert services._request_id(errors.Throttled("AWS did not answer.")) == ""
