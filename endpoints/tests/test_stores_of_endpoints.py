"""An endpoint is created on a store, and serves that store's versions alone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from endpoints import services
from endpoints.models import Endpoint
from models_catalog import stores
from models_catalog.models import Store
from models_catalog.refusals import CatalogRefused


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Nothing is asked of AWS, and no job is queued."""
    monkeypatch.setattr(services, "_check_free_in_account", lambda _name: None)
    monkeypatch.setattr(services, "enqueue_on_commit", lambda *_: None)
    settings.CONTAINER_IMAGE = "an-image-elsewhere:latest"


@pytest.fixture
def team_a(db: None, settings: Any) -> Store:
    return Store.objects.create(
        name="team-a", bucket="team-a-models", prefix="mme", region=settings.AWS_REGION
    )


@pytest.mark.not_quick
def test_it_is_on_the_store_that_was_asked_for(
    team_a: Store, user_in: Callable[[str], User], settings: Any
) -> None:
    actor = user_in("operator")
    made = services.create_endpoint(name="a", store="team-a", actor=actor)
    assert made.model_data_url == "s3://team-a-models/mme/"
    usual = services.create_endpoint(name="b", actor=actor)
    assert (usual.bucket, usual.prefix) == (settings.MODEL_BUCKET, settings.MODEL_PREFIX)
    with pytest.raises(CatalogRefused, match="The endpoint a is on it"):
        stores.retire(name="team-a", actor=None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"region": "eu-west-1"}, "its own region"), ({"retired_at": "2026-11-28T00:00Z"}, "retired")],
)
def test_a_store_that_no_endpoint_can_serve_is_refused(
    team_a: Store, user_in: Callable[[str], User], changes: dict[str, str], said: str
) -> None:
    Store.objects.update(**changes)
    with pytest.raises(ValidationError, match=said) as refused:
        services.create_endpoint(name="a", store="team-a", actor=user_in("operator"))
    assert list(refused.value.message_dict) == ["store"]
    assert not Endpoint.objects.exists()


@pytest.mark.not_quick
def test_the_form_asks_only_where_there_are_several(
    client_of: Callable[[str], Client], settings: Any
) -> None:
    client = client_of("operator")
    assert b'name="store"' not in client.get("/endpoints/new/").content
    for name, region in (("team-a", settings.AWS_REGION), ("far", "eu-west-1")):
        Store.objects.create(name=name, bucket=f"{name}-models", prefix="mme", region=region)
    shown = client.get("/endpoints/new/").content
    assert b'name="store"' in shown
    assert b"far-models" not in shown
    given = {"name": "a", "store": "team-a", "instance_type": settings.INSTANCE_TYPES[0]}
    client.post("/endpoints/new/", {**given, "instance_count": 1})
    assert Endpoint.objects.get().bucket == "team-a-models"
