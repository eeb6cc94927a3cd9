"""The operations of storage: what the archives take up, and the quotas of people."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import Input, Schema
from core.permissions import actor
from models_catalog import storage
from models_catalog.storage import PersonUsage, Usage

router = Router(tags=["storage"])


class UsageOut(Schema):
    """Bytes that are taken up, and that may be."""

    used: int = Field(description="Bytes: what is served, kept originals, and begun uploads.")
    quota: int | None = Field(description="Bytes; null: there is no limit.")


class PersonUsageOut(Schema):
    """What one person's uploads and copies take up."""

    name: str
    versions: int
    used: int = Field(description="Bytes.")
    quota: int | None = Field(description="Bytes; null: there is no limit.")
    own_quota: bool = Field(description="Whether it is not the usual one, USER_QUOTA_GB.")


class ModelUsageOut(Schema):
    """What the versions of one model take up."""

    name: str
    versions: int
    used: int = Field(description="Bytes.")


class StoreUsageOut(Schema):
    """What the versions of one store take up."""

    name: str
    versions: int
    used: int = Field(description="Bytes.")


class StorageOut(Schema):
    """What takes up the store."""

    store: UsageOut
    mine: UsageOut
    stores: list[StoreUsageOut] = Field(description="Those with versions; the most bytes first.")
    people: list[PersonUsageOut] = Field(description="The most bytes first.")
    largest: list[ModelUsageOut] = Field(description="The ten largest models.")


class QuotaIn(Input):
    """How much the archives of a person may take up."""

    gigabytes: int | None = Field(
        ge=0,
        le=storage.MOST_GB,
        description="Of 2^30 bytes; 0: no limit; null: the usual quota, USER_QUOTA_GB.",
    )


@operation(
    router, "GET", "/storage", id="storage_get", scope=Scope.READ,
    permission=storage.MAY_LOOK, doing=storage.LOOKING, response={200: StorageOut},
)  # fmt: skip
def get(request: HttpRequest) -> Any:
    """What the archives take up: in all, by store, by person, by model; and the quotas.

    An archive that would pass a quota is refused with `over-quota` before it is stored.
    """
    found = storage.overview(user=actor(request))
    return {
        "store": _usage(found.store),
        "mine": _usage(found.mine),
        "stores": found.stores,
        "people": [_person(one) for one in found.people],
        "largest": found.largest,
    }


@operation(
    router, "PUT", "/storage/people/{name}", id="quotas_put", scope=Scope.ADMIN,
    permission=storage.MAY_SET, doing=storage.SETTING, response={200: PersonUsageOut},
)  # fmt: skip
def put_quota(request: HttpRequest, name: str, body: QuotaIn) -> Any:
    """Give a person a quota of their own, or the usual one again; what is stored stays.

    A repetition changes nothing.
    """
    try:
        found = storage.set_quota(username=name, gigabytes=body.gigabytes, actor=actor(request))
    except User.DoesNotExist:
        raise Problem("not-found", _("There is no user %(name)s.") % {"name": name}) from None
    except ValidationError as error:
        raise Problem("invalid", errors=error.message_dict) from None
    return _person(found)


def _usage(usage: Usage) -> dict[str, Any]:
    return {"used": usage.used, "quota": usage.quota}


def _person(person: PersonUsage) -> dict[str, Any]:
    return {
        "name": person.name,
        "versions": person.versions,
        **_usage(person.usage),
        "own_quota": person.own_gb is not None,
    }
