"""What can be set besides type, count and image: checked, planned, made, changed, taken back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.session import get_session
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from endpoints import adopting, container_environment, options, planning, sagemaker, services
from endpoints.models import Endpoint, Orphan, OrphanLook
from endpoints.options import DeploymentOptions
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import DEMO, PATH, Api, api
from endpoints.tests.test_planning import _run

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
LARGE = "ml.m5.large"
WHOLE = DeploymentOptions(
    model_cache=False,
    environment={"OMP_NUM_THREADS": "2"},
    startup_timeout_s=600,
    download_timeout_s=900,
    volume_gb=50,
    subnets=("subnet-0a1b2c3d",),
    security_groups=("sg-0a1b2c3d",),
    kms_key="alias/endpoints",
    capture_percent=20,
    tags={"team": "vision"},
)


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, "ml.m5.xlarge", "ml.g5.xlarge"]


def _made(settle: Step, **more: Any) -> Endpoint:
    return settle(services.create_endpoint(name="demo", actor=None, **more))


def _change(endpoint: Endpoint, settle: Step, **wanted: Any) -> Endpoint:
    services.request_change(endpoint=endpoint, change=SettingsChange(**wanted), actor=None)
    return settle(endpoint)


def test_ranges_are_those_of_sagemaker() -> None:
    model = get_session().get_service_model("sagemaker")
    variant = model.shape_for("ProductionVariant").members
    for name in (
        "ModelDataDownloadTimeoutInSeconds",
        "ContainerStartupHealthCheckTimeoutInSeconds",
    ):
        told = variant[name].metadata
        assert (told["min"], told["max"]) == (options.LEAST_TIMEOUT_S, options.MOST_TIMEOUT_S)
    assert variant["VolumeSizeInGB"].metadata["max"] == options.MOST_VOLUME_GB
    vpc = model.shape_for("VpcConfig").members
    assert vpc["Subnets"].metadata["max"] == options.MOST_SUBNETS
    share = model.shape_for("DataCaptureConfig").members["InitialSamplingPercentage"]
    assert share.metadata["max"] == options.MOST_PERCENT
    assert vpc["SecurityGroupIds"].metadata["max"] == options.MOST_GROUPS
    key, value = model.shape_for("TagKey").metadata, model.shape_for("TagValue").metadata
    assert (key["max"], value["max"]) == (options.MOST_TAG_KEY, options.MOST_TAG_VALUE)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"environment": {"OMP_NUM_THREAD": "2"}}, "environment", "Do you mean OMP_NUM_THREADS?"),
        ({"environment": {"FOO": "2"}}, "environment", "It takes: GOMP_SPINCOUNT, "),
        ({"environment": {"JAVA_HOME": "/"}}, "environment", "is set by SageMaker or by the image"),
        ({"environment": {"OMP_NUM_THREADS": "two"}}, "environment", "from 1 to 512"),
        ({"environment": {"MME_MODEL_HOST": "2"}}, "environment", "must be one of 0, 1"),
        (
            {"environment": {"SAGEMAKER_MODEL_SERVER_VMARGS": "-Xmx1g -XX:OnError=sh"}},
            "environment",
            "takes no option -XX:OnError=sh",
        ),
        ({"startup_timeout_s": 59}, "startup_timeout_s", "from 60 to 3600"),
        ({"download_timeout_s": 3601}, "download_timeout_s", "from 60 to 3600"),
        ({"volume_gb": 513}, "volume_gb", "from 1 to 512"),
        ({"capture_percent": 101}, "capture_percent", "from 1 to 100"),
        ({"subnets": ["subnet-0a1b2c3d"]}, "security_groups", "subnets and security groups"),
        ({"subnets": ["net"], "security_groups": ["sg-0a1b2c3d"]}, "subnets", "net is no such id"),
        ({"kms_key": "a key"}, "kms_key", "the alias of a KMS key"),
        ({"tags": {"mme-portal:endpoint": "x"}}, "tags", "AWS or the portal sets those"),
        ({"tags": {"AWS:x": "x"}}, "tags", "AWS or the portal sets those"),
        ({"tags": {"a;b": "x"}}, "tags", "a character that AWS does not take"),
        ({"tags": {"k": "x" * 257}}, "tags", "is too long"),
        ({"tags": {str(n): "" for n in range(49)}}, "tags", "at most 48"),
    ],
)
def test_what_aws_or_the_container_would_refuse_is_refused(
    given: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        options.check(DeploymentOptions.of(given), instance_type=LARGE)
    assert list(refused.value.message_dict) == [field]
    assert said in " ".join(refused.value.message_dict[field])


def test_a_volume_is_refused_where_the_type_has_a_disk_of_its_own() -> None:
    for kind in ("ml.g5.xlarge", "ml.g4dn.xlarge", "ml.m5d.large", "ml.p4d.24xlarge"):
        with pytest.raises(ValidationError, match="has a disk of its own"):
            options.check(DeploymentOptions(volume_gb=9), instance_type=kind)
    for kind in (LARGE, "ml.c5.xlarge", "ml.p3.2xlarge", "ml.inf1.xlarge"):
        options.check(DeploymentOptions(volume_gb=9), instance_type=kind)


def test_what_the_container_takes_is_taken() -> None:
    for name, rule in container_environment.known().items():
        value = {"whole": "2", "one_of": rule.get("one_of", [""])[0], "words": "-Xmx512m"}
        (kind,) = rule
        assert container_environment.problems({name: value[kind]}) == []


@pytest.mark.not_quick
def test_a_new_endpoint_has_all_that_was_chosen(
    db: None, account: Account, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planning.plan_creation(name="demo", options=WHOLE, actor=None)
    assert account.empty
    called = _run(plan.code, monkeypatch)
    model, config = called[0][1], called[1][1]
    assert model["PrimaryContainer"]["Environment"] == {"OMP_NUM_THREADS": "2"}
    assert model["PrimaryContainer"]["MultiModelConfig"] == {"ModelCacheSetting": "Disabled"}
    vpc = {"SecurityGroupIds": ["sg-0a1b2c3d"], "Subnets": ["subnet-0a1b2c3d"]}
    assert model["VpcConfig"] == vpc
    assert {"Key": "team", "Value": "vision"} in model["Tags"]
    assert config["KmsKeyId"] == "alias/endpoints"
    capture = config["DataCaptureConfig"]
    assert capture["DestinationS3Uri"] == f"s3://{django_settings.MODEL_BUCKET}/captures"
    assert capture["InitialSamplingPercentage"] == 20
    (variant,) = config["ProductionVariants"]
    assert variant["VolumeSizeInGB"] == 50
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 900
    assert {one.name for one in plan.chosen} == set(options.LABELS)
    endpoint = _made(settle, options=WHOLE, reason="a trial")
    assert endpoint.chosen == WHOLE
    assert account.models["demo-r1"].options == WHOLE.of_model
    assert account.configs["demo-r1"].options == WHOLE.of_config
    assert endpoint.revisions.get().reason == "a trial"
    assert Event.objects.filter(action="endpoint.requested_why").exists()


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("patch", "made"),
    [
        ({"environment": {"OMP_NUM_THREADS": "4"}}, ["+model demo-r2", "+config demo-r2"]),
        ({"environment": {"OMP_NUM_THREADS": None}}, ["+model demo-r2", "+config demo-r2"]),
        ({"model_cache": True}, ["+model demo-r2", "+config demo-r2"]),
        ({"volume_gb": None}, ["+config demo-r2"]),
        ({"capture_percent": None}, ["+config demo-r2"]),
        ({"kms_key": None, "startup_timeout_s": 60}, ["+config demo-r2"]),
        ({"tags": {"team": None, "cost": "7"}}, ["~tags demo"]),
        ({"tags": {"team": "vision"}}, []),
    ],
)
def test_a_change_makes_what_differs_and_takes_back_the_rest(
    patch: dict[str, Any], made: list[str], db: None, account: Account, settle: Step
) -> None:
    endpoint = _made(settle, options=WHOLE)
    before = len(account.changes)
    plan = planning.plan_change(endpoint=endpoint, change=SettingsChange(options=patch), actor=None)
    assert {one.name for one in plan.differs} == (set(patch) if made else set())
    endpoint = _change(endpoint, settle, options=patch)
    did = account.changes[before:]
    assert [one for one in did if one[0] in "+~" and "endpoint" not in one] == made
    assert ("~endpoint demo demo-r2" in did) == ("+config demo-r2" in made)
    assert endpoint.chosen == WHOLE.patched(patch)
    assert endpoint.settled
    assert not endpoint.changed_outside
    if made:
        back = services.back_to(endpoint=endpoint, number=1)
        services.request_change(endpoint=endpoint, change=back, actor=None)
        assert settle(endpoint).chosen == WHOLE
        arn = account.endpoints["demo"].arn
        assert account.tags[arn] == {"team": "vision", sagemaker.TAG: "demo"}


@pytest.mark.not_quick
def test_the_plan_of_other_tags_calls_what_is_called(
    db: None, account: Account, settle: Step
) -> None:
    endpoint = _made(settle, options=WHOLE)
    change = SettingsChange(options={"tags": {"team": None, "cost": "7"}})
    plan = planning.plan_change(endpoint=endpoint, change=change, actor=None)
    arn = account.endpoints["demo"].arn
    assert [(call.action, dict(call.arguments)) for call in plan.calls] == [
        ("AddTags", {"ResourceArn": arn, "Tags": [{"Key": "cost", "Value": "7"}]}),
        ("DeleteTags", {"ResourceArn": arn, "TagKeys": ["team"]}),
    ]


@pytest.mark.not_quick
def test_an_adopted_endpoint_keeps_what_it_was_made_with(
    db: None, account: Account, settle: Step, look: Callable[[], OrphanLook]
) -> None:
    endpoint = _made(settle, options=WHOLE)
    Endpoint.objects.all().delete()
    look()
    orphan = Orphan.objects.get(kind="endpoint", name=endpoint.name)
    adopted = settle(adopting.adopt(orphan=orphan, actor=None))
    assert adopted.chosen == DeploymentOptions.of({**(WHOLE.as_json() or {}), "tags": {}})


@pytest.mark.not_quick
def test_the_owner_is_changed_without_a_call_of_aws(
    serving: Endpoint, account: Account, user_in: Callable[[str], User]
) -> None:
    somebody = user_in("operator").get_username()
    before = len(account.changes)
    change = SettingsChange(owner=somebody)
    row = services.request_change(endpoint=serving, change=change, actor=None)
    assert (row.owned_by.get_username(), row.settled) == (somebody, True)
    assert account.changes[before:] == []
    assert Event.objects.filter(action="endpoint.owner_changed").count() == 1
    with pytest.raises(ValidationError, match="There is no user nobody"):
        services.request_change(endpoint=serving, change=SettingsChange(owner="nobody"), actor=None)


@pytest.mark.not_quick
def test_the_form_keeps_the_rest_under_more_options(
    client_of: Callable[[str], Client], account: Account
) -> None:
    client = client_of("operator")
    page = client.get("/endpoints/new/").content.decode()
    assert '<details class="fold">' in page
    given = {"name": "demo", "instance_type": LARGE, "instance_count": 1}
    answer = client.post("/endpoints/new/", {**given, "environment": "OMP_NUM_THREAD=2"})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert '<details class="fold" open>' in page
    assert "Do you mean OMP_NUM_THREADS?" in page
    more = {"environment": "OMP_NUM_THREADS=2\n", "tags": "team=vision", "volume_gb": 20}
    assert client.post("/endpoints/new/", {**given, **more}).status_code == 302
    endpoint = Endpoint.objects.get()
    assert endpoint.options == {
        "environment": {"OMP_NUM_THREADS": "2"}, "tags": {"team": "vision"}, "volume_gb": 20,
    }  # fmt: skip
    page = client.get(f"/endpoints/{endpoint.pk}/configuration/").content.decode()
    assert "OMP_NUM_THREADS=2" in page


def test_types_are_offered_with_their_vcpus_memory_and_price(
    client_of: Callable[[str], Client], settings: Any
) -> None:
    settings.INSTANCE_TYPES = ["ml.m5.large", "ml.c5.9xlarge", "ml.g4dn.xlarge", "ml.new.type"]
    page = client_of("admin").get("/endpoints/new/").content.decode()
    for said in (
        ">ml.m5.large: 2 vCPUs, 8 GiB, about 0.115 USD an hour<",
        ">ml.c5.9xlarge: 36 vCPUs, 72 GiB",
        ">ml.g4dn.xlarge: 4 vCPUs, 16 GiB",
        ">ml.new.type<",
    ):
        assert said in page, said


@pytest.mark.not_quick
def test_presets_fill_the_form_and_the_api(
    client_of: Callable[[str], Client], api: Api, account: Account
) -> None:
    page = client_of("operator").get("/endpoints/new/?preset=production").content.decode()
    assert '<option value="ml.m5.xlarge" selected>' in page
    assert 'name="startup_timeout_s" value="600"' in page
    status, plan = api.ask(
        "POST", f"{PATH}/plan", {"name": "demo", "preset": "production", "instance_count": 1}
    )
    assert status == 200
    assert plan["calls"][1]["arguments"]["ProductionVariants"][0]["InitialInstanceCount"] == 1
    assert {one["name"] for one in plan["chosen"]} == {"startup_timeout_s", "download_timeout_s"}
    assert api.ask("POST", PATH, {"name": "demo", "preset": "try"})[1]["expires_at"] is not None


@pytest.mark.not_quick
def test_the_same_by_the_api(api: Api, serving: Endpoint, settle: Step, account: Account) -> None:
    asked = {"options": {"environment": {"OMP_NUM_THREADS": "2"}, "volume_gb": 30}}
    status, told = api.ask("PATCH", DEMO, asked)
    assert (status, told["revision"]) == (202, 2)
    settle(serving)
    asked = {"options": {"environment": {"MME_MODEL_HOST": "0"}, "volume_gb": None}}
    assert api.ask("PATCH", DEMO, asked)[0] == 202
    settle(serving)
    now = api.ask("GET", DEMO)[1]["options"]
    assert now["environment"] == {"MME_MODEL_HOST": "0", "OMP_NUM_THREADS": "2"}
    assert now["volume_gb"] is None
    status, problem = api.ask("PATCH", DEMO, {"options": {"environment": {"NO_SUCH": "1"}}})
    assert (status, list(problem["errors"])) == (422, ["environment"])
    found = api.ask("GET", f"{DEMO}/revisions")[1]["items"]
    assert json.dumps(found[0]["options"]["environment"]) == json.dumps(now["environment"])
