"""The operations of stores: list, add, test, retire, restore."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page_of
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Schema
from core.permissions import actor
from models_catalog import store_rights, stores
from models_catalog.models import NAME_LENGTH, Store
from models_catalog.refusals import CatalogRefused
from models_catalog.store_rights import Right, RightOutcome, StorePlace

router = Router(tags=["stores"])

StoreEncryption = Annotated[str, OneOf(Store.Encryption)]


class StoreRightOut(Schema):
    """One right in one place, as the test found it."""

    place: Annotated[str, OneOf(StorePlace)]
    right: Annotated[str, OneOf(Right)]
    outcome: Annotated[str, OneOf(RightOutcome)]
    needed: bool = Field(description="Without it the portal cannot work there.")
    sentence: str = Field(description="What was said of it, with AWS's own words.")


class StoreGroupOut(Schema):
    """A group that a store names."""

    name: str
    may_write: bool = Field(description="Its members may push, copy, import, move aliases, retire.")


class StoreGroupIn(Input):
    """A group that a store is to name."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    may_write: bool = False


class StoreGroupsIn(Input):
    """The groups that a store is to name."""

    groups: list[StoreGroupIn] = Field(
        max_length=100, description="All of them; empty: the store is open to everybody."
    )


class StoreOut(Schema):
    """A store: SageMaker's ModelDataUrl."""

    name: str = Field(description="`default` is the one of the settings.")
    url: str = Field(description="s3://BUCKET/PREFIX/")
    bucket: str
    prefix: str
    region: str
    encryption: StoreEncryption = Field(description="Empty: as the bucket says.")
    kms_key_id: str
    retired_at: datetime | None
    tested_at: datetime | None = Field(description="null: it was never tested.")
    rights: list[StoreRightOut] = Field(description="What the last test found.")
    groups: list[StoreGroupOut] = Field(
        description="Only their members, and who manages stores, see what is in it; empty: all do."
    )
    uses: list[str] | None = Field(
        description="What is in it and on it, a sentence each; empty: it can be retired. null in "
        "lists."
    )


class StoreIn(Input):
    """What store to add."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    bucket: str = Field(min_length=1, max_length=63, description="It must be there already.")
    prefix: str = Field(min_length=1, max_length=400)
    region: str = Field("", max_length=32, description="Of the bucket; empty: the portal's.")
    encryption: StoreEncryption = ""
    kms_key_id: str = Field("", max_length=2048, description="With sse-kms; empty: AWS's own.")


def _out(store: Store, *, uses: list[str] | None) -> dict[str, Any]:
    return {
        "name": store.name,
        "url": store.url,
        "bucket": store.bucket,
        "prefix": store.prefix,
        "region": store.region,
        "encryption": store.encryption,
        "kms_key_id": store.kms_key_id,
        "retired_at": store.retired_at,
        "tested_at": store.tested_at,
        "rights": [
            {
                "place": one.place,
                "right": one.right,
                "outcome": one.outcome,
                "needed": one.needed,
                "sentence": str(one.said or ""),
            }
            for one in store_rights.known(store)
        ],
        "groups": [
            {"name": one.name, "may_write": one.may_write} for one in stores.groups_of(store)
        ],
        "uses": uses,
    }


def _shown(store: Store) -> dict[str, Any]:
    return _out(store, uses=list(stores.uses(store)))


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except CatalogRefused as refused:
        raise Problem(refused.code, str(refused)) from None


@operation(
    router, "GET", "/stores", id="stores_list", scope=Scope.READ,
    permission=stores.MAY_LOOK, doing=stores.LOOKING, response={200: Page[StoreOut]},
)  # fmt: skip
def list_stores(request: HttpRequest, query: Query[ListParameters]) -> Any:
    """The stores: the default one first, then by name."""
    found = page_of(
        request,
        stores.with_groups(stores.listed()),
        query,
        key=lambda one: ["" if one.is_default else one.name],
    )
    return {**found, "items": [_out(one, uses=None) for one in found["items"]]}


@operation(
    router, "POST", "/stores", id="stores_create", scope=Scope.ADMIN,
    permission=stores.MAY_MANAGE, doing=stores.MANAGING, response={201: StoreOut}, problems=(409,),
)  # fmt: skip
def add(request: HttpRequest, body: StoreIn) -> Any:
    """Try what the portal may do in a bucket, and add it as a store.

    Where it lacks a right that it needs, nothing is added: `invalid`, with a sentence for each such
    right at `rights`.
    """
    try:
        store = stores.add(**body.dict(), actor=actor(request))
    except stores.StoreRefused as refused:
        raise Problem("invalid", str(refused), errors={"rights": refused.errors}) from None
    set_header(request, "Location", f"{request.path}/{store.name}")
    return Status(201, _shown(store))


@operation(
    router, "GET", "/stores/{name}", id="stores_get", scope=Scope.READ,
    permission=stores.MAY_LOOK, doing=stores.LOOKING, response={200: StoreOut},
)  # fmt: skip
def get(request: HttpRequest, name: str) -> Any:
    """One store, with what is in it and on it."""
    with _problems():
        return _shown(stores.get(name))


@operation(
    router, "PUT", "/stores/{name}/groups", id="stores_groups", scope=Scope.ADMIN,
    permission=stores.MAY_MANAGE, doing=stores.MANAGING, response={200: StoreOut},
)  # fmt: skip
def put_groups(request: HttpRequest, name: str, body: StoreGroupsIn) -> Any:
    """Have a store name exactly these groups; a repetition changes nothing.

    Who is in none of them, and does not manage stores, sees nothing of the store within a second:
    no model, version, endpoint or call.
    """
    wanted = [stores.NamedGroup(one.name, one.may_write) for one in body.groups]
    with _problems():
        return _shown(stores.set_groups(name=name, groups=wanted, actor=actor(request)))


@operation(
    router, "POST", "/stores/{name}/test", id="stores_test", scope=Scope.ADMIN,
    permission=stores.MAY_MANAGE, doing=stores.MANAGING, response={200: StoreOut},
)  # fmt: skip
def test(request: HttpRequest, name: str) -> Any:
    """Try again what the portal may do in a store, right by right; takes some seconds.

    A small object is written below its prefix and in staging, read and deleted.
    """
    with _problems():
        return _shown(stores.test(name=name, actor=actor(request)))


@operation(
    router, "POST", "/stores/{name}/retire", id="stores_retire", scope=Scope.ADMIN,
    permission=stores.MAY_MANAGE, doing=stores.MANAGING, response={200: StoreOut},
    problems=(409,),
)  # fmt: skip
def retire(request: HttpRequest, name: str) -> Any:
    """Offer a store no more; it must be empty. A repetition changes nothing."""
    with _problems():
        return _shown(stores.retire(name=name, actor=actor(request)))


@operation(
    router, "POST", "/stores/{name}/restore", id="stores_restore", scope=Scope.ADMIN,
    permission=stores.MAY_MANAGE, doing=stores.MANAGING, response={200: StoreOut},
)  # fmt: skip
def restore(request: HttpRequest, name: str) -> Any:
    """Offer a retired store again. A repetition changes nothing."""
    with _problems():
        return _shown(stores.restore(name=name, actor=actor(request)))
