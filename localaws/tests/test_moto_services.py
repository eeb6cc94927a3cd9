"""What moto cannot do, or would only pretend to: a refusal in the form of each protocol."""

import json
import re
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.tests.servers import KEY, REGION, SECRET


def refused(call):
    """Code, message and status; whatever botocore cannot read as an error fails the test."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    error = response["Error"]
    return error["Code"], error.get("Message", ""), response["ResponseMetadata"]["HTTPStatusCode"]


def unvalidated(process, service):
    """A client of localaws's port, S3's too, that sends what it is told."""
    return boto3.client(
        service,
        endpoint_url=process.url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def no_traceback(local):
    """What is refused is no surprise: the log has no traceback of it."""
    before = local.log.read_text().count("Traceback")
    yield
    assert local.log.read_text().count("Traceback") == before


@pytest.mark.usefixtures("no_traceback")
@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        # moto's part needs a package that is not installed
        pytest.param("apigateway", "get_account", "UnknownOperationException", 404, id="rest-json"),
        pytest.param("cognito-idp", "list_user_pools", "UnknownOperationException", 400, id="json"),
        pytest.param("xray", "get_encryption_config", "UnknownOperationException", 404, id="xray"),
        # moto has the service, not the operation
        pytest.param("autoscaling", "describe_account_limits", "InvalidAction", 400, id="query"),
        pytest.param("route53", "get_checker_ip_ranges", "InvalidAction", 400, id="rest-xml"),
        pytest.param(
            "cloudfront", "get_realtime_log_config", "InvalidAction", 400, id="cloudfront"
        ),
        pytest.param("ec2", "describe_fpga_images", "InvalidAction", 400, id="ec2"),
        pytest.param(
            "backup", "describe_global_settings", "UnknownOperationException", 404, id="path"
        ),
        pytest.param(
            "cloudwatch", "describe_alarm_history", "UnknownOperationException", 400, id="cbor"
        ),
        pytest.param(
            "dynamodb", "list_contributor_insights", "UnknownOperationException", 400, id="1.0"
        ),
        # moto has no such service
        pytest.param("cloudsearch", "describe_domains", "InvalidAction", 400, id="no-query"),
        pytest.param(
            "translate", "list_terminologies", "UnknownOperationException", 400, id="no-json"
        ),
        pytest.param(
            "lookoutequipment", "list_datasets", "UnknownOperationException", 400, id="no-1.0"
        ),
        pytest.param("braket", "search_jobs", "UnknownOperationException", 404, id="no-rest-json"),
        pytest.param(
            "arc-region-switch", "list_plans", "UnknownOperationException", 400, id="no-cbor"
        ),
        # what would not be true here
        pytest.param("cloudformation", "list_stacks", "InvalidAction", 400, id="cloudformation"),
        pytest.param("cloudformation", "create_stack", "InvalidAction", 400, id="create-stack"),
        pytest.param(
            "sagemaker-metrics", "batch_put_metrics", "UnknownOperationException", 404, id="m"
        ),
        pytest.param("s3", "list_buckets", "NotImplemented", 501, id="s3"),
    ],
)
def test_what_is_not_offered_is_said_in_the_callers_form(local, service, operation, code, status):
    declared = refused(getattr(unvalidated(local, service), operation))
    assert (declared[0], declared[2]) == (code, status)
    assert re.search("not offered by localaws|localaws has no S3", declared[1]), declared[1]


@pytest.mark.usefixtures("no_traceback")
def test_what_needs_a_package_at_the_last_moment_is_not_offered(local):
    """moto imports some packages when they are used, in the midst of an operation."""
    events = local.client("events")
    events.put_rule(Name="each", EventPattern=json.dumps({"source": ["a"]}))
    target = "arn:aws:logs:ap-northeast-2:123456789012:log-group:g"
    events.put_targets(Rule="each", Targets=[{"Id": "1", "Arn": target}])
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    code, message, status = refused(lambda: events.put_events(Entries=[entry]))
    assert (code, status) == ("UnknownOperationException", 400)
    assert "needs the package jsonpath_ng, which is not installed" in message


@pytest.mark.usefixtures("no_traceback")
def test_a_subscription_of_a_function_that_cannot_be_is_refused(local):
    logs = local.client("logs")
    logs.create_log_group(logGroupName="subscribed")
    function = "arn:aws:lambda:ap-northeast-2:123456789012:function:f"
    code, _, status = refused(
        lambda: logs.put_subscription_filter(
            logGroupName="subscribed", filterName="f", filterPattern="", destinationArn=function
        )
    )
    assert (code, status) == ("InvalidParameterException", 400)


def test_what_breaks_moto_is_an_error_of_the_callers_form(local):
    code, message, status = refused(lambda: unvalidated(local, "budgets").create_budget())
    assert (code, status) == ("InternalFailure", 500)
    assert message.startswith("moto, which stands for budgets here, failed: TypeError(")
    assert "Traceback" in local.log.read_text()  # a fault, for whoever mends it


OPERATIONS_OF_S3 = {
    "list_buckets": {},
    "create_bucket": {"Bucket": "b"},
    "list_objects_v2": {"Bucket": "b"},
    "put_object": {"Bucket": "b", "Key": "k", "Body": b"x"},
    "get_object": {"Bucket": "b", "Key": "k"},
    "delete_object": {"Bucket": "b", "Key": "k"},
    "create_multipart_upload": {"Bucket": "b", "Key": "k"},
    "put_object_tagging": {"Bucket": "b", "Key": "k", "Tagging": {"TagSet": []}},
}


@pytest.mark.usefixtures("no_traceback")
@pytest.mark.parametrize("operation", OPERATIONS_OF_S3)
def test_s3_is_elsewhere(local, operation):
    """With AWS_ENDPOINT_URL alone, S3's clients come to localaws: moto's would take it all."""
    s3 = unvalidated(local, "s3")
    code, message, status = refused(lambda: getattr(s3, operation)(**OPERATIONS_OF_S3[operation]))
    assert (code, status) == ("NotImplemented", 501)
    assert "Set AWS_ENDPOINT_URL_S3 to the address of that server" in message
    assert local.s3 in message


def test_s3_is_elsewhere_for_presigned_urls_and_head_requests_too(local):
    s3 = unvalidated(local, "s3")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=20)
    assert caught.value.code == 501
    assert b"<Code>NotImplemented</Code>" in caught.value.read()
    for _ in range(2):  # on one connection: an answer to HEAD has no body
        assert refused(lambda: s3.head_bucket(Bucket="b"))[2] == 501
    assert refused(lambda: s3.list_buckets())[0] == "NotImplemented"


def test_without_signatures_s3_is_elsewhere_too(unsigned):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{unsigned.url}/bucket/key", timeout=60)
    assert caught.value.code == 501
    assert b"AWS_ENDPOINT_URL_S3" in caught.value.read()
