"""Pictures of one's own on one version or two: kept, sent in the background, with right labels."""

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from activity.models import Event
from core import clock, errors, spreadsheet
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations import given, pictures_kept, side_by_side
from invocations.models import AnswerComparison, ComparedPicture, Invocation, Picture, PictureGiver
from invocations.payload import Payload
from invocations.tests.conftest import Objects
from invocations.tests.test_side_by_side import Models, _png, _run, models, two, viewer
from models_catalog.models import Version
from tests.bearer import secret_of

__all__ = ["models", "two", "viewer"]
Pair = tuple[Version, Version]
HTMX = {"HTTP_HX_REQUEST": "true"}
State = AnswerComparison.State


def _kept(shade: int, name: str, label: str = "") -> side_by_side.GivenPicture:
    viewer = User.objects.get(username="viewer-user")
    (found,) = given.keep([(io.BytesIO(_png(shade)), name)], lambda _name: label, viewer)
    return found


def _alone(
    version: Version, actor: User, pictures: list[side_by_side.GivenPicture]
) -> AnswerComparison:
    return side_by_side.start(
        one=version, other=None, endpoint=Endpoint.objects.get(), actor=actor, test_set=False,
        with_samples=False, given=pictures,
    )  # fmt: skip


@pytest.mark.not_quick
def test_one_version_is_called_alone_and_what_is_wrong_comes_first(
    two: Pair, models: Models, viewer: User
) -> None:
    target = two[0].target_model
    models.said[target, _png(2)] = "three"
    models.said[target, _png(4)] = errors.ModelFailed("no picture", status=400)
    pictures = [
        _kept(1, "a.png", "eight"), _kept(2, "b.png", "eight"), _kept(3, "c.png"),
        _kept(4, "d.png", "eight"),
    ]  # fmt: skip
    comparison = _alone(two[0], viewer, pictures)
    assert comparison.alone
    found = _run(comparison)
    assert comparison.state == State.DONE
    assert models.asked == [(target, _png(shade)) for shade in (1, 2, 3, 4)]
    assert [(line.picture.name, line.kind) for line in found.lines] == [
        ("b.png", "wrong"), ("d.png", "error"), ("a.png", "right"), ("c.png", "answered"),
    ]  # fmt: skip
    assert (found.one_right.count, found.one_right.of, found.sent) == (1, 2, 4)
    assert found.agreement.of == 0
    assert Invocation.objects.count() == 4
    said = side_by_side.confusion(found.lines, "one")
    assert said is not None
    assert (said.labels, said.counts) == (
        ["eight", "three"], [("eight", [1, 1]), ("three", [0, 0])],
    )  # fmt: skip
    assert said.mistakes == [("eight", "three", 1)]
    event = Event.objects.get(action=side_by_side.REQUESTED_OF_ONE)
    assert "Had digits v1 called with many pictures on demo (pictures: 4)" in event.sentence


def test_of_many_labels_the_commonest_mistakes_are_told(
    two: Pair, models: Models, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "MOST_LABELS", 1)
    found = _run(_alone(two[0], viewer, [_kept(1, "a.png", "x"), _kept(2, "b.png", "x")]))
    said = side_by_side.confusion(found.lines, "one")
    assert said is not None
    assert (said.labels, said.counts, said.mistakes) == ([], [], [("x", "eight", 2)])
    assert side_by_side.confusion([], "one") is None


def test_a_picture_that_is_no_longer_kept_is_said(two: Pair, models: Models, viewer: User) -> None:
    picture = _kept(1, "a.png")
    comparison = _alone(two[0], viewer, [picture, _kept(2, "b.png")])
    Picture.objects.filter(sha256=picture.sha256).delete()
    found = _run(comparison)
    assert [line.kind for line in found.lines] == ["error", "answered"]
    assert "no longer kept" in str(found.lines[0].one and found.lines[0].one.said)
    with pytest.raises(side_by_side.ComparisonRefused, match="any more"):
        _alone(two[0], viewer, [picture])


def test_a_picture_that_is_deleted_while_a_comparison_begins_is_said(
    two: Pair, models: Models, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, real = [_kept(1, "a.png"), _kept(2, "b.png")], pictures_kept.names_of

    def overtaken(*asked: Any) -> dict[str, str]:
        found = real(*asked)
        Picture.objects.filter(sha256=pictures[0].sha256).delete()
        return found

    monkeypatch.setattr(pictures_kept, "names_of", overtaken)
    with pytest.raises(side_by_side.ComparisonRefused, match="that are not kept"):
        _alone(two[0], viewer, pictures)


def test_what_is_given_is_kept_for_a_day_and_deleted_then(
    two: Pair, models: Models, viewer: User, objects: Objects
) -> None:
    noise = bytes(range(256)) * 300
    large = Payload("large.png", "image/png", noise, "image/png", thumbnail=b"t", preview=b"p")
    sha256 = pictures_kept.keep_now(large, viewer)
    assert list(objects.kept.values()) == [noise], "in the store when it returns"
    old = clock.now() - timedelta(hours=23)
    Picture.objects.update(used_at=old)
    pictures_kept.keep_now(large, viewer)
    Picture.objects.update(used_at=old)
    _alone(two[0], viewer, [side_by_side.GivenPicture(sha256)])
    assert Picture.objects.get().used_at > old, "for a day from the comparison's start"
    Picture.objects.update(used_at=clock.now() - Picture.kept_for() - timedelta(seconds=1))
    PictureGiver.objects.update(at=clock.now() - Picture.kept_for() - timedelta(seconds=1))
    pictures_kept.sweep()
    assert not Picture.objects.exists()
    assert not PictureGiver.objects.exists(), "and nobody knows any more who gave it"
    assert not objects.kept


@pytest.mark.parametrize("by", ["a call", "a comparison"])
def test_a_picture_that_is_deleted_while_it_is_sent_again_is_kept_anew(
    viewer: User, objects: Objects, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    payload = Payload("a.png", "image/png", b"it", "image/png", thumbnail=b"t", preview=b"p")
    pictures_kept.keep_now(payload, viewer)

    class Sweeping:
        """The sweep comes between the look for the picture and the write of its new time."""

        def now(self) -> Any:
            monkeypatch.setattr(pictures_kept, "clock", clock)
            Picture.objects.all().delete()
            return clock.now()

    monkeypatch.setattr(pictures_kept, "clock", Sweeping())
    if by == "a call":
        assert pictures_kept.keep(payload) is not None
    else:
        pictures_kept.keep_now(payload, viewer)
    assert bytes(Picture.objects.get().data) == b"it"


def test_a_store_that_takes_nothing_is_told(
    two: Pair, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def upload(self, **_values: Any) -> None:
            raise errors.Throttled(phrase("S3 does not answer."))

    monkeypatch.setattr(pictures_kept, "s3", Away())
    with pytest.raises(errors.Throttled):
        pictures_kept.keep_now(
            Payload("a", "image/png", bytes(70_000), "image/png", thumbnail=b"t", preview=b"p"),
            viewer,
        )
    assert not Picture.objects.exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("three_01.png", "three"), ("three (2).png", "three"), ("three-7.png", "three"),
        ("tabby cat.jpg", "tabby cat"), ("7.png", "7"), ("7_02.png", "7"), ("three.png", "three"),
    ],
)  # fmt: skip
def test_a_files_name_says_its_label(name: str, label: str) -> None:
    assert given.label_of_name(name) == label


def test_a_csv_says_labels_with_and_without_a_header() -> None:
    known = {"a.png": "three", "x/b.png": "nine"}
    with_header = "\ufefflabel,name\nthree,a.png\n\nnine,x/b.png\n".encode()
    assert given.labels_of_csv(with_header, "l.csv") == known
    assert given.labels_of_csv(b"a.png,three\nx/b.png,nine\n", "l.csv") == known
    label_of = given.by_name(known)
    assert [label_of(name) for name in ("a.png", "b.png", "c.png")] == ["three", "nine", ""]
    for data, said in (
        *((b"\xff\xfe\x00", "UTF-8"), (b"a.png\n", "line 1"), (b"a.png,\n", "line 1")),
        *((b",three\n", "line 1"), (b"a.png,three\na.png,nine\n", "a.png has two labels")),
    ):
        with pytest.raises(side_by_side.ComparisonRefused, match=said):
            given.labels_of_csv(data, "l.csv")


def test_a_name_in_two_folders_has_the_label_of_its_folder_or_none() -> None:
    label_of = given.by_name({"a/7.png": "x", "b/7.png": "y", "a/8.png": "z"})
    names = ("a/7.png", "pictures/b/7.png", "7.png", "c/7.png", "8.png")
    assert [label_of(name) for name in names] == ["x", "y", "", "", "z"]


def _post(client: Client, two: Pair, **values: Any) -> Any:
    data = {"endpoint": Endpoint.objects.get().pk, "version": two[0].pk} | values
    return client.post("/invoke/run/", data, **values.pop("headers", {}))


def test_the_folders_of_pictures_are_their_labels_where_the_page_tells_them(
    two: Pair, models: Models, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    files = [_file(1, "1.png"), _file(2, "1.png")]
    _post(client, two, picture=files, labels="folders", folder=["eight", "three"])
    comparison = AnswerComparison.objects.get()
    assert [(row.name, row.label) for row in comparison.pictures.all()] == [
        ("eight/1.png", "eight"), ("three/1.png", "three"),
    ]  # fmt: skip
    files = [_file(1, "1.png"), _file(2, "1.png")]
    answer = _post(client, two, picture=files, labels="folders")
    assert answer.status_code == 400
    assert "The pictures are in no folder." in answer.content.decode()
    assert AnswerComparison.objects.count() == 1


def _file(shade: int, name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, _png(shade), "image/png")


@pytest.mark.not_quick
def test_several_pictures_on_the_page_lead_to_the_page_of_their_answers(
    two: Pair, models: Models, client_of: Callable[[str], Client]
) -> None:
    client = client_of("viewer")
    files = [_file(1, "eight_1.png"), _file(2, "three_1.png")]
    answer = _post(client, two, picture=files, also=[two[1].pk], labels="names")
    comparison = AnswerComparison.objects.get()
    assert answer["Location"] == comparison.get_absolute_url()
    assert [(row.name, row.label) for row in comparison.pictures.all()] == [
        ("eight_1.png", "eight"), ("three_1.png", "three"),
    ]  # fmt: skip
    page = client.get(comparison.get_absolute_url()).content.decode()
    assert f"/invoke/kept/{comparison.pictures.all()[0].sha256}/" in page
    assert "Stop" in page
    models.said[two[1].target_model, _png(2)] = "three"
    _run(comparison)
    page = client.get(comparison.get_absolute_url()).content.decode()
    assert page.count("Right and given labels: digits v") == 4  # of either, and its table's name
    assert "They differ" in page
    assert "/thumbnail/" in page
    labels = SimpleUploadedFile("right.csv", b"name,label\neight_1.png,nine\n", "text/csv")
    files = [_file(1, "eight_1.png"), _file(2, "three_1.png")]
    data = {"endpoint": Endpoint.objects.get().pk, "version": two[0].pk}
    answer = client.post(
        "/invoke/run/",
        data | {"picture": files, "label_file": labels},
        **HTMX,  # type: ignore[arg-type]
    )
    comparison = AnswerComparison.objects.order_by("-pk")[0]
    assert (answer.status_code, answer["HX-Redirect"]) == (204, comparison.get_absolute_url())
    assert [row.label for row in comparison.pictures.all()] == ["nine", ""]
    _run(comparison)
    page = client.get(comparison.get_absolute_url()).content.decode()
    assert "Called with many pictures" in page
    assert "<strong>Wrong</strong>" in page
    assert "Right: digits v2" not in page
    text = b"".join(client.get(f"{comparison.get_absolute_url()}csv/")).decode()  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(spreadsheet.BYTE_ORDER_MARK))))
    assert [(row["picture"], row["result"]) for row in rows] == [
        ("eight_1.png", "wrong"), ("three_1.png", "answered"),
    ]  # fmt: skip
    assert "other_answer" not in rows[0]


@pytest.mark.not_quick
def test_a_nul_in_a_label_or_a_folder_is_stored_as_another_character(
    two: Pair, models: Models, client_of: Callable[[str], Client]
) -> None:
    """PostgreSQL takes no text with one."""
    labels = SimpleUploadedFile("right.csv", b"one.png,ei\0ght\ntwo.png,three\n", "text/csv")
    files = [_file(1, "one.png"), _file(2, "two.png")]
    client = client_of("viewer")
    answer = _post(client, two, picture=files, label_file=labels, folder=["a\0b", "c"])
    assert answer.status_code == 302
    assert [(row.name, row.label) for row in ComparedPicture.objects.order_by("pk")] == [
        ("a\ufffdb/one.png", "ei\ufffdght"), ("c/two.png", "three"),
    ]  # fmt: skip


@pytest.mark.not_quick
def test_what_several_pictures_cannot_be_is_said_and_nothing_is_called(
    two: Pair,
    models: Models,
    make_version: Callable[..., Version],
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_of("viewer")
    third = make_version(number=3)

    def said(files: list[SimpleUploadedFile], **values: Any) -> str:
        return str(_post(client, two, picture=files, **values).content.decode())

    both = [_file(1, "a.png"), _file(2, "b.png")]
    assert "to one version, or to two" in said(both, also=[two[1].pk, third.pk])
    text = SimpleUploadedFile("note.jpg", b"just text")
    assert "note.jpg is not a picture" in said([_file(1, "a.png"), text])
    monkeypatch.setattr(side_by_side, "MOST_PICTURES", 1)
    assert "At most 1 pictures" in said([_file(1, "a.png"), _file(2, "b.png")])
    assert not AnswerComparison.objects.exists()
    assert models.asked == []


def _ask(user: User, method: str, path: str, data: Any = b"", kind: str = "image/png") -> Any:
    secret = secret_of(user, ("read", "invoke"))
    headers = {"Authorization": f"Bearer {secret}"}
    if not isinstance(data, bytes):
        data, kind = json.dumps(data), "application/json"
    return Client().generic(method, f"/api/v1{path}", data, kind, headers=headers)


@pytest.mark.not_quick
def test_the_api_takes_pictures_one_by_one(two: Pair, models: Models, viewer: User) -> None:
    shas = []
    for shade in (1, 2):
        answer = _ask(viewer, "POST", f"/pictures?name={shade}.png", _png(shade))
        assert answer.status_code == 200, answer.content
        shas.append(json.loads(answer.content)["sha256"])
    assert _ask(viewer, "POST", "/pictures", b"just text").status_code == 422
    assert _ask(viewer, "POST", "/pictures").status_code == 422
    wanted = {
        "one": "digits:1", "endpoint": "demo",
        "pictures": [
            {"sha256": sha, "label": label}
            for sha, label in zip(shas, ("eight", "nine"), strict=True)
        ],
    }  # fmt: skip
    made = json.loads(_ask(viewer, "POST", "/comparisons", wanted).content)
    assert made["confusion"] == {"one": None, "other": None}, "nothing was answered yet"
    assert (made["alone"], made["total"]) == (True, 2)
    _run(AnswerComparison.objects.get())
    found = json.loads(_ask(viewer, "GET", f"/comparisons/{made['id']}").content)
    assert found["one"] == {"model": "digits", "number": 1, "right": 1, "labelled": 2}
    assert found["confusion"] == {
        "one": {
            "labels": ["eight", "nine"],
            "counts": [[1, 0], [1, 0]],
            "mistakes": [{"label": "nine", "answered": "eight", "pictures": 1}],
        },
        "other": None,
    }
    told = [
        tuple(one[name] for name in ("name", "source", "result", "other"))
        for one in found["pictures"]
    ]
    assert told == [("2.png", "given", "wrong", None), ("1.png", "given", "right", None)]
    gone = wanted | {"pictures": [{"sha256": "f" * 64}]}
    answer = _ask(viewer, "POST", "/comparisons", gone)
    assert answer.status_code == 422
    assert "not kept" in str(json.loads(answer.content)["errors"]["pictures"])
    many = wanted | {"pictures": [{"sha256": shas[0]}] * 201}
    assert _ask(viewer, "POST", "/comparisons", many).status_code == 422


@pytest.mark.not_quick
def test_comparisons_are_listed_stopped_and_deleted_by_who_may(
    two: Pair,
    models: Models,
    viewer: User,
    user_in: Callable[[str], User],
    client_of: Callable[[str], Client],
) -> None:
    comparison = _alone(two[0], viewer, [_kept(1, "a.png"), _kept(2, "b.png")])
    side_by_side.step(comparison_pk=comparison.pk)
    path = f"/comparisons/{comparison.uid}"
    (listed,) = json.loads(_ask(viewer, "GET", "/comparisons").content)["items"]
    assert (listed["one"], listed["other"], listed["total"], listed["state"]) == (
        "digits:1", "", 2, "running",
    )  # fmt: skip
    operator = user_in("operator")
    assert _ask(operator, "POST", f"{path}/stop").status_code == 403
    assert _ask(operator, "DELETE", path).status_code == 403
    stopped = json.loads(_ask(viewer, "POST", f"{path}/stop").content)
    assert (stopped["state"], stopped["sent"]) == ("stopped", 1)
    assert json.loads(_ask(viewer, "POST", f"{path}/stop").content)["state"] == "stopped"
    assert Event.objects.filter(action="comparison.stopped").count() == 1
    _run(comparison)
    assert len(models.asked) == 1, "no more pictures are sent"
    assert comparison.state == State.STOPPED
    assert _ask(user_in("admin"), "DELETE", path).status_code == 204
    assert not ComparedPicture.objects.exists()
    assert Invocation.objects.count() == 1, "the calls stay"
    assert _ask(viewer, "GET", path).status_code == 404


def test_a_stop_ends_the_job_that_waits_for_an_answer(
    two: Pair, models: Models, viewer: User
) -> None:
    comparison = _alone(two[0], viewer, [_kept(1, "a.png"), _kept(2, "b.png")])
    real = models.invoke

    def stops(**call: Any) -> Any:
        side_by_side.stop(comparison=comparison, actor=viewer)
        return real(**call)

    models.invoke = stops  # type: ignore[method-assign]
    from invocations import runtime

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runtime, "invoke", stops)
        found = _run(comparison)
    assert comparison.state == State.STOPPED
    assert [line.kind for line in found.lines] == ["open", "open"]
    assert Invocation.objects.count() == 1, "its answer is in the list of calls"


@pytest.mark.not_quick
def test_the_pages_list_stop_and_delete(
    two: Pair, models: Models, client_of: Callable[[str], Client], user_in: Callable[[str], User]
) -> None:
    client = client_of("viewer")
    assert "No comparisons yet" in client.get("/invoke/comparisons/").content.decode()
    _post(client, two, picture=[_file(1, "a.png"), _file(2, "b.png")])
    comparison = AnswerComparison.objects.get()
    address = comparison.get_absolute_url()
    page = client.get("/invoke/comparisons/").content.decode()
    assert f'href="{address}"' in page
    others = client_of("operator")
    assert others.post(f"{address}stop/").status_code == 403
    assert others.get(f"{address}delete/").status_code == 403
    assert "Delete</a>" not in " ".join(others.get(address).content.decode().split())
    assert client.post(f"{address}stop/")["Location"] == address
    comparison.refresh_from_db()
    assert comparison.state == State.STOPPED
    assert "hx-trigger" not in client.get(address, **HTMX).content.decode()  # type: ignore[arg-type]
    assert "Delete the comparison" in client.get(f"{address}delete/").content.decode()
    assert client.post(f"{address}delete/")["Location"] == "/invoke/comparisons/"
    assert not AnswerComparison.objects.exists()


def test_room_is_looked_for_under_a_lock(two: Pair, models: Models, viewer: User) -> None:
    """Of two requests at a time the second counts what the first has begun."""
    if not connection.features.has_select_for_update:
        mode = connection.settings_dict["OPTIONS"].get("transaction_mode")
        assert mode == "IMMEDIATE", "SQLite takes its one lock as the transaction begins"
    with CaptureQueriesContext(connection) as queries:
        _alone(two[0], viewer, [_kept(1, "a.png")])
    told = [query["sql"] for query in queries]
    begins = next(at for at, sql in enumerate(told) if sql.startswith(("SAVEPOINT", "BEGIN")))
    counts = next(at for at, sql in enumerate(told) if "COUNT(*)" in sql and "state" in sql)
    writes = next(at for at, sql in enumerate(told) if "INSERT" in sql and "comparison" in sql)
    assert begins < counts < writes
