"""A store that names groups is not there for others: every page and operation is asked for it."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import models

from accounts import tokens
from accounts.models import PeopleGroup
from core import aws
from core.api.caller import Scope
from core.api.operations import SAFE
from endpoints.models import Endpoint
from mmeportal.access import ADMIN, OPERATOR, VIEWER
from models_catalog import secrecy
from models_catalog.models import RegisteredModel, Store, StoreGroup, StrayObject, Version
from tests.rules import rows as rows_of
from tests.rules import site as site_of
from tests.rules.api_subjects import JSON, subjects
from tests.rules.site import OTHER, Site
from tests.rules.subjects import addresses

#: What the model and the endpoint of the hidden store are called; nothing else is called so.
SECRET = "hushhush"
_RENAMED = {"digits": SECRET, "demo-0": f"{SECRET}-serves", "gone-0": f"{SECRET}-served"}
#: Words that find them, and are not all of their names: pages repeat what was asked.
_SEARCHED = {"q": SECRET[:-1], "model": SECRET[:-1], "text": SECRET[:-1]}
#: Of these an outsider may be told: what is of the whole portal.
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
        if SECRET in _body(answer):
            told[name] = url
    user = User.objects.get(username=f"{visitor}-visitor")
    _, secret = tokens.make(user=user, name="crawl", scopes=list(Scope))
    for subject in subjects():
        known = {one["name"] for one in subject.documented["parameters"]}
        reads = subject.method in SAFE
        for question in _questions(known) if reads else [""]:
            url = subject.url(site.rows) + question
            answer, _written = site.ask(
                visitor, subject.method, url, token=True, bearer=secret, content=JSON
            )
            if SECRET in _body(answer):
                told[subject.rules.id] = url
    return told


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
    # And they would be seen: who is in a group, or manages stores, is told of it everywhere.
    for visitor in (VIEWER, OPERATOR, ADMIN):
        assert len(_told(site, visitor)) > 60, visitor
