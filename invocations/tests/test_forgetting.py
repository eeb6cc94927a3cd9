"""A picture is forgotten at once, and thumbnails when they were kept long enough."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from activity.models import Event
from core import errors
from endpoints.models import Endpoint
from invocations import forgetting, pictures_kept, side_by_side
from invocations.models import (
    AnswerComparison,
    ComparedPicture,
    Invocation,
    LabelledPicture,
    Picture,
)
from invocations.payload import Payload
from invocations.pictures import NotAPicture
from invocations.recording import Recorded
from invocations.tests.conftest import Objects
from models_catalog.models import Version

SHA256 = "5" * 64
SMALL = b"\xff\xd8small"


@pytest.fixture
def make_call(serving: Endpoint, make_version: Callable[..., Version]) -> Callable[..., Invocation]:
    """Make a call with a picture that is kept in S3."""
    version = make_version()

    def make(**values: Any) -> Invocation:
        default: dict[str, Any] = {
            "endpoint": serving,
            "version": version,
            "target_model": version.target_model,
            "state": Invocation.State.DONE,
            "picture_name": "me.png",
            "picture_sha256": SHA256,
            "thumbnail": SMALL,
            "predictions": [{"label": "three", "probability": 0.75}],
        }
        return Invocation.objects.create(**default | values)

    return make


@pytest.fixture
def picture(db: None, objects: Objects) -> Picture:
    """The picture that they were made with."""
    objects.kept["pictures/1"] = b"all of it"
    return Picture.objects.create(
        sha256=SHA256, name="me.png", data=b"", bucket="b", key="pictures/1", thumbnail=SMALL
    )


def _names(call: Invocation) -> tuple[str, str, bytes]:
    call.refresh_from_db()
    return call.picture_name, call.picture_sha256, bytes(call.thumbnail)


@pytest.mark.not_quick
def test_own_calls_forget_and_the_answers_stay(
    make_call: Callable[..., Invocation],
    picture: Picture,
    objects: Objects,
    client_of: Callable[[str], Client],
    user_in: Callable[[str], User],
) -> None:
    client = client_of("viewer")
    me = User.objects.get(username="viewer-user")
    calls = [make_call(created_by=me), make_call(created_by=me)]
    answer = client.post(f"/calls/{calls[0].pk}/forget/", follow=True)
    assert "The picture is forgotten. The answers stay." in answer.content.decode()
    assert "The picture is forgotten" in answer.content.decode()
    assert [_names(call) for call in calls] == [("", "", b"")] * 2
    assert calls[0].predictions[0]["label"] == "three"
    assert not Picture.objects.exists()
    assert objects.kept == {}
    told = Event.objects.get(action="endpoint.picture_forgotten")
    assert (told.actor, told.parameters["calls"]) == (me, 2)
    # Once more changes nothing, and is not told again.
    assert client.post(f"/calls/{calls[0].pk}/forget/").status_code == 302
    assert Event.objects.filter(action="endpoint.picture_forgotten").count() == 1


def test_what_somebody_else_has_sent_stays_with_their_calls(
    make_call: Callable[..., Invocation],
    picture: Picture,
    objects: Objects,
    user_in: Callable[[str], User],
) -> None:
    me, other, admin = user_in("viewer"), user_in("operator"), user_in("admin")
    mine, theirs = make_call(created_by=me), make_call(created_by=other)
    with pytest.raises(forgetting.NotForgotten, match="Ask them, or an admin"):
        forgetting.forget(call=theirs, actor=me)
    assert forgetting.forget(call=mine, actor=me) == forgetting.Forgotten(1, True, False)
    assert _names(mine) == ("", "", b"")
    assert _names(theirs) == ("me.png", SHA256, SMALL)
    assert objects.kept
    assert forgetting.forget(call=theirs, actor=admin) == forgetting.Forgotten(1, False, False)
    assert objects.kept == {}


def test_comparisons_forget_its_name_too(
    make_call: Callable[..., Invocation], picture: Picture, user_in: Callable[[str], User]
) -> None:
    me, other = user_in("viewer"), user_in("operator")
    call = make_call(created_by=me)
    made = {"one": call.version, "other": call.version, "endpoint": call.endpoint}
    rows = [
        ComparedPicture.objects.create(
            comparison=AnswerComparison.objects.create(**made, created_by=user),
            sha256=SHA256,
            name="me.png",
        )
        for user in (me, other)
    ]
    forgetting.forget(call=call, actor=me)
    mine, theirs = (ComparedPicture.objects.get(pk=row.pk) for row in rows)
    assert (mine.name, mine.sha256) == ("", "")
    assert theirs.name == "me.png", "it is theirs, too"
    assert "me.png" not in "".join(side_by_side.csv_of(mine.comparison))
    with pytest.raises(NotAPicture, match="forgotten"):  # where it was not sent yet
        side_by_side._payload(mine)
    forgetting.forget(call=make_call(created_by=other), actor=user_in("admin"))
    theirs.refresh_from_db()
    assert theirs.name == ""


def test_where_s3_does_not_delete_it_nothing_changes(
    make_call: Callable[..., Invocation],
    picture: Picture,
    objects: Objects,
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = user_in("viewer")
    call = make_call(created_by=me)

    def refuse(**_: object) -> None:
        raise errors.AwsError("S3 did not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(objects, "delete", refuse)
        with pytest.raises(errors.AwsError):
            forgetting.forget(call=call, actor=me)
    assert _names(call) == ("me.png", SHA256, SMALL)
    assert Picture.objects.exists()
    forgetting.forget(call=call, actor=me)
    assert not Picture.objects.exists()


def test_a_call_that_is_under_way_keeps_its_picture(
    make_call: Callable[..., Invocation], user_in: Callable[[str], User]
) -> None:
    me = user_in("viewer")
    call = make_call(created_by=me, state=Invocation.State.LOADING)
    with pytest.raises(forgetting.NotForgotten, match="when it is answered"):
        forgetting.forget(call=call, actor=me)


def test_nothing_of_a_picture_comes_back_that_is_forgotten_while_it_is_looked_at(
    make_call: Callable[..., Invocation],
    picture: Picture,
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list of calls makes the thumbnail of what a program sent, and writes it to the call."""
    me = user_in("viewer")
    call, real = make_call(created_by=me, thumbnail=b""), pictures_kept._readable

    def overtaken(sha256: str) -> Picture | None:
        found = real(sha256)
        forgetting.forget(call=call, actor=me)
        return found

    Picture.objects.update(preview=SMALL)
    monkeypatch.setattr(pictures_kept, "_readable", overtaken)
    pictures_kept.thumbnail_of(Invocation.objects.get(pk=call.pk))
    assert _names(call) == ("", "", b"")


def test_a_call_that_is_under_way_keeps_nothing_that_was_forgotten(
    make_call: Callable[..., Invocation], user_in: Callable[[str], User]
) -> None:
    """Its row is forgotten with the others, before it has kept the picture and its thumbnail."""
    me = user_in("viewer")
    payload = Payload("me.png", "image/png", b"it", "image/png", thumbnail=SMALL, preview=SMALL)
    named = {"created_by": me, "picture_sha256": payload.sha256}
    answered = make_call(**named)
    row = make_call(state=Invocation.State.RUNNING, thumbnail=b"", **named)
    recorded = Recorded(Invocation.objects.get(pk=row.pk))
    forgetting.forget(call=answered, actor=me)
    assert pictures_kept.keep(payload, recorded.uid) is None
    recorded.set_thumbnail(SMALL)
    assert not Picture.objects.exists()
    assert _names(row) == ("", "", b"")


def test_a_copy_in_a_test_set_is_told(
    make_call: Callable[..., Invocation], user_in: Callable[[str], User]
) -> None:
    me = user_in("viewer")
    call = make_call(created_by=me)
    LabelledPicture.objects.create(
        model=call.version.model, version=call.version, invocation=call, label="four",
        predicted="three", probability=0.75, sha256=SHA256, name="me.png", content_type="image/png",
        size=1, data=b"1", thumbnail=b"2",
    )  # fmt: skip
    found = forgetting.forget(call=call, actor=me)
    assert found.in_test_set
    assert "Take it out there" in found.said


def test_thumbnails_go_when_they_were_kept_long_enough(
    make_call: Callable[..., Invocation], settings: Any
) -> None:
    settings.THUMBNAILS_KEPT_DAYS = 3
    old = make_call(created_at=timezone.now() - timedelta(days=3, minutes=1))
    new = make_call(created_at=timezone.now() - timedelta(days=2, hours=23))
    assert pictures_kept.sweep_thumbnails() == 1
    assert _names(old) == ("me.png", SHA256, b"")
    assert _names(new)[2] == SMALL
    # Where the picture was sent again since, it is shown, and not kept with the old call.
    Picture.objects.create(sha256=SHA256, name="me.png", data=b"1", thumbnail=b"2", preview=b"3")
    assert pictures_kept.thumbnail_of(old) == b"2"
    assert _names(old)[2] == b""


def test_how_long_pictures_are_kept_is_a_setting(picture: Picture, settings: Any) -> None:
    Picture.objects.update(used_at=timezone.now() - timedelta(hours=2))
    pictures_kept.sweep()
    assert Picture.objects.exists()
    settings.PICTURES_KEPT_HOURS = 1
    pictures_kept.sweep()
    assert not Picture.objects.exists()
