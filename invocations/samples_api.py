"""The operations of samples: the pictures that come with the portal, to try a model with."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.paging import Page, page_of
from core.api.problems import Problem
from core.api.schema import ListParameters, Schema
from invocations import samples
from invocations.panels import DOING, MAY_INVOKE

router = Router(tags=["samples"])

_BYTES = {"schema": {"type": "string", "format": "binary"}}


class SampleOut(Schema):
    """A picture to try a model with."""

    name: str
    group: str = Field(description="What its name begins with: `digit-3.png` is of `digit`.")
    size: int = Field(description="Bytes.")
    content_type: str


@operation(
    router, "GET", "/samples", id="samples_list", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: Page[SampleOut]},
)  # fmt: skip
def list_samples(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The pictures that come with the portal, by group and name; none where it has none."""
    return page_of(request, samples.all_samples(), query, key=samples.in_order)


@operation(
    router, "GET", "/samples/{name}", id="samples_get", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: bytes},
    extra={
        "responses": {
            200: {"content": dict.fromkeys(sorted({*samples.CONTENT_TYPES.values()}), _BYTES)}
        }
    },
)  # fmt: skip
def get(request: HttpRequest, name: str) -> Any:
    """The bytes of one picture."""
    found = samples.read(name)
    if found is None:
        raise Problem("not-found", _("There is no such sample."))
    data, content_type = found
    return HttpResponse(data, content_type=content_type)
