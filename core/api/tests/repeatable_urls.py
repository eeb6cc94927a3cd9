"""The URLs of a portal with operations that tests repeat, slow down and kill."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import Router, Status

from activity.attempts import made_by
from activity.services import record
from core.api import idempotency
from core.api.caller import ANY
from core.api.headers import set_header
from core.api.operations import operation
from core.api.schema import Input
from core.body_limits import BodyLimit
from mmeportal import urls
from mmeportal.api import PortalAPI, urls_of

FOLDER = Path(os.environ["REPEATABLE_FOLDER"])
idempotency.LEASE = timedelta(seconds=1.5)
router = Router(tags=["things"])


class Thing:
    """What the events are about."""

    activity_kind = "thing"

    def __init__(self, group: Group) -> None:
        self.pk = group.pk
        self._name = group.name

    def __str__(self) -> str:
        return self._name


class ThingIn(Input):
    """A thing to make."""

    name: str


def _note(what: str) -> None:
    """Write down what was done, and stand still while a test wants it."""
    with (FOLDER / "runs").open("a") as runs:
        runs.write(f"{what}\n")
    while (FOLDER / "pause").exists():
        (FOLDER / "paused").write_text(str(os.getpid()))
        time.sleep(0.02)


def _made(pk: int) -> Status[Any]:
    return Status(201, {"id": pk, "said": uuid.uuid4().hex})


def _resume(request: HttpRequest, attempt: str) -> HttpResponse | None:
    pk = made_by(attempt, "thing.made")
    if pk is None:
        return None
    _note("resumed")
    return HttpResponse(b'{"id": %d}' % pk, status=201, content_type="application/json")


@operation(
    router, "POST", "/things", id="things_create", scope=ANY, response={201: dict[str, Any]},
    resume=_resume,
)  # fmt: skip
def make(request: HttpRequest, body: ThingIn) -> Any:
    """Make a thing."""
    with transaction.atomic():
        group = Group.objects.create(name=f"{body.name} {uuid.uuid4().hex[:8]}")
        record(action="thing.made", subject=Thing(group), text="It was made.")
    _note("made")
    set_header(request, "Location", f"/things/{group.pk}")
    return _made(group.pk)


@operation(
    router, "POST", "/calls", id="calls_create", scope=ANY, response={201: dict[str, Any]}
)  # fmt: skip
def call(request: HttpRequest, body: ThingIn) -> Any:
    """Call something that keeps nothing."""
    _note("called")
    return _made(0)


@operation(
    router, "POST", "/files", id="files_create", scope=ANY, response={201: dict[str, Any]},
    takes=BodyLimit(lambda: 300, lambda: "Too large.", 4, "auth.view_group", "send files"),
)  # fmt: skip
def take(request: HttpRequest) -> Any:
    """Read a large body."""
    size = 0
    while piece := request.read(1 << 20):
        size += len(piece)
    _note("read")
    return _made(size)


things = PortalAPI(title="Things", urls_namespace="things", docs_url=None, openapi_url=None)
things.add_router("", router)
urlpatterns = [path("api/try/", urls_of(things)), *urls.urlpatterns]
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500
