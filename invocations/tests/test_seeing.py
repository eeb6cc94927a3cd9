"""Whose calls and pictures somebody sees: everybody's by a permission, else one's own."""

import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client

from accounts import roles
from core import guarded
from endpoints.models import Endpoint
from invocations import given, side_by_side
from invocations.experiments import sending
from invocations.experiments.refused import ExperimentRefused
from invocations.models import Experiment, Invocation, Picture, PictureGiver
from invocations.tests.test_side_by_side import Models, _png, _run, models, two, viewer
from models_catalog.models import Version
from tests.bearer import secret_of

__all__ = ["models", "two", "viewer"]
Pair = tuple[Version, Version]
MIGRATION = "invocations.migrations.0020_who_sees_all_calls"


@pytest.fixture
def closed(viewer: User, settings: Any) -> User:
    """A viewer, where viewers see their own calls alone."""
    settings.VIEWERS_SEE_ALL_CALLS = False
    roles.ensure_roles()
    return User.objects.get(pk=viewer.pk)


def _give(shade: int, name: str, label: str, giver: User) -> side_by_side.GivenPicture:
    (found,) = given.keep([(io.BytesIO(_png(shade)), name)], lambda _name: label, giver)
    return found


def _compare(
    version: Version, actor: User, pictures: list[side_by_side.GivenPicture]
) -> side_by_side.AnswerComparison:
    return side_by_side.start(
        one=version, other=None, endpoint=Endpoint.objects.get(), actor=actor, test_set=False,
        given=pictures,
    )  # fmt: skip


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.not_quick
def test_the_pictures_of_somebody_elses_comparison_are_counted_and_not_shown(
    two: Pair,
    models: Models,
    closed: User,
    user_in: Callable[[str], Any],
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    (tmp_path / "sample.png").write_bytes(_png(3))
    operator = user_in("operator")
    models.said[two[0].target_model, _png(1)] = "three"
    pictures = [_give(1, "hush.png", "hush", operator), _give(2, "also.png", "", operator)]
    comparison = _compare(two[0], operator, pictures)
    whole = _run(comparison)
    assert whole.total > 2
    with guarded.reading_as(closed):
        found = side_by_side.result(comparison)
    assert (found.total, found.hidden, len(found.lines)) == (whole.total, 2, whole.total - 2)
    assert found.one_right == whole.one_right
    client = _client(closed)
    for end in ("", "csv/"):
        answer = client.get(f"{comparison.get_absolute_url()}{end}")
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert b"hush" not in body
        assert b"also.png" not in body
    assert "2 pictures that operator-user gave" in " ".join(
        client.get(comparison.get_absolute_url()).content.decode().split()
    )
    shown = _client(operator).get(comparison.get_absolute_url()).content.decode()
    assert "hush.png" in shown
    assert "not shown" not in shown


@pytest.mark.not_quick
def test_a_picture_of_somebody_else_is_neither_sent_nor_given_by_its_digest(
    two: Pair, models: Models, closed: User, user_in: Callable[[str], Any], serving: Endpoint
) -> None:
    operator = user_in("operator")
    picture = _give(1, "hush.png", "", operator)
    client = _client(closed)
    assert client.get(f"/invoke/kept/{picture.sha256}/").status_code == 404
    told = {"endpoint": serving.pk, "version": two[0].pk, "again": picture.sha256}
    answer = client.post("/invoke/run/", told)
    assert answer.status_code == 400
    assert b"no longer kept" in answer.content
    assert b"hush.png" not in answer.content
    with pytest.raises(side_by_side.ComparisonRefused, match="any more"):
        _compare(two[0], closed, [picture])
    with pytest.raises(ExperimentRefused, match="any more"):
        sending.check_pictures(Experiment.Pictures.GIVEN, [], [picture.sha256], closed)
    assert not Invocation.objects.exists()

    # Who gives the same bytes has them, by the name that they give.
    mine = _give(1, "mine.png", "", closed)
    assert mine.sha256 == picture.sha256
    _give(1, "hush.png", "", operator)
    assert client.get(f"/invoke/kept/{picture.sha256}/").status_code == 200
    answer = client.post("/invoke/run/", told, follow=True)
    assert answer.status_code == 200
    assert b"hush.png" not in answer.content
    assert Invocation.objects.get().picture_name == "mine.png"


def test_an_experiment_sends_of_the_pictures_of_calls_ones_own(
    two: Pair, closed: User, user_in: Callable[[str], Any]
) -> None:
    operator = user_in("operator")
    _give(1, "hush.png", "", operator)
    kept = Experiment.Pictures.KEPT
    with pytest.raises(ExperimentRefused, match="No picture"):
        sending.check_pictures(kept, [], [], closed)
    _give(2, "mine.png", "", closed)
    sending.check_pictures(kept, [], [], closed)
    targets: list[Any] = [None]
    mine = sending.payloads(kept, targets, person=closed)
    assert [one.data for one in mine[0]] == [_png(2)]
    assert len(sending.payloads(kept, targets, person=operator)[0]) == 2
    with pytest.raises(ExperimentRefused):  # nobody knows any more whose it is
        sending.payloads(kept, targets)


@pytest.mark.not_quick
def test_who_gave_a_picture_keeps_it_when_somebody_else_forgets_it(
    two: Pair, models: Models, closed: User, user_in: Callable[[str], Any], serving: Endpoint
) -> None:
    client = _client(closed)
    _give(1, "mine.png", "", closed)
    picture = _give(1, "theirs.png", "", user_in("operator"))
    told = {"endpoint": serving.pk, "version": two[0].pk, "again": picture.sha256}
    client.post("/invoke/run/", told)
    answer = client.post(f"/calls/{Invocation.objects.get().pk}/forget/", follow=True)
    assert b"Somebody else has sent the same picture" in answer.content
    assert Picture.objects.get().sha256 == picture.sha256
    assert [one.name for one in PictureGiver.objects.all()] == ["theirs.png"]
    assert client.get(f"/invoke/kept/{picture.sha256}/").status_code == 404


def test_a_list_by_the_api_has_ones_own_calls(
    two: Pair, closed: User, user_in: Callable[[str], Any], serving: Endpoint
) -> None:
    told = {"endpoint": serving, "version": two[0], "state": Invocation.State.DONE}
    operator = user_in("operator")
    for user in (closed, operator, None):
        Invocation.objects.create(created_by=user, **told)
    seen = {}
    for user in (closed, operator):
        secret = secret_of(user, ["read"])
        answer = Client().get("/api/v1/invocations", headers={"authorization": f"Bearer {secret}"})
        seen[user] = [one["created_by"] for one in json.loads(answer.content)["items"]]
    assert seen == {
        closed: [closed.username],
        operator: [None, operator.username, closed.username],
    }


def test_who_saw_calls_sees_everybodys_after_the_migration(db: None) -> None:
    roles.ensure_roles()
    calls = Permission.objects.get(codename="invoke_endpoint")
    seen = Permission.objects.get(codename="view_all_calls")
    Group.objects.create(name="auditors").permissions.add(calls)
    Group.objects.create(name="others")
    person = User.objects.create_user("person")
    person.user_permissions.add(calls)
    seen.delete()  # as in the release before
    migration: Any = importlib.import_module(MIGRATION)
    for _time in range(2):
        migration.give(apps, SimpleNamespace(connection=connection))
    assert set(Group.objects.filter(permissions__codename="view_all_calls")) == set(
        Group.objects.exclude(name="others")
    )
    assert User.objects.get(pk=person.pk).has_perm("invocations.view_all_calls")
