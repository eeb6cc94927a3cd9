"""Which image an endpoint gets: pinned to its digest, refused where there is none, rolled back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from django.core.exceptions import ValidationError
from django.test import Client

from core import aws, errors, where
from endpoints import ecr, images, planning, services
from endpoints.ecr import EcrAddress
from endpoints.models import Endpoint, Revision
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
REPOSITORY = OTHER_IMAGE.rpartition(":")[0]
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def pushed(account: Account) -> Account:
    """ECR has the portal's image, and another one."""
    account.digests = {"latest": ONE, "2": TWO}
    return account


@contextmanager
def _answers() -> Iterator[Stubber]:
    with Stubber(aws.ecr("ap-northeast-2")) as stubber:
        yield stubber


def test_the_form_of_an_address() -> None:
    found = EcrAddress.of(f"{REPOSITORY}:2")
    assert found is not None
    assert (found.account, found.region) == ("123456789012", "ap-northeast-2")
    assert (found.repository, found.tag, found.digest) == ("other", "2", "")
    assert found.pinned(ONE) == f"{REPOSITORY}@{ONE}"
    assert EcrAddress.of(f"{REPOSITORY}@{ONE}") is not None
    for wrong in (
        "bad",
        "other:2",
        "docker.io/library/python:3",
        f"{REPOSITORY}:",
        f"-{REPOSITORY}",
    ):
        assert EcrAddress.of(wrong) is None


@pytest.mark.not_quick
def test_a_tag_is_pinned_when_it_is_planned_and_made(
    db: None, pushed: Account, settle: Step
) -> None:
    plan = planning.plan_creation(name="demo", actor=None)
    pinned = plan.calls[0].arguments["PrimaryContainer"]["Image"]
    assert pinned.endswith(f"demo-sagemaker-multimodel@{ONE}")
    assert plan.notes[0] == f"The tag latest is pinned to the digest that it has now: {ONE}"
    endpoint = settle(services.create_endpoint(name="demo", actor=None))
    assert pushed.models["demo-r1"].image == endpoint.image == pinned
    pushed.digests = {"latest": TWO, "2": TWO}  # somebody pushes another one
    change = SettingsChange(image=OTHER_IMAGE)
    plan = planning.plan_change(endpoint=endpoint, change=change, actor=None)
    assert [one.after for one in plan.differs] == [f"{REPOSITORY}@{TWO}"]
    assert plan.notes
    services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.image == f"{REPOSITORY}@{TWO}"
    # What it has already is no change, by whatever name.
    before = endpoint.revision
    row = services.request_change(endpoint=endpoint, change=change, actor=None)
    assert (row.revision, row.settled) == (before, True)


@pytest.mark.not_quick
def test_an_image_that_is_not_there_is_refused(
    serving: Endpoint, pushed: Account, client_of: Callable[[str], Client]
) -> None:
    admin = client_of("admin")
    for image, said in (("bad", "is no address"), (f"{REPOSITORY}:9", "ECR has no image")):
        given = {"instance_type": "ml.m5.large", "instance_count": 1, "image": image}
        answer = admin.post(f"/endpoints/{serving.pk}/change/", given)
        assert answer.status_code == 400
        assert said in answer.content.decode()
        with pytest.raises(ValidationError) as refused:
            services.request_change(
                endpoint=serving, change=SettingsChange(image=image), actor=None
            )
        assert said in refused.value.message_dict["image"][0]
    assert Endpoint.objects.get().revision == serving.revision


def test_the_preset_image_that_is_not_there_is_the_portals_trouble(
    db: None, pushed: Account
) -> None:
    pushed.digests = {}
    with pytest.raises(ValidationError) as refused:
        services.create_endpoint(name="demo", actor=None)
    assert "ECR has no image" in refused.value.messages[0]
    assert not Endpoint.objects.exists()


def test_a_portal_that_may_not_ask_says_so_in_the_plan(serving: Endpoint, account: Account) -> None:
    change = SettingsChange(image=OTHER_IMAGE)
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert [one.after for one in plan.differs] == [OTHER_IMAGE]
    assert "not pinned to its digest" in plan.notes[0]


def test_an_address_that_would_be_too_long_is_not_pinned(db: None, pushed: Account) -> None:
    """SageMaker takes 255 characters, and ECR has repositories of 256."""
    longest = images.LONGEST - len(f"{REPOSITORY}@{ONE}")
    for added, pins in ((longest, True), (longest + 1, False)):
        repository = REPOSITORY + "r" * added
        found = images.chosen(f"{repository}:2")
        assert found.image == (f"{repository}@{TWO}" if pins else f"{repository}:2")
        assert ("longer than the 255 characters" in found.note) is not pins


def test_on_a_local_stack_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "is_local", lambda: True)
    found = images.chosen(OTHER_IMAGE)
    assert found.image == OTHER_IMAGE
    assert "no ECR" in found.note
    assert images.listed().images == []
    with pytest.raises(ValidationError):
        images.chosen("bad")


def test_what_ecr_answers() -> None:
    address = EcrAddress.of(OTHER_IMAGE)
    assert address is not None
    asked = {"registryId": "123456789012", "repositoryName": "other"}
    with _answers() as stubber:
        detail = {"imageDigest": TWO, "imageTags": ["2"]}
        stubber.add_response(
            "describe_images", {"imageDetails": [detail]},
            {**asked, "imageIds": [{"imageTag": "2"}]},
        )  # fmt: skip
        assert ecr.digest_of(address) == TWO
        for code, kind in (
            ("ImageNotFoundException", errors.NotFound),
            ("RepositoryNotFoundException", errors.NotFound),
            ("AccessDeniedException", errors.Denied),
        ):
            stubber.add_client_error("describe_images", code, "no")
            with pytest.raises(kind):
                ecr.digest_of(address)
        details: list[dict[str, Any]] = [
            {"imageDigest": ONE, "imagePushedAt": datetime(2026, 1, 1, tzinfo=UTC)},
            {
                "imageDigest": TWO, "imagePushedAt": datetime(2026, 2, 1, tzinfo=UTC),
                "imageTags": ["2", "latest"], "imageSizeInBytes": 7,
            },
        ]  # fmt: skip
        stubber.add_response("describe_images", {"imageDetails": details}, asked)
        assert [(one.digest, one.tags) for one in ecr.pushed(address)] == [
            (TWO, ["2", "latest"]), (ONE, []),
        ]  # fmt: skip


@pytest.mark.not_quick
def test_the_form_shows_what_is_in_ecr(
    client_of: Callable[[str], Client], account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = ecr.PushedImage(
        f"{REPOSITORY}@{ONE}", ONE, ["latest"], datetime(2026, 1, 1, tzinfo=UTC), 900
    )
    monkeypatch.setattr(ecr, "pushed", lambda address: [image])
    admin = client_of("admin")
    assert "Show the images in ECR" in admin.get("/endpoints/new/").content.decode()
    page = admin.get("/endpoints/new/?images=1").content.decode()
    assert f'<option value="{image.image}">latest</option>' in page
    account.digests = {"latest": ONE}
    given = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 1}
    answer = admin.post("/endpoints/new/", {**given, "image": image.image})
    assert answer.status_code == 302
    assert Endpoint.objects.get().image == image.image


def test_operators_choose_no_image(client_of: Callable[[str], Client], account: Account) -> None:
    given = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 1}
    operator = client_of("operator")
    assert operator.post("/endpoints/new/", {**given, "image": OTHER_IMAGE}).status_code == 302
    assert Endpoint.objects.get().image != OTHER_IMAGE
    assert Revision.objects.get().image != OTHER_IMAGE


def test_the_api_names_the_field(serving: Endpoint, account: Account, api: Api) -> None:
    status, problem = api.ask("PATCH", DEMO, {"image": "bad"})
    assert (status, list(problem["errors"])) == (422, ["image"])


def test_the_images_are_listed_by_the_api(
    user_in: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ecr.PushedImage(f"{REPOSITORY}@{ONE}", ONE, ["2"], datetime(2026, 11, 1, tzinfo=UTC), 7)
    monkeypatch.setattr(images.ecr, "pushed", lambda _address: [one])
    status, found = Api(user_in("admin")).ask("GET", "/api/v1/images")
    assert (status, found["note"]) == (200, None)
    assert (found["items"][0]["image"], found["items"][0]["tags"]) == (one.image, ["2"])
    monkeypatch.setattr(where, "is_local", lambda: True)
    assert "no ECR" in Api(user_in("superuser")).ask("GET", "/api/v1/images")[1]["note"]
    assert Api(user_in("operator")).ask("GET", "/api/v1/images")[0] == 403
