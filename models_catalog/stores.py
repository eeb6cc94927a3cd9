"""The stores: add one after its rights were tried, test it again, retire it when it is empty.

A store is a bucket and a prefix. The default one is where the settings say, is always there, and
has a row only once something of it is kept. Where a store is never changes, as the versions in it
keep their keys; and no store lies within another, so that each version is in one.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts import groups as people_groups
from activity.models import Event
from activity.services import record
from core import clock, guarded
from core.errors import CONFLICT, AwsError
from core.natural import by_name, natural_key
from models_catalog import secrecy, store_rights
from models_catalog.models import DEFAULT_STORE, RegisteredModel, Store, StoreGroup, Upload, Version
from models_catalog.refusals import CatalogRefused
from models_catalog.store_rights import RightFound

log = logging.getLogger(__name__)

MAY_LOOK, LOOKING = "models_catalog.view_model", gettext_noop("look at the catalog")
MAY_MANAGE, MANAGING = "models_catalog.manage_stores", gettext_noop("manage stores")
#: Each is compared each night, and is a line of every select.
MOST = 100
#: Most groups that an event names.
_TOLD = 20
#: An address of the pages, and words that would be taken for other ones.
RESERVED = {"new", "all", DEFAULT_STORE}


class StoreRefused(Exception):
    """The portal may not do in a store what it needs; nothing was added. ``found``: the test."""

    def __init__(self, store: Store, found: list[RightFound]) -> None:
        said = _(
            "The store was not added: the portal may not do there what it needs. Give its role the "
            "rights that are refused (docs/aws.md), then add the store again."
        )
        missing = store_rights.without_bucket(found)
        if missing is not None:
            said = _("The store was not added. %(why)s") % {"why": missing}
        super().__init__(said)
        self.store = store
        self.found = found

    @property
    def errors(self) -> list[str]:
        """The refused rights that are needed, a sentence each."""
        return [
            f"{one.place.label}, {one.right.label}: {one.said or ''}"
            for one in store_rights.lacking(self.found)
        ]


_uses: list[Callable[[Store], Iterable[str]]] = []


def register_uses(found: Callable[[Store], Iterable[str]]) -> None:
    """Let ``found`` tell, a sentence each, what of another app is on a store."""
    _uses.append(found)


def listed() -> list[Store]:
    """All that who asks may see: the default one, then the added ones by name."""
    rows = {store.name: store for store in Store.objects.order_by(*by_name("name"))}
    if secrecy.hides_default():
        return list(rows.values())
    default = rows.pop(DEFAULT_STORE, None) or Store(name=DEFAULT_STORE)
    return [default.as_set(), *rows.values()]


def get(name: str) -> Store:
    """One store. Raises CatalogRefused where who asks may see none of that name."""
    if name == DEFAULT_STORE and not secrecy.hides_default():
        return Store.objects.default()
    found = None if "\0" in name else Store.objects.filter(name=name).first()
    if found is None:
        said = _("There is no store %(name)s.") % {"name": name}
        raise CatalogRefused(said, "not-found")
    return found


def offered() -> list[Store]:
    """Those that models and endpoints can be made in: all that are not retired."""
    return [one for one in listed() if one.retired_at is None]


def chosen(name: str) -> Store:
    """The store for what is made now; empty: the default one.

    Raises ValidationError of the field ``store`` where there is none, or it is retired.
    """
    if name in ("", DEFAULT_STORE) and not secrecy.hides_default():
        return Store(name=DEFAULT_STORE).as_set()
    try:
        found = get(name or DEFAULT_STORE)
    except CatalogRefused as refused:
        raise ValidationError({"store": [str(refused)]}) from None
    _check_open(found)
    return found


def at(bucket: str, prefix: str) -> Store | None:
    """The store at this place, where who asks may see one there, be it retired."""
    here = (one for one in listed() if (one.bucket, one.prefix) == (bucket, prefix))
    return next(here, None)


def for_upload(*, model: str, store: str, actor: User | None) -> Store:
    """Where an upload for ``model`` goes: where the model is, or for a new one where it is asked.

    Raises ValidationError of the field ``store`` for a store that there is not, that is retired, or
    that is another than the model's; NotPermitted where ``actor`` may not write there.
    """
    found = RegisteredModel.objects.select_related("store").filter(name=model).first()
    place = chosen(store) if found is None else found.placed_in
    secrecy.check_may_write(place, actor)
    if found is not None:
        check_same(found, store)
        _check_open(place)
    return place


def check_same(model: RegisteredModel, store: str) -> None:
    """Raise ValidationError where another store is asked for than the model's; empty: none is."""
    if store and store != model.placed_in.name:
        said = _(
            "The model %(model)s is in the store %(store)s, and a model cannot be moved. Leave the "
            "store out, or give the new model another name."
        )
        told = said % {"model": model.name, "store": model.placed_in}
        raise ValidationError({"store": ValidationError(told, code=CONFLICT)})


def hold(store: Store) -> None:
    """Keep a store from being retired until the transaction ends, as something is put there.

    Raises ValidationError of the field ``store`` where it is retired.
    """
    if not store.is_default:
        _check_open(Store.objects.select_for_update().get(pk=store.pk))


def _check_open(store: Store) -> None:
    if store.retired_at is not None:
        said = _("The store %(store)s is retired, and takes nothing new. An admin can restore it.")
        told = ValidationError(said % {"store": store}, code=CONFLICT)
        raise ValidationError({"store": told})


def row_of(store: Store) -> Store | None:
    """What a foreign key takes for a store: nothing for the default one."""
    return None if store.is_default else store


def buckets() -> list[str]:
    """Every bucket that a store is in: that of the settings, then the others. One query."""
    with guarded.as_portal():
        added = Store.objects.added()
    others = added.order_by("bucket").values_list("bucket", flat=True).distinct()
    return list(dict.fromkeys([settings.MODEL_BUCKET, *others]))


def each_bucket(work: Callable[[str], None]) -> None:
    """Do ``work`` in every bucket, also where it fails in one; then raise the first AwsError."""
    failed: AwsError | None = None
    for bucket in buckets():
        try:
            work(bucket)
        except AwsError as problem:
            log.warning("The bucket %s could not be worked on: %s", bucket, problem)
            failed = failed or problem
    if failed is not None:
        raise failed


def add(
    *,
    name: str,
    bucket: str,
    prefix: str,
    region: str = "",
    encryption: str = "",
    kms_key_id: str = "",
    actor: User | None,
) -> Store:
    """Try what the portal may do there, and add the store where that is enough.

    ``region``: the settings' where it is empty. Raises ValidationError by field; its code is
    CONFLICT where the name or the place is taken. Raises StoreRefused with the test.
    """
    store = Store(
        name=name.strip(),
        bucket=bucket.strip(),
        prefix=prefix.strip().strip("/"),
        region=region.strip() or settings.AWS_REGION,
        encryption=encryption,
        kms_key_id=kms_key_id.strip(),
        created_by=actor,
    )
    _check(store)
    found = store_rights.tried(store)
    if store_rights.lacking(found):
        raise StoreRefused(store, found)
    _take(store, found)
    try:
        with transaction.atomic():
            _locked(DEFAULT_STORE)  # of two that are added at once, the second sees the first
            _check(store)
            store.save()
            record(
                action="store.added",
                subject=store,
                parameters={"store": store.name, "url": store.url},
                actor=actor,
                level=Event.Level.SUCCESS,
            )
    except IntegrityError:
        _check(store)
        raise
    return store


def test(*, name: str, actor: User | None) -> Store:
    """Try again what the portal may do in a store, and keep what was found.

    Raises CatalogRefused where there is none of that name.
    """
    found = store_rights.tried(get(name))
    refused = [one for one in found if one.refused]
    with transaction.atomic():
        store = _locked(name)
        _take(store, found)
        _keep(store, "tested_at", "rights")
        parameters: dict[str, str | int] = {"store": store.name}
        if refused:
            parameters["rights"] = ", ".join(f"{one.place}/{one.right}" for one in refused)
        record(
            action="store.tested_refused" if refused else "store.tested",
            subject=store,
            parameters=parameters,
            actor=actor,
            level=Event.Level.WARNING if refused else Event.Level.SUCCESS,
        )
    return store


def retire(
    *, name: str, actor: User | None, check: Callable[[Store], None] = lambda store: None
) -> Store:
    """Offer a store no more; it must be empty, and its name and place stay taken. Idempotent.

    ``check`` is called with the store when nobody else can change it; what it raises keeps all.
    Raises CatalogRefused where something is in it or on it, or there is no such store.
    """
    with transaction.atomic():
        store = _locked(name)
        check(store)
        if store.is_default:
            said = _("The default store is that of the settings, and cannot be retired.")
            raise CatalogRefused(said)
        if store.retired_at is not None:
            return store
        if used := list(uses(store)):
            said = _("The store %(store)s is not empty, and was not retired. %(uses)s")
            raise CatalogRefused(said % {"store": store, "uses": " ".join(used)})
        store.retired_at = clock.now()
        _keep(store, "retired_at")
        record(action="store.retired", subject=store, parameters={"store": store.name}, actor=actor)
    return store


def restore(
    *, name: str, actor: User | None, check: Callable[[Store], None] = lambda store: None
) -> Store:
    """Take a retirement back. Idempotent; ``check`` and what it raises as those of `retire`."""
    with transaction.atomic():
        store = _locked(name)
        check(store)
        if store.retired_at is not None:
            store.retired_at = None
            _keep(store, "retired_at")
            record(
                action="store.restored",
                subject=store,
                parameters={"store": store.name},
                actor=actor,
            )
    return store


@dataclass(frozen=True)
class NamedGroup:
    """A group that a store names: its members see what is in it, and may write it or not."""

    name: str
    may_write: bool


def with_groups(found: list[Store]) -> list[Store]:
    """The same, with their groups loaded for all of them at once."""
    prefetch_related_objects([one for one in found if one.pk], "named_groups__group")
    return found


def groups_of(store: Store) -> list[NamedGroup]:
    """The groups that a store names, by name; none: it is open to everybody."""
    if store.pk is None:
        return []
    prefetch_related_objects([store], "named_groups__group")
    rows = store.named_groups.all()
    return sorted((NamedGroup(one.group.name, one.may_write) for one in rows), key=_by_name)


def _by_name(group: NamedGroup) -> str:
    return natural_key(group.name)


def set_groups(*, name: str, groups: Collection[NamedGroup], actor: User | None) -> Store:
    """Have a store name exactly these groups; none: it is open to everybody. Idempotent.

    Raises CatalogRefused where there is no such store, and ValidationError of ``groups`` where
    there is no such group.
    """
    wanted = {one.name: one.may_write for one in groups}
    with transaction.atomic():
        store = _locked(name)
        found = {row.name: row for row in people_groups.locked(wanted)}
        if missing := sorted(set(wanted) - set(found)):
            said = _("There is no group %(name)s. Nothing was changed.") % {"name": missing[0]}
            raise ValidationError({"groups": said})
        rows = StoreGroup.objects.filter(store=store).select_related("group")
        before = {row.group.name: row.may_write for row in rows}
        if wanted != before:
            rows.exclude(group__name__in=wanted).delete()
            for group, writes in wanted.items():
                StoreGroup.objects.update_or_create(
                    store=store, group=found[group], defaults={"may_write": writes}
                )
            told = {"store": store.name}
            if wanted:
                told["groups"] = _some(wanted)
                told["writers"] = _some(group for group, writes in wanted.items() if writes) or "–"
            record(
                action="store.groups" if wanted else "store.opened",
                subject=store,
                parameters=told,
                actor=actor,
                level=Event.Level.INFO if wanted else Event.Level.WARNING,
            )
            transaction.on_commit(secrecy.forget)
    return store


def _some(names: Iterable[str]) -> str:
    """Names as an event has room for."""
    found = sorted(names)
    told = ", ".join(found[:_TOLD])
    return told if len(found) <= _TOLD else f"{told} (+{len(found) - _TOLD})"


def uses(store: Store) -> Iterator[str]:
    """What is in a store, and on it, a sentence each; nothing where it is empty."""
    held = Version.objects.filter(bucket=store.bucket, prefix=store.prefix)
    versions = held.exclude(state__in=Version.WITHOUT_BYTES).count()
    if versions:
        said = _("Versions in it that are not deleted: %(count)s.")
        yield said % {"count": versions}
    row = row_of(store)
    uploads = Upload.objects.unfinished().filter(store=row, expires_at__gt=clock.now()).count()
    if uploads:
        said = _("Uploads on their way to it: %(count)s.")
        yield said % {"count": uploads}
    for found in _uses:
        yield from found(store)


def _locked(name: str) -> Store:
    """A store that nobody else changes within the transaction; the default one gets its row."""
    if name == DEFAULT_STORE:
        Store.objects.get_or_create(name=DEFAULT_STORE, defaults={"bucket": "", "region": ""})
    else:
        get(name)
    return Store.objects.select_for_update().get(name=name).as_set()


def _keep(store: Store, *fields: str) -> None:
    """Write these columns alone: what the default one has of the settings stays there."""
    Store.objects.filter(pk=store.pk).update(**{name: getattr(store, name) for name in fields})


def _take(store: Store, found: list[RightFound]) -> None:
    store.tested_at = clock.now()
    store.rights = [one.as_json() for one in found]


def _check(store: Store) -> None:
    """Raise ValidationError, by field, where a store like this cannot be added."""
    wrong: dict[str, Any] = {}
    try:
        store.clean_fields(exclude={"rights", "retired_at", "tested_at", "created_by"})
    except ValidationError as error:
        wrong = error.update_error_dict({})
    if not store.prefix:
        said = _("A store needs a prefix: what else lies in the bucket is not served then.")
        wrong["prefix"] = [said]
    if store.name in RESERVED:
        said = _("The name %(name)s is reserved; choose another one.") % {"name": store.name}
        wrong["name"] = [said]
    if store.kms_key_id and store.encryption != Store.Encryption.SSE_KMS:
        wrong["kms_key_id"] = [_("A key is for the encryption SSE-KMS alone.")]
    if wrong:
        raise ValidationError(wrong)
    _check_free(store)


def _check_free(store: Store) -> None:
    """Raise ValidationError where name or place are taken, or its bucket is used in another way."""
    others = listed()
    if len(others) > MOST:
        said = _("There are %(most)s stores, the most that are possible.") % {"most": MOST}
        raise ValidationError(ValidationError(said, code=CONFLICT))
    if any(one.name == store.name for one in others):
        said = _("There is a store %(name)s already.") % {"name": store.name}
        raise ValidationError({"name": ValidationError(said, code=CONFLICT)})
    for one in others:
        if one.bucket != store.bucket:
            continue
        if _within(one.prefix, store.prefix):
            said = _("It lies in the store %(store)s, or around it: %(url)s.")
            told = ValidationError(said % {"store": one, "url": one.url}, code=CONFLICT)
            raise ValidationError({"prefix": told})
        _check_same_bucket(store, one)
    used = Version.objects.filter(bucket=store.bucket).order_by()
    for prefix in used.values_list("prefix", flat=True).distinct():
        if _within(prefix, store.prefix):
            said = _("Versions lie there that belong to another store: %(url)s.")
            told = ValidationError(said % {"url": f"s3://{store.bucket}/{prefix}"}, code=CONFLICT)
            raise ValidationError({"prefix": told})
    for setting in _KEPT_FOR_OTHERS:
        if _within(getattr(settings, setting), store.prefix):
            said = _("The portal keeps other things there (%(setting)s).") % {"setting": setting}
            raise ValidationError({"prefix": [said]})


_KEPT_FOR_OTHERS = (
    *("STAGING_PREFIX", "ORIGINALS_PREFIX", "TEST_SETS_PREFIX", "ALIASES_PREFIX"),
    *("PICTURES_PREFIX", "CAPTURES_PREFIX"),
)


def _within(one: str, other: str) -> bool:
    """Whether one prefix is the other, or lies in it or around it; an empty one is around all."""
    return not one or f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _check_same_bucket(store: Store, other: Store) -> None:
    """Raise ValidationError where a bucket would be of two regions, or encrypted in two ways.

    Staging, originals and mirrors of aliases lie beside the stores of a bucket, and are of all.
    """
    for field in ("region", "encryption", "kms_key_id"):
        if getattr(store, field) != getattr(other, field):
            said = _(
                "The store %(store)s is in this bucket with %(value)s. All stores of a bucket have "
                "the same region and encryption: choose the same, or another bucket."
            )
            value = getattr(other, field) or _("none")
            raise ValidationError({field: [said % {"store": other, "value": value}]})
