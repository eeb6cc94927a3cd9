"""What models and versions are found and sorted by is what their rows say, after each write."""

import importlib
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from activity import redaction
from core.lease import Lease
from models_catalog import describing, retiring, services, tasks
from models_catalog.models import RegisteredModel, SearchText, Version, VersionNumber
from models_catalog.publication import LEASE
from models_catalog.tests.found_by import wrong
from models_catalog.tests.test_api_reading import got, made, viewer

__all__ = ["viewer"]


@pytest.fixture
def versions(db: None) -> list[Version]:
    """Two of one model and one of another."""
    numbers = {"accuracy": 0.5, "run": "7"}
    return [made(name, n, note=f"Über {n}", metadata=numbers) for name, n in _NAMED]


_NAMED = [("ant", 1), ("ant", 2), ("bee", 1)]


def _describe(actor: User) -> None:
    describing.describe_model(
        name="ant", description="Größe 고양이", add_tags=["Kleine-Katze"], actor=actor
    )


def _note(actor: User) -> None:
    describing.describe_version(name="ant", number=1, note="ÄNDERUNG", actor=actor)


def _measure(actor: User) -> None:
    changes = {"accuracy": None, "loss": 3, "data": "Mai"}
    describing.describe_version(name="ant", number=1, metadata=changes, actor=actor)


def _retire(actor: User) -> None:
    retiring.retire(model="ant", number=1, actor=actor)


def _restore(actor: User) -> None:
    retiring.retire(model="ant", number=1, actor=actor)
    retiring.restore(model="ant", number=1, actor=actor)


def _delete(actor: User) -> None:
    retiring.delete(model="ant", number=1, actor=actor)


def _delete_model(actor: User) -> None:
    for version in Version.objects.filter(model__name="ant"):
        version.state = Version.State.REJECTED
        version.save()
    services.delete_model(name="ant", actor=actor)
    assert not SearchText.objects.exclude(model__name="bee").exists()


def _redact(actor: User) -> None:
    made("cow", note="ask Erika Mustermann", metadata={"by": "erika mustermann", "loss": 1})
    describing.describe_model(name="bee", description="Of Erika Mustermann", actor=actor)
    redaction.redact(text="Erika Mustermann", actor=actor)
    assert not SearchText.objects.filter(text__icontains="erika").exists()


def _publish(_actor: User) -> None:
    """As the worker does: the row is written by the release of its lease."""
    version = made("new", state=Version.State.UPLOADED, metadata={"accuracy": 1})
    assert not VersionNumber.objects.filter(model__name="new").exists()
    claimed = Version.objects.claim(version.pk, lease=LEASE)
    assert claimed is not None
    Lease(Version.objects.all(), claimed, LEASE).release(state=Version.State.READY)
    assert VersionNumber.objects.filter(model__name="new").exists()


@pytest.mark.parametrize(
    "write",
    [
        *(_describe, _note, _measure, _retire, _restore, _delete, _delete_model),
        *(_redact, _publish),
    ],
)
def test_what_a_row_is_found_by_is_what_it_says(
    versions: list[Version], user_in: Callable[[str], User], write: Callable[[User], None]
) -> None:
    assert wrong() == set()
    write(user_in("admin"))
    assert wrong() == set()


def test_nothing_is_kept_of_what_is_rolled_back(versions: list[Version]) -> None:
    version = versions[0]
    version.note, version.state = "another", Version.State.RETIRED
    with transaction.atomic():
        version.save()
        assert SearchText.objects.get(version=version).text.startswith("another")
        transaction.set_rollback(True)
    assert wrong() == set()
    assert SearchText.objects.get(version=versions[0]).text.startswith("über 1")


def _as_before(versions: list[Version]) -> None:
    """What the release before does: it writes, and deletes, and knows of nothing kept."""
    Version.objects.filter(pk=versions[0].pk).update(note="Anders", metadata={"loss": 2})
    Version.objects.filter(pk=versions[1].pk).update(state=Version.State.RETIRED)
    RegisteredModel.objects.filter(name="ant").update(tag_lines="\nnew\n")
    Version.objects.bulk_create([_unsaved(RegisteredModel(name="late", name_key="late"))])
    gone = RegisteredModel.objects.filter(name="bee")
    Version.objects.filter(model__in=gone)._raw_delete(using="default")
    gone._raw_delete(using="default")


def _unsaved(model: RegisteredModel) -> Version:
    [model] = RegisteredModel.objects.bulk_create([model])
    return Version(
        model=model, number=1, bucket="store", key="late", file_name="late.tar.gz", size=1,
        sha256="b2" * 32, state=Version.State.READY, metadata={"accuracy": 3},
    )  # fmt: skip


def test_what_the_release_before_wrote_is_made_by_the_hourly_job(versions: list[Version]) -> None:
    _as_before(versions)
    assert len(wrong()) > 5
    tasks.keep_found()
    assert wrong() == set()
    assert services.keep_found() == 0


def test_the_migration_makes_it_and_goes_on_after_a_kill(
    versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "models_catalog.migrations.0030_what_rows_are_found_by"
    migration: Any = importlib.import_module(name)
    migration.AT_ONCE = 2
    SearchText.objects.all().delete()
    VersionNumber.objects.all().delete()
    numbers, seen = migration.numbers, []

    def killed(row: Any) -> dict[str, float]:
        seen.append(row)
        if len(seen) == 3:
            raise KeyboardInterrupt
        found: dict[str, float] = numbers(row)
        return found

    monkeypatch.setattr(migration, "numbers", killed)
    with pytest.raises(KeyboardInterrupt):
        migration.keep(apps, None)
    assert SearchText.objects.exclude(version=None).count() == 2
    monkeypatch.setattr(migration, "numbers", numbers)
    for _time in range(2):
        migration.keep(apps, None)
        assert wrong() == set()


@pytest.mark.parametrize(
    "text", ["größe", "GRÖSSE", "über", "ÜBER", "고양이", "accuracy=0.5", "100%", "a_b", "kleine-k"]
)
def test_letters_are_found_in_any_case_and_composition(
    viewer: Client, versions: list[Version], text: str
) -> None:
    """On SQLite too, whose LIKE knows the letters of ASCII alone."""
    model = versions[0].model
    model.description = unicodedata.normalize("NFD", "Größe 고양이, 100% a_b")
    model.tag_lines = "\nkleine-katze\n"
    model.save()
    described = {"über": "ant bee", "ÜBER": "ant bee", "accuracy=0.5": "ant bee"}
    for form in ("NFC", "NFD"):
        found = got(viewer, f"/models?search={quote(unicodedata.normalize(form, text))}")
        names = sorted(one["name"] for one in found["items"])
        assert names == described.get(text, "ant").split()
    nothing = got(viewer, "/models?search=100_")["items"]
    assert nothing == []
