"""Test sets: "Wrong?" under an answer, what a set holds, its zip, and its end."""

import csv
import html
import io
import re
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connections, transaction
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from activity.models import Event
from core.errors import Throttled
from core.tests import locks
from endpoints.models import Endpoint
from invocations import labelled
from invocations.models import Invocation, LabelledPicture, Picture
from models_catalog import s3
from models_catalog.models import Version

HTMX = {"HTTP_HX_REQUEST": "true"}
JPEG = b"\xff\xd8 a picture"


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    settings.TEST_SETS = True


@pytest.fixture
def call(serving: Endpoint, make_version: Callable[..., Version]) -> Callable[..., Invocation]:
    """Make a call whose picture is kept: ``call(b"bytes")``."""
    version = make_version(report={"artifact": {"labels": ["three", "eight", "nine"]}})

    def make(data: bytes = JPEG, number: int = 0, **values: Any) -> Invocation:
        sha256 = f"{number:064}"
        Picture.objects.get_or_create(
            sha256=sha256,
            defaults={
                "name": "=evil().png",
                "content_type": "image/jpeg",
                "data": data,
                "thumbnail": JPEG,
            },
        )
        default: dict[str, Any] = {
            "endpoint": serving,
            "version": version,
            "target_model": version.target_model,
            "state": Invocation.State.DONE,
            "picture_name": "three.png",
            "picture_sha256": sha256,
            "predictions": [
                {"label": "eight", "probability": 0.75},
                {"label": "three", "probability": 0.25},
            ],
            "latency_ms": 12.0,
        }
        return Invocation.objects.create(**default | values)

    return make


def _text(response: Any) -> str:
    return html.unescape(" ".join(response.content.decode().split()))


def _wrong(call: Invocation) -> str:
    return reverse("invocations:wrong", args=[call.pk])


def _set(call: Invocation, name: str = "test-set") -> str:
    return reverse(f"invocations:{name}", args=[call.version.model.name])


@pytest.mark.not_quick
def test_a_viewer_stores_the_right_label_of_a_wrong_answer(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    page = _text(client.get(answer.get_absolute_url()))
    assert f'href="{_wrong(answer)}"' in page
    form = _text(client.get(_wrong(answer), **HTMX))
    assert '<option value="nine">' in form, "the model's labels are offered"
    assert 'name="other" value="three"' in form
    assert "<html" not in form
    assert ">Store the label</button>" in form
    said = _text(client.post(_wrong(answer), {"other": "three"}, **HTMX))
    assert "this picture is “three”" in said
    row = LabelledPicture.objects.get()
    assert (row.label, row.predicted, row.probability) == ("three", "eight", 0.75)
    assert (row.version, row.model) == (answer.version, answer.version.model)
    assert (bytes(row.data), row.key, row.size) == (JPEG, "", len(JPEG))
    assert row.flagged_by_name == "viewer-user"
    assert Event.objects.get(action="model.answer_flagged").sentence == (
        "Flagged an answer of digits v1 as wrong: it said “eight”, the right label is “three”."
    )
    on_model = _text(client.get(answer.version.model.get_absolute_url()))
    assert f'href="{_set(answer)}"' in on_model
    assert reverse("invocations:test-thumbnail", args=[row.pk]) in on_model
    page = _text(client.get(_set(answer)))
    assert "<strong>three</strong>" in page
    assert f'href="{answer.get_absolute_url()}">eight</a>' in page


@pytest.mark.not_quick
def test_without_javascript_the_form_is_a_page(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    assert "<html" in _text(client.get(_wrong(answer)))
    response = client.post(_wrong(answer), {"label": "  nine "})
    assert response.url == answer.get_absolute_url()
    assert LabelledPicture.objects.get().label == "nine"


def _undo_of(response: Any) -> str:
    """Where the Undo of a flag posts to."""
    (found,) = re.findall(r'action="(/invoke/test-pictures/undo/[^"]+)"', _text(response))
    return str(found)


def _told() -> list[str]:
    return [event.sentence for event in Event.objects.order_by("pk")]


@pytest.mark.parametrize("large", [False, True])
def test_a_new_flag_is_undone(
    store: str,
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    large: bool,
) -> None:
    client, answer = client_of("viewer"), call(bytes(70_000) if large else JPEG)
    undo = _undo_of(client.post(_wrong(answer), {"label": "nine"}, **HTMX))
    response = client.post(undo, {"next": answer.get_absolute_url()}, follow=True)
    assert response.redirect_chain[-1][0] == answer.get_absolute_url()
    assert "The test set of digits is as it was before" in _text(response)
    assert not LabelledPicture.objects.exists()
    assert not list(s3.listing(bucket=store, prefix="test-sets/"))
    assert _told()[-1] == (
        "Took back a flag: the picture with the label “nine” is no longer in the test set of "
        "digits."
    )
    again = _text(client.post(undo, follow=True))
    assert "flagged again or taken out meanwhile" in again
    assert len([one for one in _told() if "Took back" in one]) == 1


@pytest.mark.not_quick
def test_a_changed_label_is_undone_to_the_one_before(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    first, second = call(), call(predictions=[{"label": "nine", "probability": 0.5}])
    client_of("operator").post(_wrong(first), {"label": "nine"})
    before = LabelledPicture.objects.values().get()
    client = client_of("viewer")
    # Without JavaScript: the button is in the toast of the page that follows.
    undo = _undo_of(client.post(_wrong(second), {"label": "three"}, follow=True))
    assert LabelledPicture.objects.get().label == "three"
    client.post(undo)
    assert LabelledPicture.objects.values().get() == before
    assert _told()[-1] == (
        "Took back a flag: a picture in the test set of digits has the label “nine” again."
    )


@pytest.mark.not_quick
def test_what_is_gone_meanwhile_is_not_named_by_an_undo(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    first, second = call(), call()
    operator, client = client_of("operator"), client_of("viewer")
    operator.post(_wrong(first), {"label": "nine"})
    undo = _undo_of(client.post(_wrong(second), {"label": "three"}, **HTMX))
    first.delete()
    User.objects.get(username="operator-user").delete()
    client.post(undo)
    row = LabelledPicture.objects.get()
    assert (row.label, row.invocation, row.flagged_by) == ("nine", None, None)
    assert row.flagged_by_name == "operator-user"


@pytest.mark.not_quick
def test_an_undo_is_for_who_flagged_and_only_while_nobody_flagged_it_again(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, other, answer = client_of("viewer"), client_of("operator"), call()
    undo = _undo_of(client.post(_wrong(answer), {"label": "nine"}, **HTMX))
    assert "Somebody else flagged" in _text(other.post(undo, follow=True))
    assert "cannot be undone any more" in _text(client.post(f"{undo}x", follow=True))
    assert LabelledPicture.objects.get().label == "nine"
    other.post(_wrong(answer), {"label": "three"})
    assert "flagged again" in _text(client.post(undo, follow=True))
    assert LabelledPicture.objects.get().label == "three"


def test_a_flag_that_cannot_be_told_is_not_kept(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the process ends between the two: none is without its event."""
    viewer, first = user_in("viewer"), call()
    real = labelled.record

    def killed(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(labelled, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        labelled.flag(invocation=first, label="nine", actor=viewer)
    assert not LabelledPicture.objects.exists()
    monkeypatch.setattr(labelled, "record", real)
    labelled.flag(invocation=first, label="nine", actor=viewer)
    undo = labelled.flag(invocation=first, label="three", actor=viewer).undo
    monkeypatch.setattr(labelled, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        labelled.flag(invocation=first, label="nine", actor=viewer)
    with pytest.raises(KeyboardInterrupt):
        labelled.take_back(undo=undo, actor=viewer)
    with pytest.raises(KeyboardInterrupt):
        labelled.remove(row=LabelledPicture.objects.get(), actor=viewer)
    assert LabelledPicture.objects.get().label == "three"


def test_an_undo_that_another_flag_overtakes_tells_nothing(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer, first = user_in("viewer"), call()
    labelled.flag(invocation=first, label="nine", actor=viewer)
    undo = labelled.flag(invocation=first, label="three", actor=viewer).undo
    real = labelled._flagged_by

    def overtaken(*asked: Any) -> Any:
        found = real(*asked)
        labelled.flag(invocation=first, label="eight or so", actor=viewer)
        return found

    monkeypatch.setattr(labelled, "_flagged_by", overtaken)
    with pytest.raises(labelled.NothingToUndo, match="flagged again"):
        labelled.take_back(undo=undo, actor=viewer)
    assert LabelledPicture.objects.get().label == "eight or so"
    assert not Event.objects.filter(action="model.flag_restored").exists()


def test_a_new_flag_that_another_one_overtakes_keeps_its_picture(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer, first = user_in("viewer"), call()
    undo = labelled.flag(invocation=first, label="nine", actor=viewer).undo
    LabelledPicture.objects.update(bucket="b", key="k", data=b"")
    real, deleted = labelled._flagged_by, []

    def overtaken(*asked: Any) -> Any:
        found = real(*asked)
        labelled.flag(invocation=first, label="three", actor=viewer)
        return found

    monkeypatch.setattr(labelled, "_flagged_by", overtaken)
    monkeypatch.setattr(s3, "delete", lambda **asked: deleted.append(asked))
    with pytest.raises(labelled.NothingToUndo, match="flagged again"):
        labelled.take_back(undo=undo, actor=viewer)
    assert deleted == []
    assert LabelledPicture.objects.get().label == "three"
    assert not Event.objects.filter(action="model.flag_undone").exists()


def _then(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have ``act`` done right after the next flag is committed, before who flagged is answered."""
    real = labelled.record

    def followed(**told: Any) -> Any:
        monkeypatch.setattr(labelled, "record", real)
        transaction.on_commit(act)
        return real(**told)

    monkeypatch.setattr(labelled, "record", followed)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [False, True])
def test_an_undo_takes_no_flag_back_that_followed_at_once(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    viewer, operator, first = user_in("viewer"), user_in("operator"), call()
    if again:
        labelled.flag(invocation=first, label="three", actor=operator)
    _then(monkeypatch, lambda: labelled.flag(invocation=first, label="ten", actor=operator))
    undo = labelled.flag(invocation=first, label="nine", actor=viewer).undo
    with pytest.raises(labelled.NothingToUndo, match="flagged again"):
        labelled.take_back(undo=undo, actor=viewer)
    row = LabelledPicture.objects.get()
    assert (row.label, row.flagged_by) == ("ten", operator)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [False, True])
def test_a_picture_that_is_taken_out_right_after_its_flag_was_flagged(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    """Who flagged it got an error of the server."""
    client, admin, first = client_of("viewer"), user_in("admin"), call()
    if again:
        labelled.flag(invocation=first, label="three", actor=admin)
    empty = partial(labelled.empty, model=first.version.model, actor=admin)
    _then(monkeypatch, empty)
    said = _text(client.post(_wrong(first), {"label": "nine"}, **HTMX))
    assert "“nine”" in said
    assert not LabelledPicture.objects.exists()


def test_a_picture_that_others_stored_and_took_out_meanwhile_is_refused(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    objects: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The set has it when it is to be stored, and not when its label is to be changed."""
    first, refused = call(bytes(70_000)), []

    def taken(**_: Any) -> None:
        raise IntegrityError

    def away(**asked: Any) -> None:
        refused.append(asked["key"])
        raise Throttled("S3 is away.")

    monkeypatch.setattr(LabelledPicture.objects, "create", taken)
    monkeypatch.setattr(labelled, "s3", objects)
    monkeypatch.setattr(objects, "delete", away)
    with pytest.raises(labelled.FlagRefused, match="taken out meanwhile"):
        labelled.flag(invocation=first, label="nine", actor=user_in("viewer"))
    assert refused == list(objects.kept), "the sweep deletes it later"


@pytest.mark.django_db(transaction=True)
def test_an_undo_waits_for_a_flag_that_is_being_written(
    call: Callable[..., Invocation],
    user_in: Callable[[str], User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer, first = user_in("viewer"), call()
    undo = labelled.flag(invocation=first, label="nine", actor=viewer).undo
    read, writing, real = threading.Event(), threading.Event(), labelled._flagged_by
    said: list[str] = []

    def overtaken(*asked: Any) -> Any:
        found = real(*asked)
        read.set()
        assert writing.wait(20)
        return found

    def take_back() -> None:
        try:
            labelled.take_back(undo=undo, actor=viewer)
        except labelled.NothingToUndo as problem:
            said.append(str(problem))
        finally:
            connections.close_all()

    monkeypatch.setattr(labelled, "_flagged_by", overtaken)
    worker = threading.Thread(target=take_back)
    worker.start()
    assert read.wait(20)
    with transaction.atomic():
        labelled.flag(invocation=first, label="three", actor=viewer)
        writing.set()
        locks.wait_for_waiter()
    worker.join(20)
    assert [text.partition(".")[0] for text in said] == [
        "The picture was flagged again or taken out meanwhile"
    ]
    assert LabelledPicture.objects.get().label == "three"


@pytest.mark.not_quick
def test_a_picture_that_s3_keeps(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who takes it out is told; an undo leaves an object that nothing names, for the sweep."""
    client, answer = client_of("viewer"), call()
    undo = _undo_of(client.post(_wrong(answer), {"label": "nine"}, **HTMX))
    row = LabelledPicture.objects.get()
    LabelledPicture.objects.update(bucket="b", key="k", data=b"")

    def away(**asked: Any) -> None:
        raise Throttled("S3 is away.")

    monkeypatch.setattr(s3, "delete", away)
    remove = reverse("invocations:test-picture-remove", args=[row.pk])
    assert "is kept. Try again." in _text(client.post(remove, follow=True))
    assert LabelledPicture.objects.count() == 1
    assert "Undone." in _text(client.post(undo, follow=True))
    assert LabelledPicture.objects.count() == 0


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_who_flagged_a_picture_or_an_admin_takes_it_out(
    call: Callable[..., Invocation], client_of: Callable[[str], Client], role: str
) -> None:
    first, second = call(), call(number=1)
    viewer = client_of("viewer")
    client = viewer if role == "viewer" else client_of(role)
    viewer.post(_wrong(first), {"label": "nine"})
    viewer.post(_wrong(second), {"label": "three"})
    stays, goes = LabelledPicture.objects.order_by("pk")
    remove = reverse("invocations:test-picture-remove", args=[goes.pk])
    assert f'href="{remove}"' in _text(client.get(_set(first)))
    assert "Right label: <strong>three</strong>" in _text(client.get(remove))
    response = client.post(remove, follow=True)
    assert response.redirect_chain[-1][0] == _set(first)
    assert "a picture with the label “three”" in _text(response)
    assert LabelledPicture.objects.get() == stays
    assert _told()[-1] == "Took a picture with the label “three” out of the test set of digits."


def test_another_person_takes_no_picture_out(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client_of("viewer").post(_wrong(answer := call()), {"label": "nine"})
    row = LabelledPicture.objects.get()
    remove, client = (
        reverse("invocations:test-picture-remove", args=[row.pk]),
        client_of("operator"),
    )
    assert remove not in _text(client.get(_set(answer)))
    refused = client.post(remove)
    assert refused.status_code == 403
    assert "take out a picture that somebody else flagged" in _text(refused)
    assert LabelledPicture.objects.exists()


def test_a_picture_has_one_right_label(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    client.post(_wrong(answer), {"label": "nine"}, **HTMX)
    assert "It is now “three”" in _text(client.post(_wrong(answer), {"label": "three"}, **HTMX))
    assert LabelledPicture.objects.get().label == "three"


@pytest.mark.parametrize(
    ("label", "change", "says"),
    [
        ("", {}, "Choose or type the right label"),
        ("x" * 201, {}, "more than 200 characters"),
        ("eight", {}, "answered “eight” itself"),
        ("nine", {"state": "failed", "predictions": []}, "no answer that could be wrong"),
        ("nine", {"picture_sha256": "f" * 64}, "no longer kept"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    label: str,
    change: dict[str, Any],
    says: str,
) -> None:
    answer = call(**change)
    response = client_of("viewer").post(_wrong(answer), {"label": label})
    assert response.status_code == 400
    assert says in _text(response)
    assert not LabelledPicture.objects.exists()


@pytest.mark.not_quick
def test_switched_off_nothing_is_offered_or_stored_and_the_set_stays(
    call: Callable[..., Invocation], client_of: Callable[[str], Client], settings: Any
) -> None:
    client, answer = client_of("viewer"), call()
    client.post(_wrong(answer), {"label": "nine"})
    settings.TEST_SETS = False
    assert _wrong(answer) not in _text(client.get(answer.get_absolute_url()))
    assert "switched off" in _text(client.post(_wrong(answer), {"label": "three"}))
    assert LabelledPicture.objects.get().label == "nine"
    assert "nine" in _text(client.get(_set(answer)))


@pytest.mark.not_quick
@pytest.mark.parametrize(("setting", "most"), [("TEST_SET_PICTURES", 1), ("TEST_SET_MB", 0)])
def test_a_full_set_takes_no_more_and_labels_still_change(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    settings: Any,
    setting: str,
    most: int,
) -> None:
    client, first, second = client_of("viewer"), call(), call(number=1)
    client.post(_wrong(first), {"label": "nine"})
    setattr(settings, setting, most)
    assert "is full" in _text(client.post(_wrong(second), {"label": "nine"}))
    client.post(_wrong(first), {"label": "three"})
    assert LabelledPicture.objects.get().label == "three"


def test_large_pictures_lie_in_s3_and_go_with_their_row(
    store: str, call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    data = JPEG + bytes(labelled.INLINE_BYTES)
    answer = call(data)
    client = client_of("admin")
    client.post(_wrong(answer), {"label": "nine"})
    row = LabelledPicture.objects.get()
    assert (bytes(row.data), row.size) == (b"", len(data))
    assert row.key.startswith("test-sets/digits/")
    response = client.get(reverse("invocations:test-picture", args=[row.pk]))
    assert (response.content, response["Content-Type"]) == (data, "image/jpeg")
    assert "Pictures to delete, with their labels: 1" in _text(
        client.get(_set(answer, "test-set-empty"))
    )
    assert client.post(_set(answer, "test-set-empty")).url == _set(answer)
    assert not LabelledPicture.objects.exists()
    assert not list(s3.listing(bucket=store, prefix="test-sets/"))
    assert Event.objects.order_by("pk").last().sentence == (  # type: ignore[union-attr]
        "Emptied the test set of digits (pictures deleted: 1)."
    )


@pytest.mark.not_quick
def test_s3_away_keeps_the_rows_and_says_so(
    call: Callable[..., Invocation],
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, answer = client_of("admin"), call()
    client.post(_wrong(answer), {"label": "nine"})
    LabelledPicture.objects.update(bucket="b", key="k", data=b"")

    def away(**asked: Any) -> None:
        raise Throttled("S3 is away.")

    monkeypatch.setattr(s3, "delete", away)
    page = _text(client.post(_set(answer, "test-set-empty"), follow=True))
    assert "the rest is kept" in page
    assert LabelledPicture.objects.count() == 1
    monkeypatch.setattr(s3, "upload", away)
    refused = client.post(_wrong(call(bytes(70_000), number=1)), {"label": "nine"})
    assert "S3 is away." in _text(refused)
    assert LabelledPicture.objects.count() == 1


def test_the_zip_has_the_pictures_and_a_table_without_formulas(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    client.post(_wrong(answer), {"label": '=HYPERLINK("http://evil.example")'})
    response = client.get(_set(answer, "test-set-download"))
    assert response["Content-Disposition"] == 'attachment; filename="digits-test-set.zip"'
    packed = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))  # type: ignore[attr-defined]
    picture = "pictures/00001-000000000000.jpg"
    assert packed.namelist() == [picture, "labels.csv"]
    assert packed.read(picture) == JPEG
    lines = list(csv.DictReader(io.StringIO(packed.read("labels.csv").decode("utf-8-sig"))))
    assert [line["file"] for line in lines] == [picture]
    assert lines[0]["label"] == '\'=HYPERLINK("http://evil.example")'
    assert lines[0]["name"] == "'=evil().png"
    assert (lines[0]["predicted"], lines[0]["version"]) == ("eight", "digits v1")


def test_a_picture_that_is_taken_out_meanwhile_does_not_cut_the_zip_short(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    client.post(_wrong(answer), {"label": "nine"})
    client.post(_wrong(call(b"another", number=1)), {"label": "three"})
    parts = labelled.archive(answer.version.model)
    first = next(parts)
    LabelledPicture.objects.order_by("-pk")[0].delete()
    packed = zipfile.ZipFile(io.BytesIO(first + b"".join(parts)))
    assert len(packed.namelist()) == 2
    lines = list(csv.DictReader(io.StringIO(packed.read("labels.csv").decode("utf-8-sig"))))
    assert [line["label"] for line in lines] == ["nine"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_empty_a_set(
    call: Callable[..., Invocation], client_of: Callable[[str], Client], role: str
) -> None:
    client, answer = client_of(role), call()
    client.post(_wrong(answer), {"label": "nine"})
    assert _set(answer, "test-set-empty") not in _text(client.get(_set(answer)))
    assert client.post(_set(answer, "test-set-empty")).status_code == 403
    assert LabelledPicture.objects.exists()


def test_who_leaves_stays_by_name_and_a_model_with_a_set_is_not_deleted(
    call: Callable[..., Invocation], client_of: Callable[[str], Client]
) -> None:
    client, answer = client_of("viewer"), call()
    client.post(_wrong(answer), {"label": "nine"})
    assert answer.created_by is None
    LabelledPicture.objects.get().flagged_by.delete()  # type: ignore[union-attr]
    row = LabelledPicture.objects.get()
    assert (row.flagged_by, row.flagged_by_name) == (None, "viewer-user")
    answer.endpoint.delete()
    assert LabelledPicture.objects.get().invocation is None
    with pytest.raises(ProtectedError):
        answer.version.model.delete()
