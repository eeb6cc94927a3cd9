"""What only the text of SageMaker's API reference says of its members, and the manual's table."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from localaws import rules, shapes
from localaws.aws_errors import AwsError
from localaws.fetch import s3_client
from localaws.keys import Key
from localaws.lifecycle import pending_deployment
from localaws.model_data import check_model_data
from localaws.naming import S3Prefix
from localaws.resource_store import Resource
from localaws.tests.conftest import Hosting
from localaws.tests.servers import REGION, ROLE, ROOT, free_port, wait_for

MANUAL = (ROOT / "docs" / "localaws.md").read_text()
TABLE = MANUAL.partition("## Members")[2].partition("## Metrics")[0]


def container(**more):
    return {"Image": "i", "Mode": "MultiModel", "ModelDataUrl": "s3://b/p/"} | more


def variant(**more):
    base = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.xlarge"}
    return base | {"InitialInstanceCount": 2} | more


def config(**more):
    return {"EndpointConfigName": "c", "ProductionVariants": [variant()]} | more


def refusal(check, *arguments):
    with pytest.raises(AwsError) as caught:
        check(*arguments)
    assert caught.value.code == "ValidationException"
    return caught.value.message


# --- the table -------------------------------------------------------------------------------


def rows():
    for operations, members in re.findall(r"^\| ([^|]+) \| (`[^|]+) \|", TABLE, re.MULTILINE):
        for operation in operations.split(", "):
            yield operation, set(re.findall(r"`(\w+)`", members))


def listed(operation):
    verb = re.match("Describe|Delete|List", operation)
    names = {operation, f"{verb[0]}…" if verb else operation}
    return set().union(*(members for name, members in rows() if name in names))


def shape_of(operation):
    service = "sagemaker-runtime" if operation == "InvokeEndpoint" else "sagemaker"
    return shapes.service_model(service).operation_model(operation).input_shape


@pytest.mark.parametrize(
    "operation",
    [name for name in shapes.OPERATIONS if not re.match("List(Inference|Monitoring)", name)]
    + ["InvokeEndpoint"],
)
def test_the_manual_says_what_becomes_of_each_member(operation):
    assert set(shape_of(operation).members) <= listed(operation)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("container", shape_of("CreateModel").members["PrimaryContainer"]),
        ("variant", shape_of("CreateEndpointConfig").members["ProductionVariants"].member),
    ],
)
def test_the_manual_says_what_becomes_of_each_part(name, shape):
    assert set(shape.members) == listed(name)


def test_the_manual_invents_no_member():
    def members(shape):
        if shape.type_name == "structure":
            return {n for n, m in shape.members.items()}.union(
                *map(members, shape.members.values())
            )
        return members(shape.member) if shape.type_name == "list" else set()

    known = set().union(
        *(members(shape_of(n)) for n in (*shapes.OPERATIONS[:17], "InvokeEndpoint"))
    )
    assert set().union(*(members for _, members in rows())) <= known


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"ModelPackageName": "p"}, "localaws does not offer ModelPackageName."),
        ({"InferenceSpecificationName": "p"}, "does not offer InferenceSpecificationName."),
        (
            {"AdditionalModelDataSources": [{"ChannelName": "a", "S3DataSource": {}}]},
            "does not offer AdditionalModelDataSources.",
        ),
        (
            {
                "ImageConfig": {
                    "RepositoryAccessMode": "Platform",
                    "RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": "arn"},
                }
            },
            "only where RepositoryAccessMode is Vpc",
        ),
        ({"Mode": "SingleModel", "ModelDataUrl": ""}, "without model data"),
        (
            {
                "ContainerMetricsConfig": {
                    "MetricsEndpoints": [{"MetricPublishFrequencyInSeconds": 5}]
                }
            },
            "valid values are 10, 30, 60, 120, 180, 240, 300",
        ),
    ],
)
def test_what_a_container_may_not_have(more, sentence):
    assert sentence in refusal(rules.check_container, container(**more))


def data_source(**more):
    s3 = {"S3Uri": "s3://b/m.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"} | more
    return {"Image": "i", "ModelDataSource": {"S3DataSource": s3}}


def test_model_data_come_from_one_place():
    rules.check_container(data_source())
    assert rules.model_data_url(data_source()) == "s3://b/m.tar.gz"
    both = data_source() | {"ModelDataUrl": "s3://b/m.tar.gz"}
    assert "not both" in refusal(rules.check_container, both)
    other = data_source(S3DataType="S3Prefix", CompressionType="None", S3Uri="s3://b/m/")
    assert "other than one archive" in refusal(rules.check_container, other)
    hub = data_source(HubAccessConfig={"HubContentArn": "arn"})
    assert "HubAccessConfig" in refusal(rules.check_container, hub)


def test_environment_has_32_kb_in_all_and_1024_bytes_of_each():
    full = {f"SAGEMAKER_{i:02}": "x" * 1012 for i in range(32)}
    assert sum(map(len, [*full, *full.values()])) == 32 * 1024
    rules.check_container(container(Environment=full))
    message = refusal(rules.check_container, container(Environment=full | {"A": ""}))
    assert "32769 bytes in all" in message
    assert "32 KB" in message
    # Characters are what the shape counts, bytes what the text says.
    umlauts = {"SAGEMAKER_A": "ü" * 513}
    assert "1024 bytes" in refusal(rules.check_container, container(Environment=umlauts))


def test_a_direct_call_of_one_of_several_containers_is_not_offered():
    rules.check_model({"InferenceExecutionConfig": {"Mode": "Serial"}})
    message = refusal(rules.check_model, {"InferenceExecutionConfig": {"Mode": "Direct"}})
    assert "InferenceExecutionConfig" in message


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "does not offer AsyncInferenceConfig."),
        ({"ShadowProductionVariants": [{}]}, "does not offer ShadowProductionVariants."),
        ({"ExplainerConfig": {"ClarifyExplainerConfig": {}}}, "does not offer ExplainerConfig."),
        ({"MetricsConfig": {"MetricPublishFrequencyInSeconds": 45}}, "valid values are 10, 30,"),
        ({"ProductionVariants": [variant(), variant()]}, "must differ"),
    ],
)
def test_what_a_configuration_may_not_have(more, sentence):
    assert sentence in refusal(rules.check_config, config(**more))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}, "serverless"),
        ({"InstancePools": [{"InstanceType": "ml.m5.large", "Priority": 1}]}, "InstancePools"),
        ({"AcceleratorType": "ml.eia1.medium"}, "AcceleratorType"),
        ({"AcceleratorPartitionLayouts": [{}]}, "AcceleratorPartitionLayouts"),
        ({"CapacityReservationConfig": {"MlReservationArn": "a"}}, "CapacityReservationConfig"),
        (
            {"ManagedInstanceScaling": {"Status": "ENABLED"}},
            "ManagedInstanceScaling is only supported for inference component endpoints.",
        ),
        (
            {"RoutingConfig": {"RoutingStrategy": "RANDOM", "PrefixAwareRoutingConfig": {"a": 1}}},
            "only where RoutingStrategy is PREFIX_AWARE",
        ),
        ({"RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}}, "PrefixLength must be given"),
    ],
)
def test_what_a_variant_may_not_have(more, sentence):
    assert sentence in refusal(rules.check_config, config(ProductionVariants=[variant(**more)]))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"DestinationS3Uri": "https://example.com/x"}, "give s3://bucket/prefix"),
        ({"CaptureContentTypeHeader": {"JsonContentTypes": ["a/b"]}}, "localaws does not offer"),
    ],
)
def test_what_data_capture_may_not_have(more, sentence):
    given = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://b/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    rules.check_config(config(DataCaptureConfig=given))
    assert sentence in refusal(rules.check_config, config(DataCaptureConfig=given | more))


def test_what_has_no_effect_is_taken():
    rules.check_config(
        config(
            MetricsConfig={"MetricPublishFrequencyInSeconds": 30},
            ProductionVariants=[
                variant(
                    RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
                    VolumeSizeInGB=20,
                    InferenceAmiVersion="al2-ami-sagemaker-inference-gpu-2",
                )
            ],
        )
    )


def blue_green(*, wait=0, **more):
    policy = {k: v for k, v in more.items() if k.endswith("InSeconds")}
    sizes = {k: v for k, v in more.items() if k not in policy}
    traffic = {"Type": "CANARY", "WaitIntervalInSeconds": wait} | sizes
    return {"BlueGreenUpdatePolicy": policy | {"TrafficRoutingConfiguration": traffic}}


def size(value, kind="CAPACITY_PERCENT"):
    return {"Type": kind, "Value": value}


def rolling(value, kind="CAPACITY_PERCENT"):
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size(value, kind)}}


@pytest.mark.parametrize(
    ("deployment", "sentence"),
    [
        (blue_green() | rolling(50), "Only one update policy"),
        (blue_green(CanarySize=size(51)), "CanarySize must be at most 50%"),
        (blue_green(CanarySize=size(3, "INSTANCE_COUNT")), "CanarySize must be at most 50%"),
        (blue_green(LinearStepSize=size(9)), "LinearStepSize must be between 10% and 50%"),
        (rolling(51), "MaximumBatchSize must be between 5% and 50%"),
        (rolling(3, "INSTANCE_COUNT"), "MaximumBatchSize must be between 5% and 50%"),
        (
            blue_green(wait=60, TerminationWaitInSeconds=60, MaximumExecutionTimeoutInSeconds=120),
            "must be larger than the waiting times together (120)",
        ),
    ],
)
def test_what_a_deployment_may_not_have(deployment, sentence):
    assert sentence in refusal(rules.check_deployment, deployment, [4])


@pytest.mark.parametrize(
    "deployment",
    [
        blue_green(CanarySize=size(2, "INSTANCE_COUNT")),
        blue_green(LinearStepSize=size(10)),
        blue_green(wait=60, MaximumExecutionTimeoutInSeconds=600),
        rolling(5),
        {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    ],
)
def test_what_a_deployment_may_have(deployment):
    rules.check_deployment(deployment, [4])


def test_custom_attributes_are_visible_characters():
    rules.check_attributes(None)
    rules.check_attributes("trace=7, \t~")
    assert "visible US-ASCII" in refusal(rules.check_attributes, "a\x01b")


def test_variants_are_named_once_and_are_there():
    desired = [{"VariantName": "v", "DesiredWeight": w} for w in (1.5, 3)]
    message = refusal(rules.check_desired, desired, ["v"], "demo")
    assert message == 'The variant name "v" was non-unique within the request.'
    message = refusal(rules.check_desired, [{"VariantName": "nope"}], ["v"], "demo")
    assert message == (
        'The variant name(s) "nope" is/are not present within endpoint configuration "demo".'
    )
    message = refusal(rules.check_desired, [{"VariantName": n} for n in "zaymb"], ["v"], "demo")
    assert '"z", "a", "y", "m", "b" is/are not present' in message
    serverless = [{"VariantName": "v", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}]
    assert "ServerlessUpdateConfig" in refusal(rules.check_desired, serverless, ["v"], "demo")


# --- seen by a client ----------------------------------------------------------------------------


def refused(call, code="ValidationException"):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response["Error"]["Message"]


def test_a_client_is_told_of_each_kind_of_rule(hosting, name, tmp_path):
    sagemaker = hosting.sagemaker
    hosting.put_model(tmp_path, "a.tar.gz")
    environment = {f"SAGEMAKER_{i}": "x" * 1000 for i in range(60)}
    model = container(ModelDataUrl=f"s3://{hosting.bucket}/models/")
    create = {"ModelName": name, "ExecutionRoleArn": ROLE}
    assert "32 KB" in refused(
        lambda: sagemaker.create_model(
            **create, PrimaryContainer=model | {"Environment": environment}
        )
    )
    hosting.create(name)
    scaling = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2}
    scaled = variant(ModelName=name, ManagedInstanceScaling=scaling)
    assert refused(
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-s", ProductionVariants=[scaled]
        )
    ) == ("ManagedInstanceScaling is only supported for inference component endpoints.")
    twice = [{"VariantName": "AllTraffic", "DesiredWeight": w} for w in (1.5, 3)]
    assert "non-unique" in refused(
        lambda: sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=twice
        )
    )
    canary = {"Type": "CANARY", "WaitIntervalInSeconds": 0, "CanarySize": size(90)}
    deployment = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary}}
    assert "CanarySize" in refused(
        lambda: sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=name, DeploymentConfig=deployment
        )
    )
    explained = {"EnableExplanations": "`true`"}
    assert "EnableExplanations" in refused(
        lambda: hosting.invoke(name, "a.tar.gz", **explained), "ValidationError"
    )
    assert "inferenceId" in refused(
        lambda: hosting.invoke(name, "a.tar.gz", InferenceId="x" * 65), "ValidationError"
    )
    answer = hosting.invoke(name, "a.tar.gz", InferenceId="x" * 64)
    assert json.loads(answer["Body"])["answer"] == "a.tar.gz"
    hosting.delete(name)


def endpoint(status, **body):
    one = {"VariantName": "v", "count": 2, "weight": 1.0, "container": {"Image": "i"}}
    kept = {"config": "old", "variants": [one], "wanted": [one | {"VariantName": "w"}]} | body
    return Resource("endpoint", "e", "arn", 1.0, 2.0, status, kept)


def test_an_endpoint_says_which_configuration_it_is_getting():
    pending = pending_deployment(endpoint("Updating", wanted_config="new"))
    assert (pending["EndpointConfigName"], pending["StartTime"]) == ("new", 2.0)
    (variant,) = pending["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == ("w", 0)
    assert variant["DesiredInstanceCount"] == 2
    assert pending_deployment(endpoint("Creating"))["EndpointConfigName"] == "old"
    # New weights and counts are no new configuration.
    assert pending_deployment(endpoint("Updating", wanted_config="old")) is None
    assert pending_deployment(endpoint("InService")) is None


def test_settings_of_the_configuration_are_described(hosting, name):
    sagemaker = hosting.sagemaker
    hosting.create(name)
    default = {"EnableDetailedObservability": True}
    assert sagemaker.describe_endpoint(EndpointName=name)["MetricsConfig"] == default
    metrics, routing = {"MetricPublishFrequencyInSeconds": 10}, {"RoutingStrategy": "RANDOM"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name + "-2",
        ProductionVariants=[variant(ModelName=name, RoutingConfig=routing)],
        MetricsConfig=metrics,
    )
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name + "-2")
    described = hosting.settled(name)
    assert described["EndpointConfigName"] == name + "-2"
    assert "PendingDeploymentSummary" not in described
    assert described["MetricsConfig"] == default | metrics
    assert [one["RoutingConfig"] for one in described["ProductionVariants"]] == [routing]
    hosting.delete(name)


def test_lists_of_what_there_never_is_are_empty(hosting):
    sagemaker = hosting.sagemaker
    assert (
        sagemaker.list_monitoring_schedules(EndpointName="e")["MonitoringScheduleSummaries"] == []
    )
    assert sagemaker.list_monitoring_executions()["MonitoringExecutionSummaries"] == []
    assert sagemaker.list_monitoring_alert_history()["MonitoringAlertHistory"] == []
    assert sagemaker.list_inference_components(EndpointNameEquals="e")["InferenceComponents"] == []
    assert "NextToken" in refused(lambda: sagemaker.list_monitoring_schedules(NextToken="x"))
    assert "sortBy" in refused(lambda: sagemaker.list_inference_components(SortBy="Colour"))


def test_names_are_taken_whatever_their_case(hosting, name):
    hosting.create(name)
    sagemaker, upper = hosting.sagemaker, name.upper()
    message = refused(
        lambda: sagemaker.create_endpoint(EndpointName=upper, EndpointConfigName=name)
    )
    arn = sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
    assert message == f'Cannot create already existing endpoint "{arn}".'
    assert "already existing model" in refused(
        lambda: sagemaker.create_model(
            ModelName=upper, ExecutionRoleArn=ROLE, PrimaryContainer=container()
        )
    )
    assert "not found" in refused(lambda: hosting.invoke(upper, "a.tar.gz"), "ValidationError")
    hosting.delete(name)
    sagemaker.create_endpoint(EndpointName=upper, EndpointConfigName=name)
    found = hosting.settled(upper)
    assert found["EndpointName"] == upper
    assert found["EndpointArn"] == arn
    hosting.delete(upper)


def test_another_region_has_nothing(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    arn = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
    far = hosting.process.client("sagemaker", region_name="us-west-2")
    there = arn.replace("ap-northeast-2", "us-west-2")
    assert far.list_endpoints()["Endpoints"] == []
    gone = f'Could not find endpoint "{there}".'
    assert refused(lambda: far.describe_endpoint(EndpointName=name)) == gone
    assert refused(lambda: far.delete_endpoint(EndpointName=name)) == gone
    assert "Could not find resource" in refused(lambda: far.list_tags(ResourceArn=arn))
    assert "--region" in refused(
        lambda: far.create_model(
            ModelName=name + "-far", ExecutionRoleArn=ROLE, PrimaryContainer=container()
        )
    )
    runtime = hosting.process.client("sagemaker-runtime", region_name="us-west-2")
    assert (
        refused(
            lambda: runtime.invoke_endpoint(EndpointName=name, TargetModel="a.tar.gz", Body=b"x"),
            "ValidationError",
        )
        == f"Endpoint {name} of account 123456789012 not found."
    )
    assert hosting.settled(name)["EndpointStatus"] == "InService"
    hosting.delete(name)


def test_without_signatures_the_region_counts_too(unsigned):
    far, near = (
        unsigned.client("sagemaker", region_name=region)
        for region in ("us-west-2", "ap-northeast-2")
    )
    assert "us-west-2" in refused(lambda: far.describe_endpoint(EndpointName="e"))
    assert "ap-northeast-2" in refused(lambda: near.describe_endpoint(EndpointName="e"))


def single(hosting, key, **more):
    url = f"s3://{hosting.bucket}/{key}"
    return {"Image": "tiny", "Mode": "SingleModel", "ModelDataUrl": url} | more


def test_a_model_whose_archive_is_not_there_is_not_created(hosting, name, tmp_path):
    def create(spec):
        return lambda: hosting.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=spec
        )

    spec = single(hosting, "m/none.tar.gz")
    sentence = f"Could not find model data at {spec['ModelDataUrl']}."
    assert refused(create(spec)) == sentence
    del spec["Mode"]  # SingleModel is the default
    assert refused(create(spec)) == sentence
    s3 = {"S3Uri": spec.pop("ModelDataUrl"), "S3DataType": "S3Object", "CompressionType": "Gzip"}
    assert refused(create(spec | {"ModelDataSource": {"S3DataSource": s3}})) == sentence
    assert "Could not find model" in refused(
        lambda: hosting.sagemaker.describe_model(ModelName=name)
    )


def test_an_archive_that_may_not_be_read_is_another_sentence():
    url, source = "s3://b/m.tar.gz", S3Prefix("b", "m.tar.gz")
    s3 = s3_client(REGION, "http://127.0.0.1:9", Key("AKTEST", "secret"))
    stub = Stubber(s3)
    stub.add_client_error("head_object", "403", "Forbidden", http_status_code=403)
    with stub, pytest.raises(AwsError) as caught:
        check_model_data(s3, source, url, role=ROLE, region=REGION)
    assert caught.value.message.startswith(f"Could not access model data at {url}. Please ensure ")
    assert f'role "{ROLE}" exists' in caught.value.message
    assert f"the object is located in {REGION}." in caught.value.message


def test_an_s3_that_does_not_answer_is_no_fault_of_the_callers():
    s3 = s3_client(REGION, f"http://127.0.0.1:{free_port()}", Key("AKTEST", "secret"))
    with pytest.raises(AwsError) as caught:
        check_model_data(s3, S3Prefix("b", "m"), "s3://b/m", role=ROLE, region=REGION)
    assert (caught.value.code, caught.value.status) == ("ServiceUnavailable", 503)


class StoreWithoutRights(BaseHTTPRequestHandler):
    """An S3 that shows objects below ``seen/``, and gives none."""

    def do_HEAD(self):
        self.send_response(200 if "/seen/" in self.path else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_an_archive_that_may_not_be_read(start, name):
    with ThreadingHTTPServer(("127.0.0.1", 0), StoreWithoutRights) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            local = start(s3=f"http://127.0.0.1:{server.server_port}")
            sagemaker = local.client("sagemaker")

            def create(url):
                spec = {"Image": "tiny", "ModelDataUrl": url}
                sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=spec)

            hidden, url = "s3://b/hidden/m.tar.gz", "s3://b/seen/m.tar.gz"
            declared = refused(lambda: create(hidden))
            assert declared.startswith(f"Could not access model data at {hidden}. ")
            create(url)
            sagemaker.create_endpoint_config(
                EndpointConfigName=name, ProductionVariants=[variant(ModelName=name)]
            )
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

            def failed():
                found = sagemaker.describe_endpoint(EndpointName=name)
                return found["EndpointStatus"] == "Failed" and found["FailureReason"]

            reason = wait_for(failed, 60, "the endpoint to fail")
            assert reason.startswith("Failed to download model data for container")
            assert url in reason
        finally:
            server.shutdown()


def test_an_update_to_a_broken_archive_leaves_the_endpoint_as_it_was(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "good.tar.gz")
    hosting.create(name, **single(hosting, "models/good.tar.gz"))
    hosting.s3.put_object(Bucket=hosting.bucket, Key="m/bad.tar.gz", Body=b"no archive")
    hosting.sagemaker.create_model(
        ModelName=name + "-bad",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=single(hosting, "m/bad.tar.gz"),
    )
    hosting.create_config(name + "-bad", model=name + "-bad")
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name + "-bad")
    found = hosting.settled(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", name)
    assert found["FailureReason"].startswith("Failed to extract model data archive for container")
    assert b"good.tar.gz" in hosting.invoke(name, None)["Body"]
    hosting.delete(name)


def test_a_model_data_source_of_one_archive_is_served(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "only.tar.gz")
    uri = f"s3://{hosting.bucket}/models/only.tar.gz"
    s3 = {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    hosting.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "tiny", "ModelDataSource": {"S3DataSource": s3}},
    )
    hosting.create_config(name, model=name)
    hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert hosting.settled(name)["EndpointStatus"] == "InService"
    assert b"only.tar.gz" in hosting.invoke(name, None)["Body"]
    hosting.delete(name)


def test_an_endpoint_whose_archive_cannot_be_brought_is_failed(hosting, name, tmp_path):
    sagemaker, s3 = hosting.sagemaker, hosting.s3

    def failure(key, *, gone=False):
        label = f"{name[:40]}-{re.sub('[^a-z]', '', key)}"
        spec = single(hosting, key)
        sagemaker.create_model(ModelName=label, ExecutionRoleArn=ROLE, PrimaryContainer=spec)
        hosting.create_config(label, model=label)
        if gone:
            s3.delete_object(Bucket=hosting.bucket, Key=key)
        sagemaker.create_endpoint(EndpointName=label, EndpointConfigName=label)
        found = hosting.settled(label)
        assert found["EndpointStatus"] == "Failed"
        hosting.delete(label)
        return found["FailureReason"], spec["ModelDataUrl"]

    s3.put_object(Bucket=hosting.bucket, Key="m/no-archive.tar.gz", Body=b"this is no archive")
    reason, url = failure("m/no-archive.tar.gz")
    assert reason.startswith(
        f'Failed to extract model data archive for container "container_1" from URL "{url}". '
        "Please ensure that the object located at the URL is a valid tar.gz archive."
    )
    s3.put_object(Bucket=hosting.bucket, Key="m/gone.tar.gz", Body=b"x")
    reason, url = failure("m/gone.tar.gz", gone=True)
    assert reason == (
        f'Failed to download model data for container "container_1" from URL: "{url}". Please '
        "ensure that there is an object located at the URL and that the role passed to CreateModel "
        "has permissions to download the object."
    )
    hosting.put_model(tmp_path, "refuses.tar.gz", load_status=500)
    reason, _ = failure("models/refuses.tar.gz")
    assert "did not pass the ping health check" in reason
    assert "told to fail" in reason
    assert not list((hosting.process.data / "instances").iterdir())


def test_a_single_model_is_loaded_before_the_first_call(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "only.tar.gz")
    hosting.create(name, **single(hosting, "models/only.tar.gz"))
    (one,) = hosting.process.instances(name)
    assert [model["state"] for model in one["models"]] == ["loaded"]
    hosting.delete(name)


def test_a_single_models_container_that_dies_is_replaced_with_its_model(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "only.tar.gz")
    hosting.create(name, **single(hosting, "models/only.tar.gz"))
    assert refused(lambda: hosting.invoke(name, None, b"die"), "ModelError")
    assert b"only.tar.gz" in hosting.invoke(name, None)["Body"]
    (one,) = hosting.process.instances(name)
    assert [model["loads"] for model in one["models"]] == [1]
    hosting.delete(name)


def test_an_endpoint_that_is_loading_its_model_again_can_be_deleted(start, name, tmp_path):
    process = start()
    hosting = Hosting(process, "loading-again")
    hosting.put_model(tmp_path, "only.tar.gz")
    hosting.create(name, **single(hosting, "models/only.tar.gz"))
    hosting.put_model(tmp_path, "only.tar.gz", load_seconds=60)
    process.kill()
    process.start()
    instances = process.data / "instances"
    wait_for(lambda: list(instances.glob("*/models/*")), 30, "the model to be loaded")
    hosting.delete(name)
    assert not list(instances.iterdir())


def test_one_model_by_whichever_way_it_is_named(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "sub/a.tar.gz")
    hosting.create(name, ModelDataUrl=f"s3://{hosting.bucket}/models")  # no last slash
    for target in ("sub/a.tar.gz", "/sub/a.tar.gz"):
        assert b"sub/a.tar.gz" in hosting.invoke(name, target)["Body"]
    (one,) = hosting.process.instances(name)
    assert [(m["target_model"], m["loads"], m["invocations"]) for m in one["models"]] == [
        ("sub/a.tar.gz", 1, 2)
    ]
    hosting.delete(name)
