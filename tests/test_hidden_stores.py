"""A store that names groups is not there for others: every page and operation is asked for it."""

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db import models

from accounts.models import PeopleGroup
from activity.models import Event
from core import aws, guarded
from core.api.operations import SAFE
from core.permissions import NotPermitted
from endpoints.models import Endpoint
from mmeportal.access import ADMIN, OPERATOR, VIEWER
from models_catalog import secrecy, stores, uploads
from models_catalog.models import RegisteredModel, Store, StoreGroup, StrayObject, Version
from notices import kinds, mails
from notices.kinds import Concern
from notices.models import MailChoice
from tests.rules import rows as rows_of
from tests.rules import site as site_of
from tests.rules.api_subjects import JSON, subjects
from tests.rules.site import OTHER, Site
from tests.rules.subjects import addresses

pytestmark = pytest.mark.slow  # every page and operation is asked, twice by each visitor
#: What the model and the endpoint of the hidden store are called; nothing else is called so.
SECRET = "hushhush"
_RENAMED = {
    "digits": SECRET,
    "demo-0": f"{SECRET}-serves",
    "gone-0": f"{SECRET}-served",
    "accuracy": f"{SECRET}-measured",
}
#: Words that find them, and are not all of their names: pages repeat what was asked.
_SEARCHED = {"q": SECRET[:-1], "model": SECRET[:-1], "text": SECRET[:-1]}
_NAMES = re.compile(SECRET + r"[a-z0-9-]*")
#: What is answered to who may not know of something: it is not there, the role or the method or the
#: body is wrong, whatever is there.
_REFUSED = (403, 404, 405, 415, 422)
PLACES = ("default", "added")


@pytest.fixture(params=PLACES)
def site(
    request: Any, db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """The site with one row of everything; models and endpoints are in a store of a group.

    All rows are the operator's, who is in the group, which writes; the viewer is in one that sees.
    """
    made = site_of.make(tmp_path, settings, monkeypatch)
    monkeypatch.setattr(aws, "logs", _NoLines)
    _rename()
    _hide(request.param)
    for one in vars(made.rows).values():
        if isinstance(one, models.Model) and one.pk is not None:
            one.refresh_from_db()
    return made


class _NoLines:
    """A client of CloudWatch Logs."""

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": []}


def _rename() -> None:
    """Give what is hidden names that stand nowhere else, in every text of every row."""
    for model in rows_of.models_shown():
        texts = [
            field.attname
            for field in model._meta.concrete_fields
            if isinstance(field, models.CharField | models.TextField | models.JSONField)
        ]
        for row in model._base_manager.all():
            changed = {}
            for name in texts:
                before = json.dumps(getattr(row, name))
                after = before
                for old, new in _RENAMED.items():
                    after = after.replace(old, new)
                if after != before:
                    changed[name] = json.loads(after)
            if changed:
                model._base_manager.filter(pk=row.pk).update(**changed)


def _hide(place: str) -> None:
    """Have the store with all models and endpoints name a group that writes, and one that sees."""
    if place == "default":
        store = Store.objects.create(name="default", bucket="", region="")
    else:
        store = Store.objects.create(
            name="hidden", bucket="hidden", prefix="models", region=django_settings.AWS_REGION
        )
        RegisteredModel.objects.update(store=store)
        Version.objects.update(bucket="hidden", prefix="models")
        Endpoint.objects.update(bucket="hidden", prefix="models")
        StrayObject.objects.update(bucket="hidden")
    for name, visitor, writes in (("write", OPERATOR, True), ("see", VIEWER, False)):
        group = PeopleGroup.objects.create(name=name)
        group.members.add(User.objects.get(username=f"{visitor}-visitor"))
        StoreGroup.objects.create(store=store, group=group, may_write=writes)
    secrecy.forget()


def _questions(names: set[str]) -> list[str]:
    asked = [f"{name}={text}" for name, text in _SEARCHED.items() if name in names]
    return ["", *(f"?{one}" for one in asked)]


def _pages(site: Site) -> Iterator[tuple[str, str]]:
    """Each address, with questions that find things by name."""
    for address in addresses():
        if address.route.startswith("admin/"):
            continue  # for superusers
        for arguments, question in product(
            site.rows.arguments(address), _questions({"q", "model"})
        ):
            yield address.name, address.url(arguments) + question


def _told(site: Site, visitor: str) -> dict[str, str]:
    """Where a visitor is told of what is hidden: by page or operation, the address."""
    told = {}
    for name, url in _pages(site):
        answer, _written = site.ask(visitor, "GET", url, token=True)
        if _tells(answer, url):
            told[name] = f"{url} ({answer.status_code})"
    for subject in subjects():
        known = {one["name"] for one in subject.documented["parameters"]}
        reads = subject.method in SAFE
        for question in _questions(known) if reads else [""]:
            url = subject.url(site.rows) + question
            content = None if reads else JSON
            answer, _written = site.ask(visitor, subject.method, url, token=True, content=content)
            if _tells(answer, url):
                told[subject.rules.id] = f"{url} ({answer.status_code})"
    return told


def _tells(answer: Any, url: str) -> bool:
    """Whether an answer names what is hidden, or lets somebody at what an address names.

    A refusal may repeat the address: that is what was asked.
    """
    said = _body(answer)
    asked = _NAMES.findall(url)
    if asked and answer.status_code not in _REFUSED:
        return True
    for name in sorted(asked, key=len, reverse=True):
        said = said.replace(name, "")
    return SECRET in said


def _body(answer: Any) -> str:
    """What is answered, streams and headers too; of an image nothing."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    headers = " ".join(f"{name}: {value}" for name, value in answer.headers.items())
    said: str = content.decode(errors="replace") + headers
    return said


def test_no_page_and_no_operation_tells_outsiders_of_a_hidden_store(site: Site) -> None:
    told = _told(site, OTHER)
    assert not told, "These tell whoever is in no group of a store of what is in it:\n" + "\n".join(
        f"{name}: {url}" for name, url in sorted(told.items())
    )
    # And they would be seen: who is in a group is told of it everywhere.
    assert len(_told(site, VIEWER)) > 60


#: A model and an endpoint, their store, and what is called as they are and is not there.
_MODEL, _SERVES, _STORE = f"{SECRET}-0", f"{SECRET}-serves", "STORE"
_MISSING, _NO_STORE = "hushsuch", "no-such-store"
_ID = re.compile(r"(?<=[/ ])[0-9a-f]{16,}\b")
#: Valid bodies of operations, which name what is hidden where they can. By the operation's id.
_BODIES: dict[str, list[dict[str, Any]]] = {
    "models_create": [{"name": "fresh", "store": _STORE}],
    "models_describe": [{"add_tags": ["vision"], "description": "x", "owner": f"{OTHER}-visitor"}],
    "versions_describe": [{"note": "x", "metadata": {"accuracy": 0.9}}],
    "copies_create": [{"to": "copy_{n}", "times": 2}],
    "copies_preview": [{"to": "copy_{n}", "times": 2}],
    "imports_create": [{"store": _STORE}, {"store": _STORE, "keys": [f"{_MODEL}_v1.tar.gz"]}],
    "aliases_put": [{"number": 1, "reason": "x"}],
    "aliases_rollback": [{"reason": "x"}],
    "stores_groups": [{"groups": [{"name": "see"}]}],
    "endpoints_create": [{"name": "fresh", "store": _STORE}],
    "endpoints_preview": [{"name": "fresh", "store": _STORE}],
    "endpoints_update": [{"instance_count": 2}],
    "endpoints_preview_change": [{"instance_count": 2}, {"back_to": 1}],
    "endpoints_rollback": [{"revision": 1}],
    "endpoints_weigh": [{"weights": {"AllTraffic": 1}}],
    "endpoints_set_hours": [{"hours": "mon-fri 09:00-18:00"}],
    "endpoints_preview_hours": [{"hours": "mon-fri 09:00-18:00"}],
    "endpoints_accept": [{"reason": "x"}],
    "endpoints_put_back": [{"reason": "x"}],
    "endpoints_expire": [{"expires_at": "2099-01-01T00:00:00Z"}],
    "endpoints_set_idle": [{"idle_hours": 2}],
    "endpoints_scale": [{"min_instances": 1, "max_instances": 2, "calls_per_minute": 60}],
    "endpoints_preview_scaling": [{"min_instances": 1, "max_instances": 2, "calls_per_minute": 60}],
    "endpoints_teardown": [{"name": _SERVES}],
    "endpoints_preview_teardown": [{"keep_config": True}],
    "alarms_put": [{"threshold": 900, "minutes": 5}],
    "alarms_preview": [{"threshold": 900, "minutes": 5}, {"remove": True}],
    "warmings_create": [{"models": f"{_MODEL}:*"}],
    "warmth_put": [{"models": f"{_MODEL}:1", "every_minutes": 60}],
    "comparisons_create": [
        {"one": f"{_MODEL}:1", "other": f"{_MODEL}:2", "endpoint": _SERVES, "samples": True}
    ],
    "experiments_create": [{"endpoint": _SERVES, "models": f"{_MODEL}:*", "calls": 10}],
    "experiments_preview": [{"endpoint": _SERVES, "models": f"{_MODEL}:*", "calls": 10}],
    "experiments_rename": [{"name": "x"}],
    "webhooks_create": [
        {"url": "https://ci.example.com/hook", "kinds": ["version.ready"], "models": [_MODEL]}
    ],
    "webhooks_change": [{"models": [_MODEL]}],
}
#: Those that name neither models, versions, stores nor endpoints. What is blotted out is so
#: everywhere: whoever may do that is told of how many rows, and of none of them.
_OF_NO_STORE = {
    *("tokens_create", "groups_create", "groups_change", "quotas_put", "stores_create"),
    *("budgets_put", "redactions_plan", "redactions_create", "webhooks_rotate", "mails_put"),
}
#: Parameters of what reads.
_QUERIES = {
    "versions_compare": [f"other={_MODEL}:1"],
    "models_list": [f"store={_STORE}"],
    "invocations_list": [f"endpoint={_SERVES}", f"model={_MODEL}"],
    "experiments_list": [f"endpoint={_SERVES}"],
    "capacity_plan": [f"store={_STORE}", f"like={_SERVES}", f"models={_MODEL}:*"],
    "endpoints_logs": [f"model={_MODEL}:1"],
}
#: A name that is taken is refused, also where what has it is hidden.
_NAMES_ARE_TAKEN = {"versions_push", "uploads_create"}


def _filled(site: Site) -> Iterator[tuple[str, str, str, bytes]]:
    """Each operation with what it takes: its id, method, address, and body."""
    for subject in subjects():
        name, url = subject.rules.id, subject.url(site.rows)
        if name in _NAMES_ARE_TAKEN:
            continue
        takes = "application/json" in subject.documented.get("requestBody", {}).get("content", {})
        if takes and name not in _OF_NO_STORE:
            assert name in _BODIES, f"Say in _BODIES with what body {name} is to be asked."
        for query in ["", *(f"?{one}" for one in _QUERIES.get(name, ()))]:
            for body in _BODIES.get(name, [{}]):
                yield name, subject.method, url + query, json.dumps(body).encode()


def _nobodys(text: str) -> str:
    """The same of what is not there at all; ids are of the form that they have."""
    path, question, rest = text.partition("?")
    path = _ID.sub(lambda found: "0" * len(found[0]), path)
    return (path + question + rest).replace(SECRET, _MISSING).replace(_STORE, _NO_STORE)


def test_what_is_hidden_is_answered_as_what_is_not_there(site: Site) -> None:
    """To whoever has every right but to see it, with bodies that would do something."""
    store = StoreGroup.objects.filter(group__name="see").select_related("store").get().store.name
    _outsider().groups.set(Group.objects.filter(name=ADMIN))
    Group.objects.get(name=ADMIN).permissions.remove(
        *Permission.objects.filter(codename=secrecy.MANAGES.partition(".")[2])
    )
    differ, asked = {}, 0
    for name, method, url, body in _filled(site):
        if not (SECRET.encode() in body or _STORE.encode() in body or _nobodys(url) != url):
            continue
        told = []
        for address, sent in ((url, body), (_nobodys(url), _nobodys(body.decode()).encode())):
            content = None if method in SAFE else (JSON[0], sent.replace(b"STORE", store.encode()))
            answer, written = site.ask(
                OTHER, method, address.replace(_STORE, store), token=True, content=content
            )
            told.append((answer.status_code, _of_nobody(_body_alone(answer), store), bool(written)))
        asked += 1
        if told[0] != told[1]:
            differ[f"{name} {url}"] = told
    assert asked > 80
    assert not differ, "\n".join(f"{name}: {told}" for name, told in differ.items())


def _body_alone(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    said: str = content.decode(errors="replace")
    return said


def _of_nobody(said: str, store: str) -> str:
    """An answer without what differs from request to request, and without the names asked for."""
    said = said.replace(SECRET, _MISSING)
    said = re.sub(rf"\b({store}|{_NO_STORE})\b", _STORE, said)
    said = _ID.sub("ID", said)
    return re.sub(r'"(id|instance|created_at|secret|looked_at)": "[^"]*"', "", said)


_WRITES: list[tuple[str, str, Any]] = [
    ("PATCH", f"/models/{SECRET}-0", {"description": "x"}),
    ("PATCH", f"/models/{SECRET}-0/versions/1", {"note": "x"}),
    ("PUT", f"/models/{SECRET}-0/aliases/next", {"number": 1}),
    ("POST", f"/models/{SECRET}-0/aliases/live/rollback", {}),
    ("DELETE", f"/models/{SECRET}-0/aliases/live", None),
    ("POST", f"/models/{SECRET}-0/versions/1/retire", None),
    ("POST", f"/models/{SECRET}-0/versions/1/restore", None),
    ("POST", f"/models/{SECRET}-0/versions/1/dismiss", None),
    ("POST", f"/models/{SECRET}-0/versions/1/copies", {"to": "copy", "times": 1}),
    ("POST", f"/models/{SECRET}-0/versions/1/repack", None),
    ("DELETE", f"/models/{SECRET}-0", None),
    ("POST", "/models", {"name": "fresh", "store": "STORE"}),
    ("POST", "/imports", {"store": "STORE", "keys": []}),
]


def test_who_only_sees_a_store_changes_nothing_in_it(site: Site) -> None:
    viewer = User.objects.get(username=f"{VIEWER}-visitor")
    viewer.groups.set(Group.objects.filter(name=ADMIN))  # the role alone would allow all of it
    Group.objects.get(name=ADMIN).permissions.remove(
        *Permission.objects.filter(codename=secrecy.MANAGES.partition(".")[2])
    )
    store = StoreGroup.objects.get(group__name="see").store
    for method, path, body in _WRITES:
        text = json.dumps(body).replace("STORE", store.name).encode()
        content = (JSON[0], text if body is not None else b"")
        url = f"/api/v1{path}"
        answer, written = site.ask(VIEWER, method, url, token=True, content=content)
        assert answer.status_code == 403, (method, path, answer.content)
        assert "Only some groups may change" in answer.json()["detail"]
        assert not [one for one in written if "models_catalog" in one or "job" in one], path
        answer, written = site.ask(OTHER, method, url, token=True, content=content)
        assert answer.status_code == (404 if SECRET in path else 422) or method == "DELETE", path
        assert not [one for one in written if "models_catalog" in one or "job" in one], path
    for person, error in ((viewer, NotPermitted), (_outsider(), ValidationError)):
        with guarded.reading_as(person), pytest.raises(error):
            uploads.create(
                owner=person, length=10, name=f"{SECRET}-0", new=None, file_name="a.tar.gz",
                note="", description="", packing_choice="", meta=(),
            )  # fmt: skip


def _outsider() -> User:
    return User.objects.get(username=f"{OTHER}-visitor")


def test_a_name_in_a_hidden_store_is_taken(site: Site) -> None:
    content = (JSON[0], json.dumps({"name": f"{SECRET}-0"}).encode())
    answer, _written = site.ask(OTHER, "POST", "/api/v1/models", token=True, content=content)
    assert answer.status_code in (409, 422)
    assert b"already" in answer.content or b"no store" in answer.content


def test_the_portal_itself_sees_all_and_a_change_counts_at_once(site: Site) -> None:
    outsider = _outsider()
    with guarded.reading_as(outsider):
        assert not Version.objects.exists()
        with guarded.as_portal():
            assert Version.objects.exists()
    assert Version.objects.exists()
    for row in StoreGroup.objects.all():
        stores.set_groups(name=row.store.name, groups=[], actor=None)
    secrecy.forget()
    with guarded.reading_as(outsider):
        assert Version.objects.exists()


def test_who_may_not_see_a_version_gets_no_mail_of_it(site: Site, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    event = Event.objects.filter(subject_kind="version").first()
    assert event is not None
    kind = kinds.all_kinds()[0]
    for user in User.objects.exclude(username="superuser-visitor"):
        User.objects.filter(pk=user.pk).update(email=f"{user.pk}@example.com")
        choice = {"kinds": [kind.name], "only_own": False}
        MailChoice.objects.update_or_create(user=user, defaults=choice)
    told = mails.readers(event, kind, Concern())
    names = set(User.objects.filter(pk__in=told).values_list("username", flat=True))
    assert f"{VIEWER}-visitor" in names
    assert f"{ADMIN}-visitor" in names
    assert f"{OTHER}-visitor" not in names
