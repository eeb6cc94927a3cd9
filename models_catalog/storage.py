"""How many bytes the archives take up, by person, by model and in all, and how many they may.

A quota is asked before an archive is stored: when an upload begins, when an archive comes in one
request, and when copies are asked for. An upload that has begun counts as if all of it were stored,
so two that begin at once do not share one rest of a quota.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import BigIntegerField, Case, Count, F, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.events import Person as PersonSubject
from activity.services import record
from core import clock, guarded
from core.natural import natural_key
from models_catalog.models import (
    DEFAULT_STORE,
    StorageQuota,
    Store,
    Upload,
    UploadQuerySet,
    Version,
    VersionQuerySet,
)

MAY_LOOK, LOOKING = "models_catalog.view_model", gettext_noop("look at the catalog")
MAY_SET, SETTING = "models_catalog.set_quota", gettext_noop("set quotas")
MOST_GB = 1_000_000
LARGEST = 10
OVER = "over-quota"  # the code of the API's problem
_GB = 1 << 30
# Of rejected archives nothing is kept, and of deleted ones nothing is left.


class OverQuota(Exception):
    """Nothing was stored, as a quota would be passed; ``str()`` says which, and what to do."""


@dataclass(frozen=True)
class Usage:
    """Bytes that are taken up, and the quota: bytes that may be; None where there is no limit."""

    used: int
    quota: int | None

    @property
    def percent(self) -> int | None:
        """How much of the quota that is, 100 at most; None where there is no limit."""
        return None if self.quota is None else min(100, -(-100 * self.used // max(1, self.quota)))

    @property
    def left(self) -> int | None:
        """The bytes that are free; None where there is no limit."""
        return None if self.quota is None else max(0, self.quota - self.used)


@dataclass(frozen=True)
class PersonUsage:
    """What one person's archives take up; ``own_gb``: a quota of their own, None: the usual one."""

    name: str
    versions: int
    usage: Usage
    own_gb: int | None


@dataclass(frozen=True)
class ModelUsage:
    """What the versions of one model take up, in bytes."""

    name: str
    versions: int
    used: int


@dataclass(frozen=True)
class StoreUsage:
    """What the versions of one store take up, in bytes."""

    name: str
    versions: int
    used: int


@dataclass(frozen=True)
class Overview:
    """All together, one's own, by store and by person (the most first), and the largest models."""

    store: Usage
    mine: Usage
    stores: list[StoreUsage]
    people: list[PersonUsage]
    largest: list[ModelUsage]


def _stored(*, seen: bool = False) -> VersionQuerySet:
    """The versions that take up room, with ``taken``, in bytes: what is served, and its original.

    One that is being validated or copied counts with the size of what was uploaded. What is hidden
    from who asks takes up room, too; ``seen`` leaves it out, where things are named.
    """
    whole = BigIntegerField()
    original = Case(When(original_key="", then=Value(0)), default=F("size"), output_field=whole)
    with nullcontext() if seen else guarded.as_portal():
        rows = Version.objects.exclude(state__in=Version.WITHOUT_BYTES)
    return rows.annotate(taken=Coalesce("published_size", "size", output_field=whole) + original)


def _on_their_way() -> UploadQuerySet:
    """The uploads of which there may still be a version."""
    with guarded.as_portal():
        rows = Upload.objects.unfinished()
    return rows.filter(expires_at__gt=clock.now())


def _sum(rows: "QuerySet[Version] | QuerySet[Upload]", field: str) -> int:
    return rows.aggregate(all=Sum(field))["all"] or 0


def _bytes(gigabytes: int) -> int | None:
    return gigabytes * _GB or None


def store() -> Usage:
    """What all archives take up, those that lay in the store before too, and the store's quota."""
    used = _sum(_stored(), "taken") + _sum(_on_their_way(), "length")
    return Usage(used, _bytes(settings.STORE_QUOTA_GB))


def of_user(user: User) -> Usage:
    """What a person's uploads and copies take up, and their quota.

    What lay in the store before the portal knew of it counts for nobody.
    """
    versions = _stored().filter(created_by=user, as_found=False)
    used = _sum(versions, "taken") + _sum(_on_their_way().filter(owner=user), "length")
    own = StorageQuota.objects.filter(user=user).values_list("gigabytes", flat=True).first()
    return Usage(used, _bytes(settings.USER_QUOTA_GB if own is None else own))


def overview(*, user: User) -> Overview:
    """What takes up the store, as ``user`` sees it."""
    models = list(_by_model())
    people = _people()
    # Anybody who is not among them has nothing, and no quota of their own.
    nothing = Usage(0, _bytes(settings.USER_QUOTA_GB))
    mine = (one.usage for one in people if one.name == user.get_username())
    return Overview(
        store=store(),
        mine=next(mine, nothing),
        stores=_by_store(models),
        people=people,
        largest=[ModelUsage(row["of"], row["count"], row["used"]) for row in models[:LARGEST]],
    )


def _by_model() -> Iterable[Mapping[str, Any]]:
    """The models that who asks may see, the most bytes first: of, place, used, count."""
    return (
        _stored(seen=True)
        .order_by()
        .values(of=F("model__name"), place=Coalesce("model__store__name", Value(DEFAULT_STORE)))
        .annotate(used=Sum("taken"), count=Count("pk"))
        .order_by("-used", "of")
    )


def _by_store(models: Iterable[Mapping[str, Any]]) -> list[StoreUsage]:
    """The stores of the rows of `_by_model`, the most bytes first."""
    used: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    for row in models:
        used[row["place"]] += row["used"]
        versions[row["place"]] += row["count"]
    found = [StoreUsage(name, versions[name], used[name]) for name in used]
    return sorted(found, key=lambda one: (-one.used, natural_key(one.name)))


def _people() -> list[PersonUsage]:
    """Who has archives, uploads or a quota of their own; three queries."""
    used: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    by_person = (
        _stored()
        .filter(created_by__isnull=False, as_found=False)
        .order_by()
        .values(person=F("created_by__username"))
        .annotate(used=Sum("taken"), count=Count("pk"))
    )
    for row in by_person:
        used[row["person"]] += row["used"]
        versions[row["person"]] += row["count"]
    uploads = _on_their_way().order_by().values(person=F("owner__username"))
    for begun in uploads.annotate(used=Sum("length")):
        used[begun["person"]] += begun["used"]
    own = dict(StorageQuota.objects.values_list("user__username", "gigabytes"))
    usual = settings.USER_QUOTA_GB
    return [
        PersonUsage(
            name, versions[name], Usage(used[name], _bytes(own.get(name, usual))), own.get(name)
        )
        for name in sorted({*used, *own}, key=lambda name: (-used[name], natural_key(name)))
    ]


# --- before something is stored ----------------------------------------------------------------


@contextmanager
def room_for(size: int, *, user: User | None) -> Iterator[None]:
    """Within it, ``size`` bytes more may be noted; raises OverQuota where they pass a quota.

    It is a transaction, in which two uploads of one person wait for each other, and with a quota of
    the store those of any two people: the second counts what the first has noted.
    """
    with transaction.atomic():
        if user is not None:
            User.objects.select_for_update().get(pk=user.pk)
        if settings.STORE_QUOTA_GB:
            _wait_for_others()
        check(size, user=user)
        yield


@guarded.as_portal()
def _wait_for_others() -> None:
    """Hold the row of the default store until the transaction ends; the quota is of all stores."""
    Store.objects.get_or_create(name=DEFAULT_STORE, defaults={"bucket": "", "region": ""})
    Store.objects.select_for_update().get(name=DEFAULT_STORE)


def check(size: int, *, user: User | None) -> None:
    """Raise OverQuota where ``size`` bytes more would pass a quota; nobody's pass the store's."""
    if user is not None:
        mine = of_user(user)
        if mine.left is not None and size > mine.left:
            said = _(
                "This needs %(size)s, and of your quota of %(quota)s only %(left)s are free. "
                "Nothing was kept. Delete versions that nobody needs, cancel uploads, or ask an "
                "admin for a larger quota."
            )
            raise OverQuota(said % _sizes(size, mine))
    if settings.STORE_QUOTA_GB:
        everybodys = store()
        if everybodys.left is not None and size > everybodys.left:
            said = _(
                "This needs %(size)s, and of the store's quota of %(quota)s only %(left)s are "
                "free. Nothing was kept. Delete versions that nobody needs, or ask an admin."
            )
            raise OverQuota(said % _sizes(size, everybodys))


def _sizes(size: int, usage: Usage) -> dict[str, str]:
    sizes = {"size": size, "quota": usage.quota or 0, "left": usage.left or 0}
    return {name: filesizeformat(value) for name, value in sizes.items()}


# --- quotas of single people -------------------------------------------------------------------


def set_quota(*, username: str, gigabytes: int | None, actor: User) -> PersonUsage:
    """Give a person a quota of their own, 0: no limit; None: the usual one again. Idempotent.

    What is stored stays, also where it is more. Raises User.DoesNotExist, and ValidationError.
    """
    if gigabytes is not None and not 0 <= gigabytes <= MOST_GB:
        said = _("Write a number of gigabytes between 0 and %(most)s.") % {"most": f"{MOST_GB:,}"}
        raise ValidationError({"gigabytes": said})
    with transaction.atomic():
        user = User.objects.select_for_update().get(username=username)
        row = StorageQuota.objects.filter(user=user).first()
        if gigabytes != (row.gigabytes if row else None):
            if gigabytes is None:
                StorageQuota.objects.filter(user=user).delete()
                action = "quota.usual"
            else:
                values = {"gigabytes": gigabytes}
                StorageQuota.objects.update_or_create(user=user, defaults=values)
                action = "quota.set" if gigabytes else "quota.lifted"
            told: dict[str, str | int] = {"name": username}
            if gigabytes:
                told["gigabytes"] = gigabytes
            record(action=action, subject=PersonSubject.of(user), parameters=told, actor=actor)
    rows = _stored().filter(created_by=user, as_found=False)
    return PersonUsage(username, rows.count(), of_user(user), gigabytes)
