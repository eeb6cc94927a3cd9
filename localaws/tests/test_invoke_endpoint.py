"""InvokeEndpoint as a caller sees it, with containers that do as they are told."""

import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localaws.tests.conftest import Hosting, tiny_containers
from localaws.tests.servers import KEY, REGION, SECRET, alive, ask, wait_for


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return caught.value.response


def models(hosting, name):
    return {
        model["target_model"]: model
        for one in hosting.process.instances(name)
        for model in one["models"]
    }


def history(hosting, name, page="history"):
    (one,) = hosting.process.instances(name)
    return json.loads(ask(one["address"], f"/{page}"))


def test_a_call_goes_through_with_its_headers(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "sub/a b.tar.gz")
    hosting.create(name, Environment={"SAGEMAKER_TINY_COLOUR": "red"})
    answer = hosting.invoke(
        name,
        "sub/a b.tar.gz",
        b"12345",
        ContentType="application/x-image",
        Accept="application/json",
        CustomAttributes="trace=7",
    )
    assert json.loads(answer["Body"]) == {
        "answer": "sub/a b.tar.gz",
        "bytes": 5,
        "accept": "application/json",
        "content_type": "application/x-image",
        "target": "sub/a b.tar.gz",
        # The model's Environment arrives; credentials of whoever runs localaws do not.
        "environment": {"SAGEMAKER_TINY_COLOUR": "red"},
    }
    assert answer["CustomAttributes"] == "seen=trace=7"
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    hosting.delete(name)


def test_new_artifacts_need_no_update_and_overwritten_ones_stay_old(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz", answer="first")
    hosting.create(name)
    assert b"first" in hosting.invoke(name, "a.tar.gz")["Body"]
    hosting.put_model(tmp_path, "a.tar.gz", answer="second")
    hosting.put_model(tmp_path, "b.tar.gz", answer="added")
    assert b"added" in hosting.invoke(name, "b.tar.gz")["Body"]
    # DG/add-models-to-endpoint: the instance goes on serving what it has.
    assert b"first" in hosting.invoke(name, "a.tar.gz")["Body"]
    hosting.delete(name)


def test_errors_are_those_of_sagemaker(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    (tmp_path / "broken").write_bytes(b"this is no archive")
    hosting.s3.upload_file(str(tmp_path / "broken"), hosting.bucket, "models/broken.tar.gz")
    hosting.put_model(tmp_path, "refused.tar.gz", load_status=500)
    hosting.create(name)

    def invoke(*args, **kwargs):
        return lambda: hosting.invoke(name, *args, **kwargs)

    def message(*args, **kwargs):
        return refused(*args, **kwargs)["Error"]["Message"]

    assert (
        message(lambda: hosting.invoke("no-such", "a.tar.gz"), "ValidationError")
        == "Endpoint no-such of account 123456789012 not found."
    )
    lacking = refused(invoke(None), "ValidationError")
    request = lacking["ResponseMetadata"]["RequestId"]
    assert lacking["Error"]["Message"] == f"Request {request} is missing a target model header."
    assert message(invoke("nope.tar.gz"), "ValidationError").startswith(
        f"Failed to download model data (bucket: {hosting.bucket}, key: models/nope.tar.gz)."
    )
    assert message(invoke("broken.tar.gz"), "ValidationError").startswith(
        f"Failed to extract model data archive (bucket: {hosting.bucket}, key: models/broken"
    )
    too_large = refused(invoke("a.tar.gz", b"x" * 6_291_457), "413")
    assert too_large["Error"]["Message"] == "HTTP content length exceeded 6291456 bytes."
    assert too_large["ResponseMetadata"]["HTTPStatusCode"] == 413
    largest = hosting.invoke(name, "a.tar.gz", b"x" * 6_291_456)
    assert json.loads(largest["Body"])["bytes"] == 6_291_456
    assert "Variant no-such not found" in message(
        invoke("a.tar.gz", TargetVariant="no-such"), "ValidationError"
    )
    assert "length less than or equal to 1024" in message(invoke("x" * 1025), "ValidationError")

    error = refused(invoke("a.tar.gz", b"fail"), "ModelError")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == 500
    assert json.loads(error["OriginalMessage"])["message"] == "a bad day"
    assert error["Error"]["Message"].startswith("Received server error (500) from primary with")
    assert error["LogStreamArn"].startswith(
        f"arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/sagemaker/Endpoints/{name}"
        ":log-stream:AllTraffic/i-"
    )
    load = refused(invoke("refused.tar.gz"), "ModelError")
    assert load["OriginalStatusCode"] == 500
    assert "told to fail" in load["OriginalMessage"]
    # What failed left nothing in the way of a second try.
    hosting.put_model(tmp_path, "nope.tar.gz", answer="here now")
    assert b"here now" in hosting.invoke(name, "nope.tar.gz")["Body"]
    hosting.delete(name)


def test_an_endpoint_that_is_being_created_is_not_found(hosting, name):
    hosting.create(name, wait=False)
    assert "not found" in str(refused(lambda: hosting.invoke(name, "a.tar.gz"), "ValidationError"))
    hosting.settled(name)
    hosting.delete(name)


@pytest.mark.parametrize(
    ("callers", "instances"),
    [(16, 1), (3, 2)],  # more callers on two instances might make the model hot: it would spread
)
def test_concurrent_first_calls_load_once(hosting, name, tmp_path, callers, instances):
    hosting.put_model(tmp_path, "a.tar.gz", load_seconds=0.5)
    hosting.create(name, count=instances)
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda _: hosting.invoke(name, "a.tar.gz"), range(callers)))
    assert all(b"a.tar.gz" in answer["Body"] for answer in answers)
    loads = [model["loads"] for one in hosting.process.instances(name) for model in one["models"]]
    assert loads == [1]
    hosting.delete(name)


def test_loads_of_different_models_run_in_parallel(hosting, name, tmp_path):
    targets = [f"{letter}.tar.gz" for letter in "abcd"]
    for target in targets:
        hosting.put_model(tmp_path, target, load_seconds=2)
    hosting.create(name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda target: hosting.invoke(name, target), targets))
    assert history(hosting, name, "loading")["most"] == 4
    hosting.delete(name)


def test_a_loaded_model_does_not_wait_for_anothers_load(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "fast.tar.gz")
    hosting.put_model(tmp_path, "slow.tar.gz", load_seconds=5)
    hosting.create(name)
    hosting.invoke(name, "fast.tar.gz")
    slow = threading.Thread(target=lambda: hosting.invoke(name, "slow.tar.gz"))
    slow.start()
    wait_for(lambda: models(hosting, name).get("slow.tar.gz", {}).get("state") == "loading")
    for _ in range(10):
        hosting.invoke(name, "fast.tar.gz")
    assert models(hosting, name)["slow.tar.gz"]["state"] == "loading"
    slow.join()
    hosting.delete(name)


def test_memory_pressure_unloads_the_longest_unused(hosting, name, tmp_path):
    for letter in "abc":
        hosting.put_model(tmp_path, f"{letter}.tar.gz")
    hosting.create(name, Environment={"SAGEMAKER_TINY_CAPACITY": "2"})
    for letter in "abac":
        hosting.invoke(name, f"{letter}.tar.gz")
    expected = ["load a.tar.gz", "load b.tar.gz", "unload b.tar.gz", "load c.tar.gz"]
    assert history(hosting, name) == expected
    states = {target: model["state"] for target, model in models(hosting, name).items()}
    # Unloaded models stay on disk (DG/multi-model-endpoints).
    assert states == {"a.tar.gz": "loaded", "b.tar.gz": "on disk", "c.tar.gz": "loaded"}
    hosting.put_model(tmp_path, "b.tar.gz", answer="not downloaded again")
    assert b'"b.tar.gz"' in hosting.invoke(name, "b.tar.gz")["Body"]
    assert models(hosting, name)["b.tar.gz"]["download_ms"] == 0
    hosting.delete(name)


def test_a_model_in_use_is_never_unloaded(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "busy.tar.gz", invoke_seconds=2)
    hosting.put_model(tmp_path, "next.tar.gz")
    hosting.create(name, Environment={"SAGEMAKER_TINY_CAPACITY": "1"})
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(hosting.invoke, name, "busy.tar.gz")
        wait_for(lambda: models(hosting, name).get("busy.tar.gz", {}).get("state") == "loaded")
        hosting.invoke(name, "next.tar.gz")
        assert busy.done()
        assert b"busy.tar.gz" in busy.result()["Body"]
    expected = ["load busy.tar.gz", "unload busy.tar.gz", "load next.tar.gz"]
    assert history(hosting, name) == expected
    hosting.delete(name)


def test_a_load_that_the_server_lost_is_tried_again(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz", lost=2)
    hosting.put_model(tmp_path, "never.tar.gz", lost=9)
    hosting.create(name)
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    assert history(hosting, name) == ["load a.tar.gz"]
    error = refused(lambda: hosting.invoke(name, "never.tar.gz"), "ModelError")
    assert error["OriginalStatusCode"] == 500
    hosting.delete(name)


def test_a_model_too_large_for_the_instance_is_an_error_not_a_loop(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, Environment={"SAGEMAKER_TINY_CAPACITY": "0"})
    error = refused(lambda: hosting.invoke(name, "a.tar.gz"), "ModelError")
    assert error["OriginalStatusCode"] == 507
    assert "does not fit into the instance's memory, even alone" in error["OriginalMessage"]
    hosting.delete(name)


def test_models_too_large_at_the_same_time_are_errors_too(hosting, name, tmp_path):
    targets = [f"{letter}.tar.gz" for letter in "abc"]
    for target in targets:
        hosting.put_model(tmp_path, target, load_seconds=0.2)
    hosting.create(name, Environment={"SAGEMAKER_TINY_CAPACITY": "0"})

    def statuses():
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(hosting.invoke, name, target) for target in targets]
            return [call.exception().response.get("OriginalStatusCode") for call in calls]

    # None waits for the others, which wait for it.
    assert statuses() == [507, 507, 507]
    hosting.delete(name)


def test_models_that_fit_one_at_a_time_take_turns(hosting, name, tmp_path):
    targets = [f"{letter}.tar.gz" for letter in "abcdef"]
    for target in targets:
        hosting.put_model(tmp_path, target, load_seconds=0.05, invoke_seconds=0.1)
    hosting.create(name, Environment={"SAGEMAKER_TINY_CAPACITY": "1"})
    with ThreadPoolExecutor(12) as pool:
        bodies = list(pool.map(lambda t: hosting.invoke(name, t)["Body"], targets * 4))
    assert all(target.encode() in body for target, body in zip(targets * 4, bodies, strict=True))
    hosting.delete(name)


def test_a_model_that_the_container_lost_is_loaded_again(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    hosting.invoke(name, "a.tar.gz", b"forget")
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    assert models(hosting, name)["a.tar.gz"]["loads"] == 2
    hosting.delete(name)


def test_a_container_that_dies_is_replaced(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    (before,) = hosting.process.instances(name)
    error = refused(lambda: hosting.invoke(name, "a.tar.gz", b"die"), "ModelError")
    assert error["OriginalStatusCode"] == 0
    # Later calls work; they wait for the new instance.
    assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
    (after,) = hosting.process.instances(name)
    assert after["instance"] != before["instance"]
    assert not alive(before["pid"])
    wait_for(lambda: len(list((hosting.process.data / "instances").iterdir())) == 1)
    hosting.delete(name)


def test_deletion_leaves_no_process_folder_or_socket(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, count=2)
    hosting.invoke(name, "a.tar.gz")
    instances = hosting.process.instances(name)
    hosting.delete(name)
    assert not any(alive(one["pid"]) for one in instances)
    assert not list((hosting.process.data / "instances").iterdir())
    for one in instances:
        with pytest.raises(FileNotFoundError):
            ask(one["address"], "/ping")


def test_a_hot_model_spreads_to_a_second_instance(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "hot.tar.gz", invoke_seconds=0.2)
    hosting.create(name, count=2)

    def spread():
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda _: hosting.invoke(name, "hot.tar.gz"), range(24)))
        return sum(bool(one["models"]) for one in hosting.process.instances(name)) == 2

    assert wait_for(spread, 20)
    spread()
    used = [
        model["invocations"] for one in hosting.process.instances(name) for model in one["models"]
    ]
    assert min(used) > 0
    hosting.delete(name)


def test_more_instances_than_the_cap_are_only_said(hosting, name):
    hosting.create(name, count=5)
    (variant,) = hosting.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 5
    assert len(hosting.process.instances(name)) == 2
    hosting.delete(name)


def test_a_slow_load_is_not_ready_and_goes_on(start, tmp_path):
    hosting = Hosting(start("--invocation-timeout", "1"), "slow-loads")
    hosting.put_model(tmp_path, "slow.tar.gz", load_seconds=3)
    hosting.create("slow")
    error = refused(lambda: hosting.invoke("slow", "slow.tar.gz"), "ModelNotReadyException")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    wait_for(lambda: models(hosting, "slow")["slow.tar.gz"]["state"] == "loaded")
    assert b"slow.tar.gz" in hosting.invoke("slow", "slow.tar.gz")["Body"]
    assert models(hosting, "slow")["slow.tar.gz"]["loads"] == 1
    # A container that does not answer in time is a ModelError without a status of its own.
    hosting.put_model(tmp_path, "dawdles.tar.gz", invoke_seconds=3)
    late = refused(lambda: hosting.invoke("slow", "dawdles.tar.gz"), "ModelError")
    assert late["OriginalStatusCode"] == 0
    assert "timed out while waiting for a response" in late["OriginalMessage"]


def test_without_caching_nothing_stays(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, MultiModelConfig={"ModelCacheSetting": "Disabled"})
    for _ in range(2):
        assert b"a.tar.gz" in hosting.invoke(name, "a.tar.gz")["Body"]
        wait_for(lambda: not models(hosting, name))
    expected = ["load a.tar.gz", "unload a.tar.gz"] * 2
    assert history(hosting, name) == expected
    assert not list((hosting.process.data / "instances").glob("*/models/*"))
    hosting.delete(name)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory, s3_url):
    """A localaws whose instances have 1 MB."""
    folder = tmp_path_factory.mktemp("small-disk")
    with tiny_containers(folder, s3_url, "--disk-mb", "1") as process:
        yield process


def test_disk_pressure_deletes_unused_copies(small_disk, tmp_path):
    hosting = Hosting(small_disk, "small-disk")
    for letter in "abc":
        hosting.put_model(tmp_path, f"{letter}.tar.gz", weights="x" * 400_000)
    hosting.put_model(tmp_path, "huge.tar.gz", weights="x" * 1_100_000)
    hosting.create("disk")
    for letter in "abac":
        hosting.invoke("disk", f"{letter}.tar.gz")
    assert history(hosting, "disk")[-2:] == ["unload b.tar.gz", "load c.tar.gz"]
    assert set(models(hosting, "disk")) == {"a.tar.gz", "c.tar.gz"}
    assert len(list((hosting.process.data / "instances").glob("*/models/*"))) == 2
    error = refused(lambda: hosting.invoke("disk", "huge.tar.gz"), "ModelError")
    assert error["OriginalStatusCode"] == 507
    assert "No room on the instance's disk" in error["OriginalMessage"]
    assert b"b.tar.gz" in hosting.invoke("disk", "b.tar.gz")["Body"]
    hosting.delete("disk")


def test_models_brought_at_the_same_time_share_the_disk(small_disk, tmp_path):
    hosting = Hosting(small_disk, "shared-disk")
    targets = [f"{letter}.tar.gz" for letter in "abcdef"]
    for target in targets:  # any two of them are too much
        hosting.put_model(tmp_path, target, weights="x" * 300_000, more="x" * 300_000)
    hosting.create("shared")
    over = threading.Event()
    largest = 0

    def watch():
        nonlocal largest
        while not over.is_set():
            largest = max(largest, sum(one["bytes"] for one in models(hosting, "shared").values()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(6) as pool:
            bodies = list(pool.map(lambda t: hosting.invoke("shared", t)["Body"], targets * 3))
    finally:
        over.set()
        watcher.join()
    assert all(target.encode() in body for target, body in zip(targets * 3, bodies, strict=True))
    assert 600_000 < largest <= 1024 * 1024


def test_variants_share_traffic_by_weight(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    variants = [
        {
            "VariantName": variant,
            "ModelName": name,
            "InstanceType": "ml.m5.xlarge",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": weight,
        }
        for variant, weight in (("blue", 1), ("green", 0))
    ]
    two = name + "-two"
    hosting.sagemaker.create_endpoint_config(EndpointConfigName=two, ProductionVariants=variants)
    hosting.sagemaker.create_endpoint(EndpointName=two, EndpointConfigName=two)
    assert hosting.settled(two)["EndpointStatus"] == "InService"

    def takes(**kwargs):
        return hosting.invoke(two, "a.tar.gz", **kwargs)["InvokedProductionVariant"]

    assert {takes() for _ in range(10)} == {"blue"}
    assert takes(TargetVariant="green") == "green"
    pids = {one["pid"] for one in hosting.process.instances(two)}
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=two,
        DesiredWeightsAndCapacities=[
            {"VariantName": "blue", "DesiredWeight": 0},
            {"VariantName": "green", "DesiredWeight": 3, "DesiredInstanceCount": 2},
        ],
    )
    described = hosting.settled(two)
    found = {one["VariantName"]: one for one in described["ProductionVariants"]}
    assert found["green"]["CurrentWeight"] == found["green"]["DesiredWeight"] == 3
    assert found["green"]["CurrentInstanceCount"] == 2
    assert {takes() for _ in range(10)} == {"green"}
    after = {one["pid"] for one in hosting.process.instances(two)}
    assert len(after) == 3
    assert pids < after  # those that stay keep their models
    with pytest.raises(ClientError, match="not present within endpoint configuration"):
        hosting.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=two, DesiredWeightsAndCapacities=[{"VariantName": "red"}]
        )
    hosting.delete(two)
    hosting.delete(name)


def test_an_update_adds_keeps_and_removes_variants(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)

    def move_to(config, *, retain=False, **weights):
        variants = [
            {
                "VariantName": variant,
                "ModelName": name,
                "InstanceType": kind,
                "InitialInstanceCount": 1,
                "InitialVariantWeight": weight,
            }
            for variant, (kind, weight) in weights.items()
        ]
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=config, ProductionVariants=variants
        )
        hosting.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=config, RetainAllVariantProperties=retain
        )
        found = hosting.settled(name)
        assert found["EndpointConfigName"] == config
        return {one["VariantName"]: one for one in found["ProductionVariants"]}

    def takes(variant):
        return hosting.invoke(name, "a.tar.gz", TargetVariant=variant)["InvokedProductionVariant"]

    found = move_to(name + "-2", AllTraffic=("ml.m5.xlarge", 0.0), small=("ml.m5.large", 1.0))
    assert list(found) == ["AllTraffic", "small"]
    assert [takes(one) for one in found] == ["AllTraffic", "small"]
    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "small", "DesiredWeight": 3.0}],
    )
    hosting.settled(name)
    found = move_to(
        name + "-3", retain=True, small=("ml.c5.large", 1.0), other=("ml.m5.large", 2.0)
    )
    assert {one: found[one]["CurrentWeight"] for one in found} == {"small": 3.0, "other": 2.0}
    assert [takes(one) for one in found] == ["small", "other"]
    with pytest.raises(ClientError, match="Variant AllTraffic not found"):
        takes("AllTraffic")
    seen = hosting.process.client("cloudwatch").list_metrics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": name}],
    )["Metrics"]
    dimensions = [{d["Name"]: d["Value"] for d in one["Dimensions"]} for one in seen]
    assert {one["VariantName"] for one in dimensions} == {"AllTraffic", "small", "other"}
    hosting.delete(name)


def test_a_single_model_endpoint_takes_no_target(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "only.tar.gz")
    url = f"s3://{hosting.bucket}/models/only.tar.gz"
    hosting.create(name, Mode="SingleModel", ModelDataUrl=url)
    assert b"only.tar.gz" in hosting.invoke(name, None)["Body"]
    error = refused(lambda: hosting.invoke(name, "only.tar.gz"), "ValidationError")
    assert error["Error"]["Message"] == (
        f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
    )
    hosting.delete(name)


def error_body(hosting, name, target=None, body=b"x"):
    """What the wire says of a refusal: botocore keeps no ErrorCode."""
    headers = {"Content-Type": "application/octet-stream"}
    if target:
        headers["X-Amzn-SageMaker-Target-Model"] = target
    url = f"{hosting.process.url}/endpoints/{name}/invocations"
    request = AWSRequest("POST", url, data=body, headers=headers)
    SigV4Auth(Credentials(KEY, SECRET), "sagemaker", REGION).add_auth(request)
    wire = urllib.request.Request(url, body, dict(request.headers.items()))
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(wire, timeout=30)
    return json.loads(caught.value.read())


def test_errors_have_an_error_code_where_sagemakers_is_known(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    assert error_body(hosting, "none", "a.tar.gz")["ErrorCode"] == "NO_SUCH_ENDPOINT"
    hosting.create(name)
    declared = error_body(hosting, name, "a.tar.gz", b"fail")
    assert (declared["ErrorCode"], declared["OriginalStatusCode"]) == (
        "INTERNAL_FAILURE_FROM_MODEL",
        500,
    )
    hosting.put_model(tmp_path, "b.tar.gz", load_status=400)
    declared = error_body(hosting, name, "b.tar.gz")
    assert (declared["ErrorCode"], declared["OriginalStatusCode"]) == (
        "CLIENT_ERROR_FROM_MODEL",
        400,
    )
    assert "ErrorCode" not in error_body(hosting, name)  # SageMaker's is not known
    hosting.delete(name)
    url = f"s3://{hosting.bucket}/models/a.tar.gz"
    hosting.create(name + "-one", Mode="SingleModel", ModelDataUrl=url)
    declared = error_body(hosting, name + "-one", "a.tar.gz")
    assert declared["ErrorCode"] == "TARGET_MODEL_HEADER_NOT_SUPPORTED"
    hosting.delete(name + "-one")
