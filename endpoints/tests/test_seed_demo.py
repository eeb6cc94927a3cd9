"""The demo is set up once, through the services, and never stands in the portal's way."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from endpoints.management.commands import seed_demo
from endpoints.models import Endpoint
from models_catalog.models import RegisteredModel, Version
from tests.artifacts import constant_archive


@pytest.fixture
def demo(archives: Path) -> Path:
    versions = []
    for number in (1, 2):
        name = f"pets_v{number}.tar.gz"
        constant_archive(archives / name, labels=["cat", "dog"], answer=number - 1)
        versions.append({"archive": name, "note": f"version {number}"})
    model = {"name": "pets", "description": "Pets.", "versions": versions}
    (archives / "manifest.json").write_text(json.dumps({"models": [model]}))
    return archives


def test_an_empty_portal_gets_the_models_in_order_and_one_endpoint(
    db: None, account: Any, store: str, demo: Path
) -> None:
    call_command("seed_demo", demo, stdout=StringIO())
    notes = Version.objects.order_by("number").values_list("number", "note")
    assert list(notes) == [(1, "version 1"), (2, "version 2")]
    assert Endpoint.objects.get().name == "demo"
    again = StringIO()
    call_command("seed_demo", demo, stdout=again)
    assert "nothing to do" in again.getvalue()
    assert (Version.objects.count(), Endpoint.objects.count()) == (2, 1)


def test_a_run_that_was_killed_is_picked_up(
    db: None, account: Any, store: str, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = seed_demo.upload_version

    def killed(**kwargs: Any) -> Version:
        if kwargs["note"] == "version 2":
            raise KeyboardInterrupt
        return real(**kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(seed_demo, "upload_version", killed)
        with pytest.raises(KeyboardInterrupt):
            call_command("seed_demo", demo, stdout=StringIO())
    call_command("seed_demo", demo, stdout=StringIO())
    assert (Version.objects.count(), Endpoint.objects.count()) == (2, 1)


def test_a_catalog_in_use_is_left_alone(db: None, account: Any, store: str, demo: Path) -> None:
    RegisteredModel.objects.create(name="mine")
    call_command("seed_demo", demo, stdout=StringIO())
    assert not Version.objects.exists()
    assert not Endpoint.objects.exists()


def test_a_demo_that_fails_is_told_and_does_not_keep_the_portal_from_starting(
    db: None, account: Any, store: str, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = seed_demo.upload_version

    def rejected(**kwargs: Any) -> Version:
        version = real(**kwargs)
        Version.objects.filter(pk=version.pk).update(state="rejected", reason="It lacks a file.")
        return version

    monkeypatch.setattr(seed_demo, "upload_version", rejected)
    told = StringIO()
    call_command("seed_demo", demo, "--wait", "60", stdout=StringIO(), stderr=told)
    assert "It lacks a file." in told.getvalue()
    call_command("seed_demo", demo, "--wait", "60", stdout=StringIO())
