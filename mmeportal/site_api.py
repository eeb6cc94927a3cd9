"""The operations of the site itself: how it stands."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from core import readiness, where
from core.api.caller import Scope
from core.api.operations import operation
from core.api.schema import Schema
from core.version import VERSION
from core.worker_watch import WATCH

router = Router(tags=["site"])


class PartOut(Schema):
    """The state of a part of the portal."""

    name: str
    state: str = Field(description="ok, degraded or down")
    sentence: str


class StatusOut(Schema):
    """How the portal stands."""

    version: str = Field(description="Of the portal.")
    where: str = Field(description="The local stack, or the account of AWS.")
    local: bool = Field(description="It is a local stack: nothing costs money.")
    region: str
    store: str = Field(description="Where published archives lie, as s3://BUCKET/PREFIX/.")
    worker_problem: str = Field(description="Why no job is done; empty: jobs are done.")
    parts: list[PartOut] | None = Field(description="For admins; null for others.")


@operation(router, "GET", "/status", id="status_get", scope=Scope.READ, response={200: StatusOut})
def status(request: HttpRequest) -> Any:
    """How the portal stands: its version, where it works, and its parts.

    The parts are told to admins alone, as on the page Status.
    """
    parts = None
    if request.user.has_perm("auth.change_user"):
        report = readiness.shared_checks().report()
        parts = [
            {"name": part.name, "state": part.state.value, "sentence": part.sentence}
            for part in report.parts
        ]
    return {
        "version": VERSION,
        "where": where.chip().text,
        "local": where.is_local(),
        "region": settings.AWS_REGION,
        "store": f"s3://{settings.MODEL_BUCKET}/{settings.MODEL_PREFIX}/",
        "worker_problem": str(WATCH.problem() or ""),
        "parts": parts,
    }
