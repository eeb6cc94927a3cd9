"""What lies in the store already and no row knows: found, validated where it lies, registered.

Whoever has rights to the bucket can put an archive below the store's prefix, and SageMaker serves
it. Here it becomes version 1 of a model. It is never moved or written: its bytes must be those that
the portal itself would serve, else it is refused, and a canonical copy of it can be made, which is
an upload as any other. The validation is publication.check_version's.
"""

import re
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    transaction,
)
from django.db.models import Q
from django.utils.translation import gettext as _

from activity.services import record
from core import aws, errors, guarded
from core.jobs import enqueue_on_commit
from models_catalog import s3, secrecy, services, store_rights, stores
from models_catalog.archives import ENDING, most_bytes, too_large
from models_catalog.models import (
    NAME_LENGTH,
    RESERVED_NAMES,
    RegisteredModel,
    Store,
    Version,
    VersionQuerySet,
    matches_pattern,
)
from models_catalog.refusals import CatalogRefused, version_of

MAY_IMPORT = "models_catalog.add_version"
#: At most this many are shown, and so many are imported at once.
MOST = 500
NOT_CANONICAL = "rejected.not_canonical"
State = Version.State
# What InvokeEndpoint's header TargetModel can hold.
_CALLABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NOT_OF_NAMES = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True)
class FoundObject:
    """An object in a store that no version knows.

    ``name``: what its model would be called. ``problem``: why it cannot be imported; empty: it can.
    """

    uri: str
    key: str
    target_model: str
    name: str
    size: int
    modified: datetime
    problem: str = ""


def known(bucket: str) -> VersionQuerySet:
    """The versions whose objects may lie in the bucket: what was deleted or refused is not there.

    An object that was refused as it was found stays, and is known by its row.
    """
    gone = Q(state=State.DELETED) | Q(state=State.REJECTED, as_found=False)
    with guarded.as_portal():
        return Version.objects.filter(bucket=bucket).exclude(gone)


def unknown(objects: Iterable[s3.StoredObject], bucket: str) -> list[s3.StoredObject]:
    """Those of the objects that no version knows. They were listed before: rows come first."""
    listed = [
        found
        for found in objects
        if not found.key.endswith("/")  # the console's folders
        and not store_rights.is_probe(found.key)
    ]
    keys = set(known(bucket).values_list("key", flat=True))
    return [found for found in listed if found.key not in keys]


def found(store: str = "") -> list[FoundObject]:
    """What lies in a store and could be imported, by key, and what could not be, with why.

    MOST at most. ``store``: its name; empty: the default one. Raises AwsError, and ValidationError
    where there is none.
    """
    place = stores.chosen(store)
    bucket, prefix = place.bucket, place.below
    listed = s3.listing(bucket=bucket, prefix=prefix, timeouts=aws.PAGE)
    shown = list(islice(sorted(unknown(listed, bucket), key=lambda one: one.key), MOST))
    rows = Version.objects.filter(bucket=bucket, key__in=[one.key for one in shown])
    stored = {row.key: row for row in rows.defer("report").select_related("model")}
    with guarded.as_portal():  # names are unique in all stores
        names = RegisteredModel.objects.values_list("name", flat=True)
    taken = {*RESERVED_NAMES, *names}
    items = []
    for one in shown:
        target = one.key.removeprefix(prefix)
        name, problem = _named(target, taken)
        if one.key in stored:
            said = _("It lies at the key of %(version)s, which was deleted or rejected.")
            problem = said % {"version": stored[one.key]}
        elif not target.endswith(ENDING) or not _CALLABLE.fullmatch(target):
            said = _("Its key is no TargetModel: plain letters that end with %(ending)s.")
            problem = said % {"ending": ENDING}
        elif not one.size:
            problem = _("It is empty.")
        elif one.size > most_bytes():
            problem = too_large()
        if not problem:
            taken.add(name)
        uri = f"s3://{bucket}/{one.key}"
        items.append(FoundObject(uri, one.key, target, name, one.size, one.modified, problem))
    return items


def _named(target: str, taken: Collection[str]) -> tuple[str, str]:
    """The name for a model of this key, and what is wrong with it; empty: nothing.

    The last part without its ending, made to fit; where it is taken, with a number.
    """
    stem = target.rpartition("/")[2].lower().removesuffix(ENDING)
    stem = _NOT_OF_NAMES.sub("-", stem).strip("._-")[:NAME_LENGTH].rstrip("._-")
    try:
        matches_pattern(stem)
    except ValidationError as error:
        return stem, " ".join(error.messages)
    name, number = stem, 1
    while name in taken:
        number += 1
        ending = f"-{number}"
        name = stem[: NAME_LENGTH - len(ending)].rstrip("._-") + ending
    return name, ""


def start(*, keys: Collection[str], store: str = "", actor: User | None) -> list[Version]:
    """Have jobs validate and register what was found; returns the rows, in state `uploaded`.

    ``keys``: below the store's prefix; empty: all that can be imported. All of them or none.
    ``store``: where they lie, and their models belong; empty: the default one. Raises
    ValidationError by field, CatalogRefused where somebody was faster, and AwsError.
    """
    place = stores.chosen(store)
    secrecy.check_may_write(place, actor)
    there = {one.target_model: one for one in found(store)}
    if keys:
        wanted = [there[key] for key in dict.fromkeys(keys) if key in there]
        missing = [key for key in keys if key not in there]
        wrong = [
            _("%(key)s: no object lies there that is not registered.") % {"key": key}
            for key in missing
        ]
        wrong += [f"{one.target_model}: {one.problem}" for one in wanted if one.problem]
        if wrong:
            raise ValidationError({"keys": wrong[:20]})
    else:
        wanted = [one for one in there.values() if not one.problem]
    try:
        with transaction.atomic():
            return [_begun(one, place, actor) for one in wanted]
    except (ValidationError, IntegrityError):
        said = _("Somebody took a name or a key meanwhile. Nothing was imported; look again.")
        raise CatalogRefused(said) from None


def _begun(one: FoundObject, place: Store, actor: User | None) -> Version:
    model = services.register_model(name=one.name, description="", store=place, actor=actor)
    version = Version.objects.create(
        model=model,
        number=1,
        as_found=True,
        created_by=actor,
        bucket=place.bucket,
        prefix=place.prefix,
        key=one.key,
        file_name=one.target_model.rpartition("/")[2][-255:],
        size=one.size,
    )
    record(
        action="version.found",
        subject=version,
        parameters={"version": str(version), "target_model": version.target_model},
        actor=actor,
    )
    enqueue_on_commit("models_catalog.tasks.check", version.pk)
    return version


def repackable(version: Version) -> bool:
    """Whether a canonical copy of it can be made, and none was made that is not refused."""
    if not version.as_found or version.reason_kind != NOT_CANONICAL:
        return False
    newer = version.model.versions.filter(number__gt=version.number, sha256=version.sha256)
    return not newer.exclude(state=State.REJECTED).exists()


def repack(
    *,
    model: str,
    number: int,
    actor: User | None,
    check: Callable[[Version], None] = lambda version: None,
) -> Version:
    """Upload what was refused as not canonical as the next version of its model, within S3.

    ``check`` is called with the version before anything is done. Raises CatalogRefused, and
    AwsError where S3 does not copy it.
    """
    source = version_of(model, number)
    secrecy.check_may_write(source.model.placed_in, actor)
    check(source)
    _check_repackable(source)
    with transaction.atomic():
        _hold(source.model.placed_in)  # before its bytes are copied
    staging_key = f"{settings.STAGING_PREFIX}/{uuid.uuid4()}{ENDING}"
    try:
        s3.copy(bucket=source.bucket, source_key=source.key, key=staging_key, beat=lambda: None)
    except errors.NotFound:
        said = _("There is no object at %(uri)s any more.") % {"uri": source.uri}
        raise CatalogRefused(said) from None
    try:
        with transaction.atomic():
            locked = RegisteredModel.objects.select_for_update().get(pk=source.model_id)
            _hold(locked.placed_in)
            _check_repackable(source)  # of two at once the second finds the copy of the first
            version = services.next_version(locked)
            version.created_by = actor
            version.bucket, version.staging_key = source.bucket, staging_key
            version.file_name = source.file_name
            version.size, version.sha256 = source.size, source.sha256
            version.packing_choice = settings.PACKING
            version.save()
            record(
                action="version.repacked",
                subject=version,
                parameters={"version": str(version), "source": str(source)},
                actor=actor,
            )
            enqueue_on_commit("models_catalog.tasks.check", version.pk)
    except (OperationalError, InterfaceError):
        # It may be committed, where the connection was lost over that; else it is swept.
        raise
    except (CatalogRefused, DatabaseError, RegisteredModel.DoesNotExist) as failed:
        services.discard(source.bucket, staging_key)
        if not isinstance(failed, RegisteredModel.DoesNotExist):
            raise
        said = _("There is no model %(name)s.") % {"name": model}
        raise CatalogRefused(said, "not-found") from None
    return version


def _check_repackable(source: Version) -> None:
    if not repackable(source):
        said = _(
            "%(version)s was not refused as not canonical, or there is a copy. None is needed."
        )
        raise CatalogRefused(said % {"version": source})


def _hold(place: Store) -> None:
    """Keep a store open until the transaction ends. Raises CatalogRefused: it is retired."""
    try:
        stores.hold(place)
    except ValidationError as error:
        raise CatalogRefused(" ".join(error.messages)) from None
