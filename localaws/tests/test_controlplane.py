"""The control plane as a client sees it: boto3 against a running localaws."""

import datetime as dt
import re
import sys

import pytest
from botocore.exceptions import ClientError, WaiterError

from localaws.tests.conftest import Hosting
from localaws.tests.servers import ROLE

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:ap-northeast-2:{ACCOUNT}"


def container(bucket, **more):
    return {
        "Image": "img",
        "Mode": "MultiModel",
        "ModelDataUrl": f"https://s3-ap-northeast-2.amazonaws.com/{bucket}/models/",
    } | more


def refused(call, code="ValidationException"):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def test_model_life(hosting, name):
    sagemaker, spec = hosting.sagemaker, container(hosting.bucket)
    arn = sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, Containers=[spec])[
        "ModelArn"
    ]
    assert arn == f"{ARN}:model/{name}"
    found = sagemaker.describe_model(ModelName=name)
    assert found["Containers"] == [spec]
    assert found["ExecutionRoleArn"] == ROLE
    assert found["ModelArn"] == arn
    assert found["EnableNetworkIsolation"] is False
    age = dt.datetime.now(dt.UTC) - found["CreationTime"]
    assert abs(age.total_seconds()) < 60
    assert found["ResponseMetadata"]["RequestId"]
    again = refused(
        lambda: sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, Containers=[spec])
    )
    assert again == f'Cannot create already existing model "{arn}".'
    sagemaker.delete_model(ModelName=name)
    gone = f'Could not find model "{arn}".'
    assert refused(lambda: sagemaker.describe_model(ModelName=name)) == gone
    assert refused(lambda: sagemaker.delete_model(ModelName=name)) == gone


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ModelDataUrl": None}, "ModelDataUrl must be given"),
        ({"ModelDataUrl": "https://example.com/x/"}, "Could not parse ModelDataUrl"),
        ({"ModelDataUrl": "s3://b/" + "x" * 1020}, "length less than or equal to 1024"),
        ({"Image": None}, "Image must be given"),
        (
            {
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "s3://b/p/",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                }
            },
            "ModelDataSource is not supported",
        ),
    ],
)
def test_create_model_checks_its_container(hosting, name, changes, sentence):
    spec = {k: v for k, v in (container("bkt") | changes).items() if v is not None}
    message = refused(
        lambda: hosting.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=spec
        )
    )
    assert sentence in message


def test_create_model_takes_one_container(hosting, name):
    spec = container("bkt")
    create = hosting.sagemaker.create_model
    none = refused(lambda: create(ModelName=name, ExecutionRoleArn=ROLE))
    both = refused(
        lambda: create(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=spec, Containers=[spec]
        )
    )
    assert none == both
    assert "either PrimaryContainer or Containers" in none
    assert "one member" in refused(
        lambda: create(ModelName=name, ExecutionRoleArn=ROLE, Containers=[spec, spec])
    )


def test_config_life(hosting, name):
    sagemaker = hosting.sagemaker
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container("bkt"))
    variant = {
        "InstanceType": "ml.m5.xlarge",
        "InitialInstanceCount": 2,
        "ModelName": name,
        "VariantName": "AllTraffic",
    }

    def create():
        return sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant]
        )

    arn = create()["EndpointConfigArn"]
    assert arn == f"{ARN}:endpoint-config/{name}"
    found = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert found["ProductionVariants"] == [variant | {"InitialVariantWeight": 1.0}]
    assert refused(create) == f'Cannot create already existing endpoint configuration "{arn}".'
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    gone = refused(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=name))
    assert gone == f'Could not find endpoint configuration "{arn}".'


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ModelName": "no-such-model"}, f'Could not find model "{ARN}:model/no-such-model".'),
        ({"InstanceType": "ml.nonsense"}, "Member must satisfy enum value set"),
        ({"InitialInstanceCount": 0}, "greater than or equal to 1"),
        ({"InstanceType": None}, "InstanceType must be given"),
        ({"VariantName": "-x"}, "regular expression pattern"),
    ],
)
def test_create_config_checks_its_variants(hosting, name, changes, sentence):
    hosting.sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container("bkt")
    )
    variant = {
        "InstanceType": "ml.m5.xlarge",
        "InitialInstanceCount": 2,
        "ModelName": name,
        "VariantName": "AllTraffic",
    } | changes
    variant = {k: v for k, v in variant.items() if v is not None}
    client = hosting.process.client("sagemaker", parameter_validation=False)
    assert sentence in refused(
        lambda: client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    )
    hosting.sagemaker.delete_model(ModelName=name)


def test_endpoint_life(start, name):
    hosting = Hosting(start("--create-seconds", "2"), "life")  # busy for as long as is looked at
    sagemaker = hosting.sagemaker
    hosting.create(name, wait=False, count=2)
    arn = f"{ARN}:endpoint/{name}"
    first = sagemaker.describe_endpoint(EndpointName=name)
    assert first["EndpointStatus"] == "Creating"
    assert first["EndpointArn"] == arn
    busy = f'Cannot update in-progress endpoint "{arn}".'
    assert refused(lambda: sagemaker.delete_endpoint(EndpointName=name)) == busy
    assert (
        refused(lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name))
        == busy
    )
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = sagemaker.describe_endpoint(EndpointName=name)
    assert found["EndpointStatus"] == "InService"
    assert found["LastModifiedTime"] > found["CreationTime"]
    assert "FailureReason" not in found
    (variant,) = found["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 2
    assert variant["CurrentWeight"] == 1.0
    assert variant["DeployedImages"][0]["SpecifiedImage"] == "tiny"
    again = refused(lambda: sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name))
    assert again == f'Cannot create already existing endpoint "{arn}".'

    pids = [one["pid"] for one in hosting.process.instances(name)]
    assert len(set(pids)) == 2
    sagemaker.delete_endpoint(EndpointName=name)
    waiter = sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    gone = refused(lambda: sagemaker.describe_endpoint(EndpointName=name))
    assert gone == f'Could not find endpoint "{arn}".'
    # Its configuration and model are still there (DG/realtime-endpoints-delete-resources).
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def test_an_endpoint_needs_its_config(hosting, name):
    message = refused(
        lambda: hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    )
    assert message == f'Could not find endpoint configuration "{ARN}:endpoint-config/{name}".'


def test_an_endpoint_outlives_its_config_and_model(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=name)
    hosting.sagemaker.delete_model(ModelName=name)
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    hosting.delete(name)


def test_a_container_that_ends_makes_the_endpoint_failed(hosting, name):
    hosting.create(name, wait=False, Environment={"SAGEMAKER_TINY_EXIT": "1"})
    found = hosting.settled(name)
    assert found["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "exit code 3" in found["FailureReason"]
    assert "the cat sat on the keyboard" in found["FailureReason"]
    waiter = hosting.sagemaker.get_waiter("endpoint_in_service")
    with pytest.raises(WaiterError, match="terminal failure"):
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 3})
    # A Failed endpoint takes only DeleteEndpoint.
    update = hosting.sagemaker.update_endpoint
    assert "Failed" in refused(lambda: update(EndpointName=name, EndpointConfigName=name))
    hosting.delete(name)
    assert not list((hosting.process.data / "instances").iterdir())


def test_the_failure_reason_ends_with_the_log(start):
    lines = "for i in range(60): print('line', i, 'x' * 150)"
    hosting = Hosting(start(container=f'{sys.executable} -c "{lines}"'), "long-log")
    hosting.create("long-log", wait=False)
    reason = hosting.settled("long-log")["FailureReason"]
    assert len(reason) <= 1024
    assert reason.startswith("The primary container for production variant AllTraffic did not")
    assert "exit code 0" in reason
    assert reason.endswith("line 59 " + "x" * 150)


def test_a_line_without_end_is_taken_in_parts(start):
    endless = "print('x' * 200_000, end='the end')"
    hosting = Hosting(start(container=f'{sys.executable} -c "{endless}"'), "endless-line")
    hosting.create("endless", wait=False)
    assert hosting.settled("endless")["FailureReason"].endswith("xxx")
    events = hosting.process.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/Endpoints/endless", interleaved=True
    )["events"]
    assert len(events) == 8  # of two attempts
    assert max(len(event["message"]) for event in events) == 64 * 1024
    assert events[-1]["message"].endswith("xthe end")


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
def test_a_variable_no_process_can_have(hosting, name, value):
    hosting.create(name, wait=False, Environment={"SAGEMAKER_BAD": value})
    found = hosting.settled(name)
    assert found["EndpointStatus"] == "Failed"
    assert "could not be started" in found["FailureReason"]
    assert not list((hosting.process.data / "instances").iterdir())
    hosting.delete(name)


def test_a_variant_is_not_scaled_to_nothing(hosting, name):
    hosting.create(name)
    scale = hosting.sagemaker.update_endpoint_weights_and_capacities
    desired = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    assert "at least 1" in refused(
        lambda: scale(EndpointName=name, DesiredWeightsAndCapacities=desired)
    )
    assert hosting.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    hosting.delete(name)


def test_update_replaces_instances_while_serving(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    before = {one["pid"] for one in hosting.process.instances(name)}
    hosting.create_config(name + "-2", model=name, count=2)
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name + "-2")
    assert hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating"
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    found = hosting.settled(name)
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == name + "-2"
    after = {one["pid"] for one in hosting.process.instances(name)}
    assert len(after) == 2
    assert not before & after
    hosting.delete(name)


def test_an_update_that_fails_leaves_the_endpoint_as_it_was(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    before = {one["pid"] for one in hosting.process.instances(name)}
    hosting.sagemaker.create_model(
        ModelName=name + "-bad",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container(hosting.bucket, Environment={"SAGEMAKER_TINY_EXIT": "1"}),
    )
    hosting.create_config(name + "-bad", model=name + "-bad")
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name + "-bad")
    found = hosting.settled(name)
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == name
    assert "the cat sat on the keyboard" in found["FailureReason"]
    assert {one["pid"] for one in hosting.process.instances(name)} == before
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    hosting.delete(name)


def test_lists_filter_sort_and_page(hosting, name):
    sagemaker = hosting.sagemaker
    tag = name[-20:]
    names = [f"{tag}-{i:02}" for i in range(12)]
    for one in names:
        sagemaker.create_model(
            ModelName=one, ExecutionRoleArn=ROLE, PrimaryContainer=container("bkt")
        )
    first = sagemaker.list_models(NameContains=tag.upper())
    assert [m["ModelName"] for m in first["Models"]] == names[:1:-1]  # newest first, ten of them
    second = sagemaker.list_models(NameContains=tag, NextToken=first["NextToken"])
    assert [m["ModelName"] for m in second["Models"]] == names[1::-1]
    assert "NextToken" not in second
    pages = sagemaker.get_paginator("list_models").paginate(
        NameContains=tag, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 5}
    )
    assert [m["ModelName"] for page in pages for m in page["Models"]] == names
    made = sagemaker.describe_model(ModelName=names[5])["CreationTime"]
    older = sagemaker.list_models(NameContains=tag, CreationTimeBefore=made, MaxResults=100)
    assert names[5] not in {m["ModelName"] for m in older["Models"]}
    assert len(older["Models"]) < 12
    # BC: before is before, after is "greater than or equal to".
    newer = sagemaker.list_models(NameContains=tag, CreationTimeAfter=made, MaxResults=100)
    split = {m["ModelName"] for m in newer["Models"]}
    assert names[5] in split
    assert split | {m["ModelName"] for m in older["Models"]} == set(names)
    assert "NextToken" in refused(lambda: sagemaker.list_models(NextToken="nonsense"))
    for one in names:
        sagemaker.delete_model(ModelName=one)


def test_list_endpoints_by_status(hosting, name):
    hosting.create(name)
    listed = hosting.sagemaker.list_endpoints(StatusEquals="InService", NameContains=name)
    assert [e["EndpointName"] for e in listed["Endpoints"]] == [name]
    assert not hosting.sagemaker.list_endpoints(StatusEquals="Failed", NameContains=name)[
        "Endpoints"
    ]
    configs = hosting.sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert [c["EndpointConfigName"] for c in configs] == [name]
    hosting.delete(name)


def test_tags(hosting, name):
    sagemaker = hosting.sagemaker
    arn = sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container("bkt"),
        Tags=[{"Key": "team", "Value": "vision"}],
    )["ModelArn"]
    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "owner", "Value": "mme"}])["Tags"]
    assert added == [{"Key": "owner", "Value": "mme"}, {"Key": "team", "Value": "vision"}]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "owner", "Value": "other"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "owner", "Value": "other"}]
    unknown = f"{ARN}:model/no-such-model"
    assert unknown in refused(lambda: sagemaker.list_tags(ResourceArn=unknown))
    assert "aws:" in refused(
        lambda: sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": "y"}])
    )
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert "more than once" in refused(lambda: sagemaker.add_tags(ResourceArn=arn, Tags=twice))
    sagemaker.delete_model(ModelName=name)


def test_an_operation_that_is_not_there_says_so(hosting):
    message = refused(
        lambda: hosting.sagemaker.list_training_jobs(), code="UnknownOperationException"
    )
    assert re.match(
        r"ListTrainingJobs is not offered by localaws\. Offered are: AddTags, ", message
    )


def test_other_services_are_there(hosting):
    client = hosting.process.client
    assert client("sts").get_caller_identity()["Account"] == ACCOUNT
    made = client("ecr").create_repository(repositoryName="demo-sagemaker-multimodel")
    assert made["repository"]["repositoryUri"].startswith(f"{ACCOUNT}.dkr.ecr.ap-northeast-2.")
    assert client("cloudwatch").list_metrics(Namespace="Nobody")["Metrics"] == []
    assert client("logs").describe_log_groups(logGroupNamePrefix="none")["logGroups"] == []
    assert (
        client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
            "ScalableTargets"
        ]
        == []
    )
