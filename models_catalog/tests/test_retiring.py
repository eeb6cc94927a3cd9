"""Versions that are retired, restored and deleted: by services, pages and the API; also cut off."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from activity.models import Event
from core import clock, errors
from endpoints.models import Endpoint
from invocations.models import Invocation
from models_catalog import publication, references, retiring, s3, services, tasks
from models_catalog.aliases import AliasRefused
from models_catalog.models import Alias, RegisteredModel, Version
from models_catalog.refusals import CatalogRefused
from models_catalog.tests.test_aliases import make_model, point
from tests.bearer import secret_of

V2 = "/models/digits/v2/"
API = "/api/v1/models/digits/versions/2"


class _Killed(BaseException):
    """As a SIGKILL: no handler of the code that runs may do anything about it."""


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The jobs that were queued; nothing is run."""
    queued: list[tuple[str, int]] = []
    for module in (retiring, publication):
        monkeypatch.setattr(module, "enqueue_on_commit", lambda *job: queued.append(job))
    monkeypatch.setattr("models_catalog.alias_mirror.enqueue_on_commit", lambda *_: None)
    return queued


@pytest.fixture
def digits(db: None, store: str) -> str:
    """Three ready versions in the bucket, whose name this is, the second with all its objects."""
    make_model(bucket=store, prefix="models")
    Version.objects.filter(number=2).update(
        original_key="originals/digits_v2.tar.gz", staging_key="staging/two.tar.gz"
    )
    for key in ("models/digits_v2.tar.gz", "originals/digits_v2.tar.gz", "staging/two.tar.gz"):
        s3.replace(bucket=store, key=key, data=b"x", found=None)
    return store


def _two() -> Version:
    return Version.objects.select_related("model").get(model__name="digits", number=2)


def _do(change: Callable[..., tuple[Version, bool]], number: int = 2) -> bool:
    return change(model="digits", number=number, actor=None)[1]


def _keys(bucket: str) -> list[str]:
    return sorted(found.key for found in s3.listing(bucket=bucket, prefix=""))


def _actions() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.django_db
def test_a_retired_version_is_meant_and_pointed_at_by_nobody() -> None:
    make_model()
    assert _do(retiring.retire, 3)
    assert not _do(retiring.retire, 3)
    assert references.parse("digits").resolve() == _two()
    with pytest.raises(AliasRefused, match="v3 is not ready"):
        point(3)
    listed = RegisteredModel.objects.described().get()
    assert (listed.newest_number, listed.newest_state, listed.ready_number) == (2, "ready", 2)
    assert not listed.deletable
    assert _do(retiring.restore, 3)
    assert not _do(retiring.restore, 3)
    resolved = references.parse("digits").resolve()
    assert resolved is not None
    assert (resolved.number, resolved.retired_at) == (3, None)
    assert _actions() == ["version.retired", "version.unretired"]


@pytest.mark.django_db
def test_a_model_of_which_all_is_retired_is_found_as_that() -> None:
    make_model(versions=1)
    _do(retiring.retire, 1)
    rows = RegisteredModel.objects.all()
    assert rows.of_state("retired").exists()
    assert not rows.of_state("ready").exists()
    badge = RegisteredModel.objects.described().get().newest_badge
    assert badge is not None
    assert (badge.state, badge.spinning) == ("retired", False)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [retiring.retire, retiring.delete])
def test_an_alias_keeps_its_version(change: Callable[..., Any]) -> None:
    make_model()
    point(2)
    with pytest.raises(CatalogRefused, match="digits@live"):
        _do(change)
    assert _two().state == "ready"
    assert _actions() == ["alias.made"]


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["uploaded", "checking", "rejected"])
def test_what_was_never_published_is_neither_retired_nor_deleted(state: str) -> None:
    make_model(state=state)
    for change in (retiring.retire, retiring.restore, retiring.delete):
        with pytest.raises(CatalogRefused):
            _do(change)
    assert _two().state == state


def test_a_deletion_deletes_all_objects_and_keeps_the_row(
    digits: str, jobs: list[tuple[str, int]]
) -> None:
    version = _two()
    assert _do(retiring.delete)
    assert jobs == [("models_catalog.tasks.remove", version.pk)]
    assert _two().badge.spinning
    assert len(_keys(digits)) == 3
    retiring.remove(version_pk=version.pk)
    gone = _two()
    assert _keys(digits) == []
    assert (gone.state, gone.sha256, gone.original_key) == ("deleted", version.sha256, "")
    assert gone.settled
    assert not _do(retiring.delete)
    with pytest.raises(CatalogRefused):
        _do(retiring.restore)
    assert services.download_address(gone, original=False) is None
    retiring.remove(version_pk=version.pk)  # a message that came twice
    assert _actions() == ["version.deletion_requested", "version.deleted"]


def test_its_number_is_never_given_again(digits: str) -> None:
    _do(retiring.delete, 3)
    retiring.remove(version_pk=Version.objects.get(number=3).pk)
    assert services.next_version(RegisteredModel.objects.get()).number == 4


def test_its_bytes_may_be_uploaded_again(digits: str) -> None:
    """What was deleted is no version that somebody could be sent to instead."""
    Version.objects.filter(number__in=[1, 2]).update(sha256="a" * 64)
    first = Version.objects.get(number=1)
    assert Version.objects.twins(first).first() == _two()
    _do(retiring.delete)
    assert not Version.objects.twins(first).exists()


@pytest.mark.parametrize("deleted", [0, 1, 2, 3])
def test_a_killed_deletion_is_taken_up(
    digits: str, jobs: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    """Killed before its first object, between any two, and after the last."""
    version = _two()
    _do(retiring.delete)
    jobs.clear()
    delete, left = s3.delete, deleted

    def kill(**what: str) -> None:
        nonlocal left
        if not left:
            raise _Killed
        left -= 1
        delete(**what)

    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete", kill)
        patch.setattr(retiring, "_left_overs", [lambda *_: kill()])
        with pytest.raises(_Killed):
            retiring.remove(version_pk=version.pk)
    assert _two().state == "deleting"
    tasks.sweep()
    assert jobs == [], "its lease has not run out"
    Version.objects.filter(number=2).update(leased_until=clock.now(), check_after=clock.now())
    tasks.sweep()
    assert jobs == [("models_catalog.tasks.remove", version.pk)]
    publication.check_version(version_pk=version.pk)  # takes no version that is being deleted
    retiring.remove(version_pk=version.pk)
    assert _keys(digits) == []
    assert _two().state == "deleted"


def test_what_s3_does_not_delete_is_said_and_tried_again(
    digits: str, monkeypatch: pytest.MonkeyPatch, client_of: Callable[[str], Client]
) -> None:
    version = _two()
    _do(retiring.delete)

    def denied(**_what: str) -> None:
        raise errors.Denied("S3 does not allow it.")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete", denied)
        retiring.remove(version_pk=version.pk)
    found = _two()
    assert found.state == "deleting"
    assert found.check_after > clock.now() + timedelta(seconds=1)
    assert "S3 does not allow it." in client_of("viewer").get(V2).content.decode()
    Version.objects.update(check_after=clock.now())
    retiring.remove(version_pk=version.pk)
    assert _two().state == "deleted"


def _called(version: Version) -> Invocation:
    endpoint = Endpoint.objects.create(
        name="demo", bucket=version.bucket, prefix=version.prefix, state=Endpoint.State.IN_SERVICE
    )
    return Invocation.objects.create(
        endpoint=endpoint,
        version=version,
        target_model="t",
        thumbnail=b"small",
        picture_sha256="b" * 64,
    )


def test_what_uses_it_is_said_and_thumbnails_go(
    digits: str, client_of: Callable[[str], Client]
) -> None:
    version = _two()
    assert [use.kind for use in retiring.uses(version)] == []
    call = _called(version)
    old = Invocation.objects.create(  # of the release that kept the thumbnail alone
        endpoint=call.endpoint, version=version, target_model="t", thumbnail=b"small"
    )
    point(2)
    assert [use.kind for use in retiring.uses(version)] == ["alias", "endpoint", "call"]
    admin = client_of("admin")
    page = admin.get(f"{V2}delete/").content.decode()
    for said in ("digits@live", "The endpoint demo serves it (InService)", "was called last on"):
        assert said in page
    assert 'name="typed_name"' not in page, "an alias points at it"
    Alias.objects.all().delete()
    assert admin.post(f"{V2}delete/", {"typed_name": "digits v1"}).status_code == 422
    assert _two().state == "ready"
    answer = admin.post(f"{V2}delete/", {"typed_name": "digits v2"})
    assert (answer.status_code, answer.headers["Location"]) == (302, V2)
    retiring.remove(version_pk=version.pk)
    for one in (call, old):
        one.refresh_from_db()
        assert (bytes(one.thumbnail), one.picture_sha256) == (b"", "")
    page = admin.get(V2).content.decode()
    assert "nothing of it is stored any more" in page
    assert admin.get(f"{V2}delete/").status_code == 302
    assert admin.get(f"{V2}download/").status_code == 404


@pytest.mark.not_quick
@pytest.mark.django_db
def test_a_page_says_why_a_version_with_an_alias_is_not_retired(
    client_of: Callable[[str], Client],
) -> None:
    make_model()
    point(2)
    operator = client_of("operator")
    assert f'action="{V2}retire/"' in operator.get(V2).content.decode()
    page = operator.post(f"{V2}retire/", follow=True).content.decode()
    assert "An alias points at digits v2: digits@live." in page
    assert _two().state == "ready"


@pytest.mark.not_quick
@pytest.mark.django_db
def test_a_page_retires_with_an_undo(client_of: Callable[[str], Client]) -> None:
    make_model()
    operator = client_of("operator")
    page = operator.post(f"{V2}retire/", follow=True).content.decode()
    assert "digits v2 is retired." in page
    assert f'action="{V2}unretire/"' in page
    assert "Retired: it is offered and called here no more" in page
    assert f"{V2}delete/" not in page, "an operator deletes no version"
    assert operator.get(f"{V2}delete/").status_code == 403
    page = operator.post(f"{V2}unretire/", {"next": V2}, follow=True).content.decode()
    assert "digits v2 is ready again." in page
    assert client_of("viewer").post(f"{V2}retire/").status_code == 403


@pytest.fixture
def api(user_in: Callable[[str], Any]) -> Callable[..., Client]:
    """A client with a token of an admin, with these scopes."""
    user = user_in("admin")

    def make(*scopes: str) -> Client:
        secret = secret_of(user, list(scopes))
        return Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})

    return make


def test_by_the_api(digits: str, api: Callable[..., Client]) -> None:
    caller = api("read", "upload", "admin")
    seen = caller.get(API).headers["ETag"]
    retired = caller.post(f"{API}/retire", headers={"If-Match": seen})
    assert (retired.status_code, retired.json()["state"]) == (200, "retired")
    assert retired.json()["retired_at"]
    late = caller.post(f"{API}/restore", headers={"If-Match": seen})
    assert (late.status_code, _two().state) == (412, "retired")
    assert caller.post(f"{API}/restore").json()["state"] == "ready"
    point(2)
    _called(_two())
    assert [use["kind"] for use in caller.get(f"{API}/uses").json()["items"]] == [
        "alias",
        "endpoint",
        "call",
    ]
    refused = caller.delete(API)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    Alias.objects.all().delete()
    deleted = caller.delete(API)
    assert (deleted.status_code, deleted.json()["state"]) == (202, "deleting")
    assert caller.delete(f"{API[:-1]}9").status_code == 404


def test_a_deletion_takes_the_scope_admin(digits: str, api: Callable[..., Client]) -> None:
    assert api("read", "upload", "operate").delete(API).status_code == 403
    assert api("read").post(f"{API}/retire").status_code == 403
    assert _two().state == "ready"


@pytest.mark.not_quick
@pytest.mark.django_db
def test_the_page_of_a_version_says_where_it_runs(client_of: Callable[[str], Client]) -> None:
    make_model(bucket="b", prefix="m")
    viewer = client_of("viewer")
    assert "No endpoint serves its store" in viewer.get(V2).content.decode()
    endpoint = Endpoint.objects.create(name="demo", bucket="b", prefix="m")
    Invocation.objects.create(endpoint=endpoint, version=_two(), state=Invocation.State.DONE)
    page = viewer.get(V2).content.decode()
    assert f'<a href="{endpoint.get_absolute_url()}">The endpoint demo serves it' in page
    assert '<a href="/calls/?model=digits%3A2">It was called last on' in page
    Version.objects.update(state="rejected")
    assert "Where it runs" not in viewer.get(V2).content.decode()
