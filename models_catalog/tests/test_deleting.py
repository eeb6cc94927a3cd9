"""A model of which nothing was published can be deleted, and no other one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from activity.models import Event
from core import aws
from models_catalog import services
from models_catalog.models import RegisteredModel, Version
from tests.artifacts import constant_archive

DELETE = reverse("models_catalog:delete", args=["broken"])


@pytest.fixture
def rejected(db: None) -> RegisteredModel:
    """A model with two rejected versions."""
    model = RegisteredModel.objects.create(name="broken")
    for number in (1, 2):
        Version.objects.create(
            model=model, number=number, bucket="b", key=f"models/broken_v{number}.tar.gz",
            size=5, sha256="0" * 64, state="rejected", reason="No.",
        )  # fmt: skip
    return model


@pytest.mark.parametrize(("role", "allowed"), [("viewer", 0), ("operator", 1), ("admin", 1)])
def test_operators_and_admins_may(
    client_of: Callable[[str], Client], rejected: RegisteredModel, store: str, role: str,
    allowed: int,
) -> None:  # fmt: skip
    client = client_of(role)
    page = client.get("/models/broken/").content.decode()
    assert (f'href="{DELETE}"' in page) is bool(allowed)
    assert ('<dialog id="delete-model"' in page) is bool(allowed)
    assert client.get(DELETE).status_code == (200 if allowed else 403)
    answer = client.post(DELETE)
    assert answer.status_code == (302 if allowed else 403)
    assert RegisteredModel.objects.exists() is not bool(allowed)


def test_its_rows_go_its_name_is_free_and_the_log_has_it(
    client_of: Callable[[str], Client], rejected: RegisteredModel, store: str, archives: Path
) -> None:
    aws.s3().put_object(Bucket=store, Key="staging/left.tar.gz", Body=b"x")
    Version.objects.filter(number=2).update(bucket=store, staging_key="staging/left.tar.gz")
    client = client_of("operator")
    answer = client.post(DELETE, follow=True)
    assert "The model broken was deleted." in answer.content.decode()
    assert not Version.objects.exists()
    assert "Contents" not in aws.s3().list_objects_v2(Bucket=store)
    event = Event.objects.get(action="model.deleted")
    assert event.actor is not None
    assert event.actor.username == "operator-user"
    assert event.sentence == (
        "Deleted the model broken, of which nothing was published (rejected versions: 2)."
    )
    assert client.get("/models/broken/").status_code == 404
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    with path.open("rb") as file:
        version = services.upload_version(
            name="broken", new=True, note="", file=file, file_name="a.tar.gz", actor=None
        )
    assert str(version) == "broken v1"


@pytest.mark.not_quick
@pytest.mark.parametrize("state", ["ready", "checking", "uploaded"])
def test_a_model_with_any_other_version_stays(
    client_of: Callable[[str], Client], rejected: RegisteredModel, state: str
) -> None:
    Version.objects.filter(number=1).update(state=state, reason="")
    client = client_of("admin")
    assert f'href="{DELETE}"' not in client.get("/models/broken/").content.decode()
    for answer in (client.get(DELETE), client.post(DELETE)):
        assert "Nothing was deleted." in answer.content.decode()
    assert answer.status_code == 409
    assert Version.objects.count() == 2
    assert not Event.objects.filter(action="model.deleted").exists()


def test_a_model_without_versions_can_go(client_of: Callable[[str], Client], db: None) -> None:
    RegisteredModel.objects.create(name="broken")
    assert client_of("operator").post(DELETE).status_code == 302
    assert not RegisteredModel.objects.exists()


def _upload(path: Path, **given: Any) -> Version:
    with path.open("rb") as file:
        return services.upload_version(
            name="digits", note="", file=file, file_name="a.tar.gz", actor=None, **given
        )


def test_who_loses_a_race_is_told_the_truth(db: None, store: str, archives: Path) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    with pytest.raises(ValidationError) as deleted:
        _upload(path, new=False)
    assert "was deleted meanwhile. Upload it as a new model." in str(deleted.value)
    _upload(path, new=True)
    with pytest.raises(ValidationError) as taken:
        _upload(path, new=True)
    assert "There is a model digits already." in str(taken.value)
    assert Version.objects.count() == 1
