"""Models and versions by the API: lists, one, by checksum, its report; and waiting for one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import roles
from core import waiting
from core.api.problems import CONTENT_TYPE
from core.sentences import Sentence
from models_catalog.models import RegisteredModel, Version
from models_catalog.validation import _refused
from tests.bearer import secret_of

V1 = "/api/v1"


@pytest.fixture
def viewer(user_in: Callable[[str], Any]) -> Client:
    """Somebody with a viewer's token that may read alone."""
    secret = secret_of(user_in(roles.VIEWER), ["read"])
    return Client(headers={"Authorization": f"Bearer {secret}"})


def made(name: str, number: int = 1, **more: Any) -> Version:
    """A version of a model, which is made where it is missing."""
    model, _ = RegisteredModel.objects.get_or_create(name=name)
    given: dict[str, Any] = {
        "bucket": "store", "prefix": "models", "key": f"models/{name}_v{number}.tar.gz",
        "file_name": f"{name}.tar.gz", "size": 2000, "published_size": 1000,
        "sha256": "a1" * 32, "state": Version.State.READY, **more,
    }  # fmt: skip
    return Version.objects.create(model=model, number=number, **given)


def got(client: Client, path: str, **headers: str) -> Any:
    answer = client.get(V1 + path, headers=headers)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


REPORT = {
    "ok": True,
    "load_ms": 12.5,
    "first_ms": 3.5,
    "warm_ms": 1.5,
    "memory_mb": 80.5,
    "sample": {"image": "digit", "predictions": [{"label": "three", "probability": 0.75}]},
    "artifact": {"labels": ["zero"] * 1000},
}


def test_a_model_is_described_by_its_versions(viewer: Client, user_in: Any) -> None:
    operator = user_in(roles.OPERATOR)
    RegisteredModel.objects.create(name="digits", description="Numbers", created_by=operator)
    made("digits", 1, state=Version.State.READY)
    made("digits", 2, state=Version.State.READY, published_size=5)
    made("digits", 3, state=Version.State.REJECTED)
    made("digits", 4, state=Version.State.CHECKING)
    found = got(viewer, "/models/digits")
    assert found["latest"].pop("created_at").endswith("Z")
    assert found.pop("created_at").endswith("Z")
    assert found == {
        "name": "digits",
        "description": "Numbers",
        "tags": [],
        "owner": operator.username,
        "created_by": operator.username,
        "versions": 4,
        "latest": {
            "number": 2,
            "target_model": "digits_v2.tar.gz",
            "size": 5,
            "created_by": None,
        },
        "newest": {"number": 4, "state": "checking"},
        "aliases": [],
        "last_call_at": None,
        "best": None,
        "store": "default",
        "deletable": False,
    }
    assert got(viewer, "/models")["items"][0]["name"] == "digits"


def test_a_model_without_what_was_published_can_be_deleted(viewer: Client) -> None:
    RegisteredModel.objects.create(name="empty")
    made("refused", state=Version.State.REJECTED)
    by_name = {one["name"]: one for one in got(viewer, "/models")["items"]}
    assert by_name["empty"]["deletable"]
    assert by_name["refused"]["deletable"]
    assert (by_name["empty"]["latest"], by_name["empty"]["newest"]) == (None, None)
    assert by_name["refused"]["newest"] == {"number": 1, "state": "rejected"}


@pytest.mark.not_quick
def test_models_are_searched_and_sorted_and_their_pages_hold_each_once(viewer: Client) -> None:
    now = timezone.now()
    for place, name in enumerate(["cat", "ant", "bee"]):
        version = made(name)
        Version.objects.filter(pk=version.pk).update(created_at=now - timedelta(days=place))
    RegisteredModel.objects.create(name="dog", description="barks at the CAT")

    def names(query: str) -> list[str]:
        return [one["name"] for one in got(viewer, f"/models?{query}")["items"]]

    assert names("") == ["dog", "cat", "ant", "bee"]  # dog was registered now
    assert names("sort=name") == ["ant", "bee", "cat", "dog"]
    assert names("search=cat") == ["dog", "cat"]
    for sort in ("uploaded", "name"):
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            found = got(viewer, f"/models?sort={sort}&limit=1&cursor={cursor}")
            seen += [one["name"] for one in found["items"]]
            cursor = found["next"]
        assert seen == names(f"sort={sort}")


def test_models_by_name_are_in_the_order_in_which_people_count(viewer: Client) -> None:
    for number in (10, 9, 1, 100, 2):
        made(f"camera_{number}")
    made("camera-9b")
    in_order = ["camera-9b", *(f"camera_{number}" for number in (1, 2, 9, 10, 100))]
    seen, query = [], "/models?sort=name&limit=2"
    while query:
        found = got(viewer, query)
        seen += [one["name"] for one in found["items"]]
        query = found["next"] and f"/models?sort=name&limit=2&cursor={found['next']}"
    assert seen == in_order


def test_a_version_says_what_was_validated_and_which_others_are_the_same(viewer: Client) -> None:
    made("other", content_sha256="c" * 64, sha256="d" * 64)
    made("twin", sha256="b" * 64, state=Version.State.REJECTED)
    made(
        "digits", sha256="b" * 64, content_sha256="c" * 64, published_sha256="e" * 64,
        report=REPORT, note="First.", parameters=61706, input_shape="data: 1 × 1 × 28 × 28",
        packing="stored", settled_at=timezone.now(),
    )  # fmt: skip
    found = got(viewer, "/models/digits/versions/1")
    assert found["validation"] == {
        "load_ms": 12.5, "first_ms": 3.5, "warm_ms": 1.5, "memory_bytes": 84410368,
        "predictions": [{"label": "three", "probability": 0.75}],
    }  # fmt: skip
    assert found["same_as"] == [
        {"model": "other", "number": 1, "likeness": "same_content"},
        {"model": "twin", "number": 1, "likeness": "same_bytes"},
    ]
    assert found["target_model"] == "digits_v1.tar.gz"
    assert found["uri"] == "s3://store/models/digits_v1.tar.gz"
    assert (found["size"], found["published_size"]) == (2000, 1000)
    assert (found["step"], found["reason"], found["reason_code"]) == ("", None, None)
    listed = got(viewer, "/models/digits/versions")["items"]
    assert listed == [{name: value for name, value in found.items() if name != "same_as"}]


def test_a_rejection_has_a_stable_code_and_a_sentence_in_the_readers_language(
    viewer: Client,
) -> None:
    said = Sentence("rejected.quoted", what=Sentence("rejected.not_gzip"), said="no magic")
    made(
        "digits", state=Version.State.REJECTED, reason=said.english(), reason_code=said.as_json(),
        report=_refused("not_gzip", said), published_size=None,
    )  # fmt: skip
    found = got(viewer, "/models/digits/versions/1")
    assert found["reason_code"] == "rejected.not_gzip"
    assert found["reason"].endswith("The container says: “no magic”")
    assert found["validation"] is None
    korean = got(viewer, "/models/digits/versions/1", **{"Accept-Language": "ko"})
    assert "컨테이너" in korean["reason"]
    made("digits", 2, state=Version.State.REJECTED, reason="As it was said before.")
    old = got(viewer, "/models/digits/versions/2")
    assert (old["reason"], old["reason_code"]) == ("As it was said before.", None)


@pytest.mark.not_quick
def test_versions_are_found_by_each_of_their_three_checksums(viewer: Client) -> None:
    made("one", sha256="ab" * 32, published_sha256="bc" * 32, content_sha256="cd" * 32)
    made("two", sha256="ab" * 32, state=Version.State.REJECTED)

    def names(query: str) -> list[str]:
        return [one["model"] for one in got(viewer, f"/versions?{query}")["items"]]

    assert names("sha256=ababab") == ["two", "one"]
    assert names(f"sha256={'AB' * 32}") == ["two", "one"]
    assert names("sha256=bcbcbc") == ["one"]
    assert names(f"sha256={'cd' * 32}&state=ready") == ["one"]
    assert names("sha256=ababab&state=ready") == ["one"]
    assert names("sha256=ffffff") == []
    assert names("") == ["two", "one"]
    for wrong in ("sha256=ababa", "sha256=zzzzzz", f"sha256={'a' * 65}"):
        answer = viewer.get(f"{V1}/versions?{wrong}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, CONTENT_TYPE)
        assert list(json.loads(answer.content)["errors"]) == ["sha256"]


def test_the_report_is_what_the_preflight_said(viewer: Client) -> None:
    made("digits", report=REPORT)
    made("digits", 2, state=Version.State.UPLOADED)
    assert got(viewer, "/models/digits/versions/1/report") == REPORT
    answer = viewer.get(f"{V1}/models/digits/versions/2/report")
    assert answer.status_code == 404
    assert "not validated yet" in json.loads(answer.content)["detail"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/models/none", "none"),
        ("/models/none/versions", "none"),
        ("/models/digits/versions/9", "digits:9"),
        ("/models/digits/versions/9?wait=30", "digits:9"),
        ("/models/digits/versions/99999999999999999999", "digits:99999999999999999999"),
        ("/models/digits/versions/9/report", "digits:9"),
    ],
)
def test_what_is_not_there_is_named(viewer: Client, path: str, named: str) -> None:
    made("digits")
    answer = viewer.get(V1 + path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, CONTENT_TYPE)
    assert named in json.loads(answer.content)["detail"]


@pytest.mark.not_quick
def test_what_a_client_has_already_is_304(viewer: Client) -> None:
    version = made("digits", state=Version.State.CHECKING)
    for path in ("/models/digits", "/models/digits/versions/1"):
        tag = viewer.get(V1 + path).headers["ETag"]
        again = viewer.get(V1 + path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        # As a proxy made it that compressed the answer.
        assert viewer.get(V1 + path, headers={"If-None-Match": f"W/{tag}"}).status_code == 304
        Version.objects.filter(pk=version.pk).update(state=Version.State.READY)
        assert viewer.get(V1 + path, headers={"If-None-Match": tag}).status_code == 200
        Version.objects.filter(pk=version.pk).update(state=Version.State.CHECKING)


# --- waiting ---------------------------------------------------------------------------


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens while a request waits, one thing at each turn; then its time is over."""
    coming: list[Callable[[], object]] = []

    class Turns:
        def wait(self, _: float) -> bool:
            if not coming:
                return True
            coming.pop(0)()
            return False

    monkeypatch.setattr(waiting, "_ending", Turns())
    return coming


def _set(version: Version, **changes: Any) -> Callable[[], object]:
    return lambda: Version.objects.filter(pk=version.pk).update(**changes)


def test_a_wait_answers_at_once_where_the_version_is_settled(
    viewer: Client, turns: list[Callable[[], object]]
) -> None:
    version = made("digits")
    turns.append(_set(version, note="nobody waits"))
    for state in (Version.State.READY, Version.State.REJECTED):
        _set(version, state=state)()
        assert got(viewer, "/models/digits/versions/1?wait=30")["state"] == state
    assert len(turns) == 1


def test_a_wait_answers_when_state_or_step_change(
    viewer: Client, turns: list[Callable[[], object]]
) -> None:
    version = made("digits", state=Version.State.UPLOADED)
    nothing = _set(version, note="Changed.")
    turns += [nothing, nothing, _set(version, state=Version.State.CHECKING), nothing]
    found = got(viewer, "/models/digits/versions/1?wait=30")
    assert (found["state"], len(turns)) == ("checking", 1)
    turns += [_set(version, step=Version.PACKING), nothing]
    found = got(viewer, "/models/digits/versions/1?wait=30")
    assert (found["step"], len(turns)) == (Version.PACKING, 1)
    turns += [_set(version, state=Version.State.READY, step="")]
    assert got(viewer, "/models/digits/versions/1?wait=30")["state"] == "ready"


def test_a_wait_says_what_is_there_when_its_time_is_over(
    viewer: Client, turns: list[Callable[[], object]]
) -> None:
    version = made("digits", state=Version.State.CHECKING)
    turns.append(_set(version, note="Changed."))
    found = got(viewer, "/models/digits/versions/1?wait=30")
    assert (found["state"], found["note"], turns) == ("checking", "Changed.", [])


def test_a_version_that_is_deleted_meanwhile_is_404(
    viewer: Client, turns: list[Callable[[], object]]
) -> None:
    version = made("digits", state=Version.State.UPLOADED)
    turns.append(lambda: Version.objects.filter(pk=version.pk).delete())
    assert viewer.get(f"{V1}/models/digits/versions/1?wait=30").status_code == 404


@pytest.mark.parametrize("wait", ["-1", "31", "1.5", "long"])
def test_a_wait_has_bounds(viewer: Client, wait: str) -> None:
    made("digits")
    answer = viewer.get(f"{V1}/models/digits/versions/1?wait={wait}")
    assert answer.status_code == 422
    assert list(json.loads(answer.content)["errors"]) == ["wait"]
