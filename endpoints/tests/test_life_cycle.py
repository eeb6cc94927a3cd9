"""The whole life of an endpoint against a real localaws, with the portal's own boto3 clients."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from django.db import connections
from django.utils import timezone

from activity.models import Event
from core import aws, errors
from endpoints import (
    adopting,
    alarm_presets,
    alarms,
    drift,
    orphans,
    reconciler,
    sagemaker,
    scaling,
    services,
)
from endpoints.limits import Limits
from endpoints.models import (
    AlarmWatch,
    Endpoint,
    EndpointAlarm,
    Orphan,
    OrphanLook,
    Revision,
    Running,
)
from endpoints.policies import DeploymentPolicy
from endpoints.reconciler import run
from endpoints.tests.account import OTHER_IMAGE
from endpoints.tests.conftest import step_until
from endpoints.variants import ProductionVariant
from invocations import runtime
from invocations import services as invocation_services
from invocations.models import Invocation
from invocations.payload import Payload
from invocations.pool import Pool
from localaws.tests import servers
from tests.artifacts import pack

State = EndpointAlarm.State
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("hosting")]


@pytest.fixture(scope="module")
def hosting(tmp_path_factory):
    """SageMaker and S3 on this machine, as ``source .local/aws.env`` sets them."""
    folder = tmp_path_factory.mktemp("hosting")
    patch = pytest.MonkeyPatch()
    with servers.s3_server(folder / "s3") as s3:
        options = ("--invocation-timeout", "1", "--create-seconds", "0.3")
        process = servers.LocalAwsProcess(folder / "localaws", s3, *options).start()
        for name, value in {
            "AWS_ACCESS_KEY_ID": servers.KEY,
            "AWS_SECRET_ACCESS_KEY": servers.SECRET,
            "AWS_ENDPOINT_URL_S3": s3,
            "AWS_ENDPOINT_URL_SAGEMAKER": process.url,
            "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": process.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": process.url,
            "AWS_ENDPOINT_URL_CLOUDWATCH": process.url,
        }.items():
            patch.setenv(name, value)
        # boto3's own session keeps the keys that it found first, those of all other tests.
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        clients = (aws.s3, aws.sagemaker, aws.sagemaker_runtime, aws.autoscaling, aws.cloudwatch)
        for client in clients:
            client.cache_clear()
        try:
            yield process
        finally:
            patch.undo()
            for client in clients:
                client.cache_clear()
            process.stop()


@pytest.fixture(scope="module")
def store(hosting, tmp_path_factory):
    """Two models in the store: one that loads at once, one that takes its time."""
    from django.conf import settings

    s3, folder = hosting.client("s3"), tmp_path_factory.mktemp("models")
    s3.create_bucket(
        Bucket=settings.MODEL_BUCKET,
        CreateBucketConfiguration={"LocationConstraint": servers.REGION},
    )
    for name, files in {
        "quick": {"answer": b"cat"},
        "slow": {"answer": b"dog", "load_seconds": b"2.5"},
    }.items():
        path = pack(folder / f"{name}.tar.gz", files)
        s3.upload_file(
            str(path), settings.MODEL_BUCKET, f"{settings.MODEL_PREFIX}/{name}_v1.tar.gz"
        )


def create(name):
    return services.create_endpoint(
        name=name, instance_type="ml.m5.large", instance_count=1, actor=None
    )


def tear_down(endpoint):
    services.request_teardown(endpoint=endpoint, typed_name=endpoint.name, actor=None)
    return step_until(endpoint, lambda row: row.gone_at is not None)


def left(hosting):
    client = hosting.client("sagemaker")
    return (
        client.list_models()["Models"],
        client.list_endpoint_configs()["EndpointConfigs"],
        client.list_endpoints()["Endpoints"],
    )


def test_from_creation_to_teardown(hosting):
    endpoint = step_until(create("demo"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    assert [len(things) for things in left(hosting)] == [1, 1, 1]
    for resource in endpoint.resources.all():
        assert resource.arn.startswith("arn:aws:sagemaker:ap-northeast-2:123456789012:")
        assert resource.created_at is not None
    found = sagemaker.describe_model("demo-r1")
    assert (found.data_url, found.multi_model) == (endpoint.model_data_url, True)
    tags = hosting.client("sagemaker").list_tags(ResourceArn=found.arn)["Tags"]
    assert tags == [{"Key": "mme-portal:endpoint", "Value": "demo"}]
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_two_variants_share_calls_by_weights_that_move(hosting, store):
    rows = (
        ProductionVariant("large", "ml.m5.xlarge", 1, 1),
        ProductionVariant("small", "ml.m5.large", 1, 0),
    )
    endpoint = services.create_endpoint(name="shared", variants=rows, actor=None)
    endpoint = step_until(endpoint, lambda row: row.settled and row.serving)

    def takes(variant=""):
        while True:
            with contextlib.suppress(errors.NotReady):
                answer = runtime.invoke(
                    endpoint_name="shared", target_model="quick_v1.tar.gz", body=b"x",
                    content_type="image/png", variant=variant,
                )  # fmt: skip
                return answer.variant

    assert {takes() for _ in range(5)} == {"large"}
    assert takes("small") == "small"
    pids = {one["pid"] for one in hosting.instances("shared")}
    change = services.SettingsChange(weights={"large": 0, "small": 0.1})
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = step_until(endpoint, lambda row: row.settled)
    assert endpoint.running == endpoint.requested  # 0.1 is what 32 bits keep of it
    assert {takes() for _ in range(5)} == {"small"}
    assert {one["pid"] for one in hosting.instances("shared")} == pids  # nothing was started
    change = services.SettingsChange(variants=(rows[1],))
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = step_until(endpoint, lambda row: row.settled)
    assert endpoint.running.variants == (replace(rows[1], weight=1),)
    with pytest.raises(errors.Invalid):
        takes("large")
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_an_alarm_sends_a_deployment_by_policy_back(hosting, store):
    endpoint = step_until(create("careful"), lambda row: row.settled and row.serving)
    alarm, cloudwatch = "careful-errors", hosting.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm, Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors",
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip

    def set_alarm(state):
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="a test")

    def is_back(row):
        set_alarm("ALARM")  # again, as each minute gives it its own state
        return row.settled

    def is_made(row):
        hosting.admin("clock", "PUT", {"ahead": 3600})  # again, as the canary begins at some time
        return row.settled

    policy = DeploymentPolicy("canary", 50, 3600, (alarm,))
    change = services.SettingsChange(instance_type="ml.m5.xlarge", policy=policy)
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = step_until(endpoint, is_back)
    assert endpoint.serving
    assert endpoint.running == Running(1, "ml.m5.large")
    assert alarm in str(endpoint.refused_change.failure_said)
    set_alarm("OK")
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = step_until(endpoint, is_made)
    assert endpoint.running == Running(1, "ml.m5.xlarge")
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_alarms_act_and_go_with_their_endpoint(hosting, store):
    endpoint = step_until(create("watched"), lambda row: row.settled and row.serving)
    for kind, preset in alarm_presets.PRESETS.items():
        alarms.set_alarm(
            endpoint=endpoint, kind=kind, variant="AllTraffic", threshold=None,
            minutes=1 if preset.each_minute else None, actor=None,
        )  # fmt: skip
    alarms.watch()
    rows = {row.kind: row for row in alarms.of_endpoint(endpoint)}
    # As it was put, so it is described: the portal puts nothing again.
    assert {row.state for row in rows.values()} == {State.NO_DATA}
    (told,) = hosting.client("cloudwatch").describe_alarms(AlarmNames=[rows["p99"].name])[
        "MetricAlarms"
    ]
    assert (told["ExtendedStatistic"], told["Threshold"]) == ("p99", 2_000_000)
    hosting.admin("clock", "PUT", {"ahead": 300})
    AlarmWatch.objects.update(check_after=timezone.now())
    alarms.watch()
    states = {row.kind: row.state for row in alarms.of_endpoint(endpoint)}
    states.pop("memory")  # it is measured once a minute
    assert states == {
        "5xx": State.OK, "p99": State.OK, "cache-hits": State.OK, "no-calls": State.ALARM,
    }  # fmt: skip
    (on,) = Event.objects.filter(action="endpoint.alarm_on", subject_id=endpoint.pk)
    assert "no call in 1 min" in str(on)
    services.request_teardown(endpoint=endpoint, typed_name=endpoint.name, actor=None)

    def is_gone(row):
        AlarmWatch.objects.update(check_after=timezone.now())
        alarms.watch()
        return row.gone_at is not None

    step_until(endpoint, is_gone)
    left_of_it = hosting.client("cloudwatch").describe_alarms(AlarmNamePrefix="mme-portal.")
    assert left_of_it["MetricAlarms"] == []


def test_what_a_lost_database_does_not_know_is_found_adopted_and_deleted(hosting, monkeypatch):
    monkeypatch.setattr(orphans, "TOO_NEW", timedelta(0))
    for name in ("kept", "left"):
        endpoint = step_until(create(name), lambda row: row.state == Endpoint.State.IN_SERVICE)
        Endpoint.objects.filter(pk=endpoint.pk).delete()
    hosting.client("sagemaker").create_model(
        ModelName="theirs", PrimaryContainer={"Image": "image", "Mode": "MultiModel",
        "ModelDataUrl": "s3://mme-models/theirs/"},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/demo",
    )  # fmt: skip
    OrphanLook.objects.all().delete()
    orphans.look_if_old()
    orphans.look()
    ours = Orphan.objects.portals()
    assert {(one.kind, one.name) for one in ours} == {
        (kind, f"{name}{'' if kind == 'endpoint' else '-r1'}")
        for kind in ("model", "config", "endpoint")
        for name in ("kept", "left")
    }
    assert Orphan.objects.get(name="theirs").ours is False
    adopted = adopting.adopt(orphan=ours.get(name="kept", kind="endpoint"), actor=None)
    assert step_until(adopted, lambda row: row.checked_at is not None).serving
    orphans.request_deletion(orphans=ours.filter(made_for="left"), actor=None)
    deadline = time.monotonic() + 30
    while (unfinished := list(Orphan.objects.unfinished())) and time.monotonic() < deadline:
        for one in unfinished:
            Orphan.objects.filter(pk=one.pk).update(check_after=one.found_at)
            reconciler.advance_orphan(one.pk)
        time.sleep(0.02)
    assert [len(things) for things in left(hosting)] == [2, 1, 1]
    tear_down(adopted)
    hosting.client("sagemaker").delete_model(ModelName="theirs")
    assert left(hosting) == ([], [], [])


def test_a_teardown_during_the_creation(hosting):
    endpoint = step_until(create("hasty"), lambda row: row.state == Endpoint.State.CREATING)
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_deleted_in_the_console(hosting):
    endpoint = step_until(create("drift"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    hosting.client("sagemaker").delete_endpoint(EndpointName="drift")
    endpoint = step_until(endpoint, lambda row: row.deleted_outside)
    drift.put_back(endpoint=endpoint, actor=None)
    endpoint = step_until(endpoint, lambda row: row.state == Endpoint.State.IN_SERVICE)
    hosting.client("sagemaker").delete_endpoint(EndpointName="drift")
    endpoint = step_until(endpoint, lambda row: row.deleted_outside)
    drift.accept(endpoint=endpoint, actor=None)
    endpoint = step_until(endpoint, lambda row: row.gone_at is not None)
    assert left(hosting) == ([], [], [])


def test_updated_outside_the_portal(hosting):
    endpoint = step_until(create("resized"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    assert not endpoint.changed_outside
    client = hosting.client("sagemaker")
    client.create_endpoint_config(
        EndpointConfigName="two",
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": endpoint.model_name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 2,
            }
        ],
    )
    client.update_endpoint(EndpointName="resized", EndpointConfigName="two")
    endpoint = step_until(
        endpoint,
        lambda row: (
            row.running == Running(2, "ml.m5.large") and row.state == Endpoint.State.IN_SERVICE
        ),
    )
    assert (endpoint.config_in_use, endpoint.changed_outside) == ("two", True)
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_a_change_of_all_and_the_way_back_while_it_is_called(hosting, store):
    endpoint = step_until(create("moving"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    calls, over = [], threading.Event()

    def call():
        runtime = hosting.client("sagemaker-runtime")
        while not over.is_set():
            answer = runtime.invoke_endpoint(
                EndpointName="moving", TargetModel="quick_v1.tar.gz", Body=b"-",
                ContentType="application/x-image",
            )  # fmt: skip
            calls.append(answer["Body"].read())

    pool = ThreadPoolExecutor(1)
    caller = pool.submit(call)
    try:
        servers.wait_for(lambda: calls)
        for change, models in (
            (services.SettingsChange(instance_count=2), ["moving-r1"]),
            (services.SettingsChange(instance_type="ml.m5.xlarge"), ["moving-r1"]),
            (services.SettingsChange(image=OTHER_IMAGE), ["moving-r4"]),
            (services.back_to(endpoint=endpoint, number=1), ["moving-r5"]),
        ):
            before = len(calls)
            endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
            endpoint = step_until(endpoint, lambda row: row.settled)
            assert endpoint.running == endpoint.requested
            found = left(hosting)
            assert [one["ModelName"] for one in found[0]] == models
            assert [one["EndpointConfigName"] for one in found[1]] == [endpoint.config_name]
            servers.wait_for(lambda before=before: len(calls) > before)
    finally:
        over.set()
        pool.shutdown()
    caller.result()  # no call failed
    assert len(set(calls)) == 1
    assert endpoint.running == Running(1, "ml.m5.large")
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_an_image_that_does_not_start_rolls_back(hosting, store, monkeypatch):
    """With AWS's reason; what served before goes on, and the page is true."""
    # localaws is over with it at once, and its reads never lag.
    monkeypatch.setattr(run, "READ_LAG", timedelta(0))
    endpoint = step_until(create("bad-image"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    before = endpoint.image
    hosting.admin("faults", "PUT", {"faults": [{"action": "unhealthy", "name": "*/other:2"}]})
    try:
        change = services.SettingsChange(image=OTHER_IMAGE)
        endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
        endpoint = step_until(endpoint, lambda row: row.settled)
    finally:
        hosting.admin("faults", "DELETE")
    assert (endpoint.image, endpoint.serving, endpoint.changed_outside) == (before, True, False)
    refused = endpoint.refused_change
    assert refused is not None
    assert (refused.state, refused.image) == (Revision.State.ROLLED_BACK, OTHER_IMAGE)
    assert "did not pass the ping health check" in str(refused.failure_said)
    answer = hosting.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="bad-image", TargetModel="quick_v1.tar.gz", Body=b"-",
        ContentType="application/x-image",
    )  # fmt: skip
    assert b"cat" in answer["Body"].read()
    # What was made for it is gone.
    assert [one["ModelName"] for one in left(hosting)[0]] == ["bad-image-r1"]
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])


def test_three_workers_race_through_both_directions(hosting):
    endpoint, over = create("race"), threading.Event()

    def work():
        try:
            while not over.is_set():
                Endpoint.objects.filter(pk=endpoint.pk).update(check_after=endpoint.created_at)
                reconciler.advance(endpoint.pk)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        servers.wait_for(
            lambda: Endpoint.objects.get(pk=endpoint.pk).state == Endpoint.State.IN_SERVICE
        )
        services.request_teardown(endpoint=endpoint, typed_name="race", actor=None)
        servers.wait_for(lambda: Endpoint.objects.get(pk=endpoint.pk).gone_at)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert left(hosting) == ([], [], [])


def test_calls(hosting, store, make_version, monkeypatch):
    pool = Pool(threads=2, waiting=2)
    monkeypatch.setattr(invocation_services, "pool", lambda: pool)
    endpoint = step_until(create("calls"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    payload = Payload("x.png", "image/png", b"bytes", "image/png", thumbnail=b"t")

    def call(name):
        version = make_version(name=name)
        started = invocation_services.start(
            endpoint=endpoint, version=version, payload=payload, actor=None
        )
        began, states = time.monotonic(), set()
        while not (row := started.answered(0.05)).settled:
            states.add(Invocation.objects.values_list("state", flat=True).get(pk=row.pk))
            assert time.monotonic() - began < 30
        started.answered(30)
        return Invocation.objects.get(pk=row.pk), states

    row, _ = call("quick")
    # The tests' own container is none of ours, and its answer is told as what it is.
    assert 'The answer begins: “{"answer": "cat"' in row.error
    assert row.latency_ms > 0
    row, states = call("slow")
    assert 'The answer begins: “{"answer": "dog"' in row.error
    assert "loading" in states  # SageMaker's ModelNotReadyException, waited out
    row, _ = call("missing")
    assert "could not fetch the archive missing_v1.tar.gz" in row.error
    with pytest.raises(errors.NotFound):
        sagemaker.describe_endpoint("nobody")
    tear_down(endpoint)
    row, _ = call("other")
    assert "AWS has no endpoint calls" in row.error


def test_scaled_by_aws_changed_meanwhile_and_torn_down(hosting, store, settings):
    settings.INSTANCE_TYPES = ["ml.m5.large", "ml.m5.xlarge"]
    endpoint = step_until(create("scaled"), lambda row: row.state == Endpoint.State.IN_SERVICE)
    limits = Limits(1, 2, 4, in_cooldown=0)
    endpoint = scaling.set_scaling(endpoint=endpoint, limits=limits, actor=None)
    endpoint = step_until(endpoint, lambda row: row.settled)
    runtime = hosting.client("sagemaker-runtime")
    hosting.begin_minute()
    for _minute in range(3):
        for _ in range(9):
            runtime.invoke_endpoint(
                EndpointName="scaled", TargetModel="quick_v1.tar.gz", Body=b"-",
                ContentType="application/x-image",
            )  # fmt: skip
        hosting.admin("clock", "PUT", {"ahead": 60})
    large, xlarge = "ml.m5.large", "ml.m5.xlarge"
    endpoint = step_until(endpoint, lambda row: row.settled and row.running == Running(2, large))
    assert not endpoint.changed_outside
    events = Event.objects.about("endpoint", endpoint.pk)
    step_until(endpoint, lambda row: events.filter(action="endpoint.scaled").exists())
    assert "triggered policy mme-portal" in events.get(action="endpoint.scaled").sentence

    change = services.SettingsChange(instance_type=xlarge)
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = step_until(endpoint, lambda row: row.settled)
    assert endpoint.running == Running(2, xlarge)
    client = hosting.client("application-autoscaling")
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(one["MinCapacity"], one["MaxCapacity"]) for one in targets] == [(1, 2)]
    assert events.filter(action="endpoint.scaled").count() == 1
    tear_down(endpoint)
    assert left(hosting) == ([], [], [])
    assert client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
