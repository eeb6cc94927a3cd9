"""The operation of container images: which there are in ECR to give an endpoint."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_noop
from ninja import Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.schema import Schema
from endpoints import images
from endpoints.services import MAY_CHANGE_IMAGE

router = Router(tags=["endpoints"])

_CHOOSING = gettext_noop("give an endpoint another container image")


class ImageOut(Schema):
    """A container image in ECR."""

    image: str = Field(description="Its address by its digest, as an endpoint takes it.")
    digest: str
    tags: list[str]
    pushed_at: datetime
    size_bytes: int


class ImageListOut(Schema):
    """The images of the repository that the portal's own image is in."""

    items: list[ImageOut] = Field(description="The latest pushed first, 50 at most.")
    note: str | None = Field(description="Why there are none, in the reader's language.")


@operation(
    router, "GET", "/images", id="images_list", scope=Scope.READ, permission=MAY_CHANGE_IMAGE,
    doing=_CHOOSING, response={200: ImageListOut},
)  # fmt: skip
def list_images(request: HttpRequest) -> Any:
    """The container images in ECR that an endpoint can be given, with the dates of their pushes.

    ECR is asked each time. Where it does not answer, or on a local stack, there are none, and
    `note` says why.
    """
    found = images.listed()
    return {"items": found.images, "note": found.note or None}
