"""Without the permission for everybody's calls there are one's own alone: all is asked for others'.

The pictures of others have a name, and bytes, that stand nowhere else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from accounts import roles
from core.api.operations import SAFE
from endpoints.models import Endpoint
from invocations.models import (
    AnswerComparison,
    ComparedPicture,
    Experiment,
    Invocation,
    Picture,
    PictureGiver,
)
from mmeportal.access import OPERATOR, VIEWER
from tests.rules import site as site_of
from tests.rules.api_subjects import JSON, subjects
from tests.rules.site import OTHER, Site
from tests.rules.subjects import addresses

pytestmark = pytest.mark.slow  # every page and operation is asked
SECRET = "hushhush.png"
_BYTES = b"\xff\xd8 the picture of somebody else"


@pytest.fixture
def site(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site with one row of everything; viewers do not see the calls of the operator."""
    settings.VIEWERS_SEE_ALL_CALLS = False
    made = site_of.make(tmp_path, settings, monkeypatch)
    _name_pictures(made)
    return made


def _name_pictures(site: Site) -> None:
    """Give every picture of a call its name and bytes; the comparison's is one that was given."""
    sha256 = site.rows.picture.sha256
    bytes_of = {"thumbnail": _BYTES}
    Picture.objects.update(name=SECRET, data=_BYTES, preview=_BYTES, **bytes_of)
    Invocation.objects.update(picture_name=SECRET, **bytes_of)
    PictureGiver.objects.update(name=SECRET)
    ComparedPicture.objects.update(labelled=None, sha256=sha256, name=SECRET, label=SECRET)
    Experiment.objects.update(pictures=Experiment.Pictures.GIVEN, given=[sha256])
    AnswerComparison.objects.update(state=AnswerComparison.State.DONE)
    Endpoint.objects.update(sagemaker_status="InService")


def _asked(site: Site) -> Iterator[tuple[str, str, str]]:
    """Each address and each operation: its name, method, and address."""
    for address in addresses():
        if address.route.startswith("admin/"):
            continue  # for superusers
        for arguments in site.rows.arguments(address):
            yield address.name, "GET", address.url(arguments)
    yield "invocations:calls", "GET", f"/calls/?by={User.objects.get(username=_owner(site)).pk}"
    for subject in subjects():
        yield subject.rules.id, subject.method, subject.url(site.rows)


def _owner(site: Site) -> str:
    found = site.rows.invocation.created_by
    assert found is not None
    return str(found.username)


def _told(site: Site, visitor: str) -> set[str]:
    """The addresses and operations that give a visitor the name or the bytes of the picture."""
    told = set()
    for name, method, url in _asked(site):
        content = None if method in SAFE else JSON
        answer, _written = site.ask(visitor, method, url, token=True, content=content)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if SECRET.encode() in body or _BYTES in body:
            told.add(name)
    return told


#: Where the pictures of calls are seen.
_SEEN_AT = {
    *("invocations:page", "invocations:result", "invocations:thumbnail"),
    *("invocations:picture", "invocations:kept", "invocations:calls", "invocations:side"),
    *("invocations:comparison", "invocations:comparison-csv", "invocations:wrong"),
    "endpoints:detail",
    *("invocations_list", "invocations_get", "invocations_picture"),
    *("comparisons_get", "comparisons_csv"),
}


def test_nothing_tells_of_pictures_that_others_sent(site: Site) -> None:
    told = _told(site, VIEWER)
    assert not told, "These tell of the calls of others who may not see them."
    seen = _told(site, OTHER)
    assert seen >= _SEEN_AT, _SEEN_AT - seen


def test_ones_own_calls_are_there(site: Site) -> None:
    me = User.objects.get(username=f"{VIEWER}-visitor")
    Invocation.objects.update(created_by=me)
    PictureGiver.objects.update(user=me)
    AnswerComparison.objects.update(created_by=me, created_by_name=me.username)
    assert _told(site, VIEWER) >= _SEEN_AT


def test_sums_are_of_everybodys_calls(site: Site) -> None:
    path = f"/api/v1/endpoints/{site.rows.endpoint.name}/metrics?range=1h"
    for visitor in (VIEWER, OPERATOR):
        answer, _written = site.ask(visitor, "GET", path, token=False)
        assert [one["calls"] for one in answer.json()["versions"] if one["calls"]] == [1], visitor


def test_the_setting_takes_the_permission_from_viewers_alone(site: Site, settings: Any) -> None:
    viewer = f"{VIEWER}-visitor"
    name = "invocations.view_all_calls"
    assert not User.objects.get(username=viewer).has_perm(name)
    assert User.objects.get(username=f"{OPERATOR}-visitor").has_perm(name)
    settings.VIEWERS_SEE_ALL_CALLS = True
    roles.ensure_roles()
    assert User.objects.get(username=viewer).has_perm(name)
